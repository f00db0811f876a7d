/** Durations as users write them. */
import ms from "ms";
import { show } from "../core/index.js";

/** Milliseconds, or a string such as "500ms", "30s", "5m", "1h", "7d". */
export type Duration = number | string;

/** Milliseconds, at least 0. Throws TypeError or RangeError that names the value. */
export function toMs(what: string, value: unknown): number {
  const remedy = 'use milliseconds or a string such as "30s"';
  if (typeof value !== "number" && typeof value !== "string")
    throw new TypeError(`${what} must be a duration, not ${show(value)}; ${remedy}`);
  const duration = typeof value === "number" ? value : parse(value);
  if (duration === undefined || !(duration >= 0 && duration <= Number.MAX_SAFE_INTEGER))
    throw new RangeError(`${what} is no duration: ${show(value)}; ${remedy}`);
  return Math.round(duration);
}

function parse(text: string): number | undefined {
  // The library throws on an empty or a very long string, and gives NaN or undefined for what is none.
  if (text.length === 0 || text.length > 50) return undefined;
  return ms(text as ms.StringValue);
}
