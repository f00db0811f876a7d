/**
 * Log time (L9): stamped by whoever orders, never decreasing. While the wall clock is behind, log time runs at half the
 * speed of the monotonic clock until they meet, so that a clock set back by a year neither stops time nor is followed.
 */
import { show } from "../check.js";
import { LogError } from "../errors.js";
import type { Clock } from "../types.js";

export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (ms: number, fn: () => void, background = false) => {
    const timer = setTimeout(fn, ms);
    if (background) timer.unref();
    return () => clearTimeout(timer);
  },
});

export class LogClock {
  readonly #clock: Clock;
  #time: number;
  #monotonic: number;

  /** `last`: the time of the last entry there is, ms since 1970. */
  constructor(clock: Clock, last: number) {
    this.#clock = clock;
    this.#time = last;
    this.#monotonic = read(clock, "monotonic");
  }

  /** The last time stamped or observed, whole ms. */
  get last(): number {
    return Math.floor(this.#time);
  }

  /** Wall time, whole ms. */
  wall(): number {
    return wallTime(this.#clock);
  }

  /** The time for the next batch, whole ms. Throws `LOG_CLOCK`, and nothing is changed, if the clock gives none. */
  stamp(): number {
    const wall = read(this.#clock, "now");
    const monotonic = read(this.#clock, "monotonic");
    const slow = this.#time + Math.max(0, monotonic - this.#monotonic) / 2;
    this.#time = Math.max(wall, slow);
    this.#monotonic = monotonic;
    return Math.floor(this.#time);
  }

  /** Never stamp below this: what was read from the log. */
  observe(time: number): void {
    this.#time = Math.max(this.#time, time);
  }
}

/** Throws a TypeError that names the value if a clock gave something that is no time. */
export function checkTime(what: string, value: unknown): asserts value is number {
  if (typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return;
  throw new TypeError(`${what} gave ${show(value)}; it must give a number of milliseconds, 0 or more`);
}

/** What a clock says, whole ms. */
export function wallTime(clock: Clock): number {
  return Math.floor(read(clock, "now"));
}

function read(clock: Clock, which: "now" | "monotonic"): number {
  try {
    const value: unknown = clock[which]();
    checkTime(`clock.${which}()`, value);
    return value;
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new LogError("LOG_CLOCK", `the log has no time: ${what}`, {
      outcome: "none",
      retryable: true,
      cause: error,
    });
  }
}
