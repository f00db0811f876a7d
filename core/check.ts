/** Bad arguments are refused at once, with the value and the remedy in the message. */
import { LogError } from "./errors.js";
import { limits } from "./limits.js";
import { byteLength, type HeaderWriter } from "./engine/entry.js";
import type { Condition, SeqNum, Subscriber } from "./types.js";

/** A short, safe picture of any value. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? "an array" : `a ${value.constructor?.name ?? "object"}`;
  if (typeof value === "function") return "a function";
  return String(value);
}

/** `allowed` names all options of a call. */
export function checkOptions(what: string, options: object | undefined, allowed: ReadonlySet<string>): void {
  if (options === undefined) return;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`${what} takes an options object, not ${show(options)}`);
  }
  for (const key in options) {
    if (!allowed.has(key))
      throw new TypeError(`${what} has no option ${show(key)}; it takes ${[...allowed].join(", ")}`);
  }
}

export function checkSeqNum(what: string, value: unknown): asserts value is SeqNum {
  if (typeof value !== "number") throw new TypeError(`${what} must be a seqnum (a number), not ${show(value)}`);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(
      `${what} must be an integer from 0 to 2^53-1, not ${value}; take it from a record or from tail()`,
    );
  }
}

export function checkBoolean(what: string, value: unknown): void {
  if (value !== undefined && typeof value !== "boolean")
    throw new TypeError(`${what} must be true or false, not ${show(value)}`);
}

export function checkSignal(what: string, value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal))
    throw new TypeError(`${what} must be an AbortSignal, not ${show(value)}`);
}

export function checkTimeout(what: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== "number") throw new TypeError(`${what} must be a number of milliseconds, not ${show(value)}`);
  if (!(value >= 0 && value <= 2 ** 31 - 1))
    throw new RangeError(`${what} must be from 0 to 2^31-1 milliseconds, not ${value}`);
}

export function checkBytes(what: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== "number") throw new TypeError(`${what} must be a number of bytes, not ${show(value)}`);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`${what} must be an integer of 0 or more bytes, not ${value}`);
}

/** A tag or the name of a book. Returns its UTF-8 bytes. */
export function checkName(what: string, value: unknown, max: number): number {
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${show(value)}`);
  const bytes = byteLength(value);
  if (bytes === 0 || bytes > max) {
    throw new RangeError(
      `${what} must have 1 to ${max} UTF-8 bytes, not ${bytes}: ${show(value)}; shorten it or use a hash`,
    );
  }
  if (bytes !== value.length && !value.isWellFormed()) {
    throw new TypeError(`${what} has an unpaired surrogate: ${show(value)}; make it well-formed with toWellFormed()`);
  }
  return bytes;
}

export function checkTag(value: unknown): number {
  return checkName("a tag", value, limits.tagBytes);
}

/** Writes the tags of a record, each once. */
export function writeTags(writer: HeaderWriter, value: unknown): void {
  if (!Array.isArray(value)) throw new TypeError(`tags must be an array of strings, not ${show(value)}`);
  const tags = value as readonly string[];
  if (tags.length === 0)
    throw new RangeError("tags is empty; a record has at least one tag, so that it can be found and trimmed");
  if (tags.length > limits.tagsPerRecord) {
    throw new RangeError(
      `${tags.length} tags are more than the ${limits.tagsPerRecord} of one record; use several records`,
    );
  }
  const seen = tags.length > 8 ? new Set<string>() : undefined;
  for (let i = 0; i < tags.length; i++) {
    const tag = tags[i]!;
    if (seen === undefined ? isAmong(tag, tags, i) : seen.has(tag)) continue;
    seen?.add(tag);
    if (typeof tag === "string" && writer.asciiTag(tag)) continue;
    checkHeader(writer.headerBytes + checkTag(tag));
    writer.tag(tag);
  }
  checkHeader(writer.headerBytes);
}

function isAmong(tag: string, tags: readonly string[], end: number): boolean {
  for (let i = 0; i < end; i++) if (tags[i] === tag) return true;
  return false;
}

/** Writes conditions with each tag once, counting with its lowest `after` (L3). */
export function writeConditions(writer: HeaderWriter, value: unknown): void {
  if (!Array.isArray(value)) throw new TypeError(`unless must be an array of { tag, after }, not ${show(value)}`);
  const conditions = value as readonly Condition[];
  if (conditions.length > limits.conditionsPerRecord) {
    throw new RangeError(
      `${conditions.length} conditions are more than the ${limits.conditionsPerRecord} of one record`,
    );
  }
  for (const condition of conditions) checkCondition(condition);
  if (conditions.length === 1) {
    writeCondition(writer, conditions[0]!.tag, conditions[0]!.after);
  } else {
    const lowest = new Map<string, SeqNum>();
    for (const { tag, after } of conditions) lowest.set(tag, Math.min(after, lowest.get(tag) ?? after));
    for (const [tag, after] of lowest) writeCondition(writer, tag, after);
  }
  checkHeader(writer.headerBytes);
}

function writeCondition(writer: HeaderWriter, tag: unknown, after: SeqNum): void {
  checkHeader(writer.headerBytes);
  if (typeof tag === "string" && writer.asciiCondition(tag, after)) return;
  checkHeader(writer.headerBytes + checkTag(tag));
  writer.condition(tag as string, after);
}

function checkCondition(condition: Condition): void {
  if (typeof condition !== "object" || condition === null)
    throw new TypeError(`a condition must be { tag, after }, not ${show(condition)}`);
  checkOptions("a condition", condition, conditionKeys);
  checkSeqNum("after", condition.after);
}

const conditionKeys = new Set(["tag", "after"]);

export function checkSubscriber(value: unknown): void {
  const { record, gap, end } = (value ?? {}) as Partial<Subscriber>;
  const isGap = gap === undefined || typeof gap === "function";
  if (typeof record !== "function" || typeof end !== "function" || !isGap)
    throw new TypeError(`subscribe takes an object with the functions record and end, and gap, not ${show(value)}`);
}

export function checkData(value: unknown): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) {
    throw new TypeError(
      `data must be a Uint8Array or Buffer, not ${show(value)}; encode it first, for example with Buffer.from(JSON.stringify(value))`,
    );
  }
  if (value.length > limits.recordBytes) {
    throw new LogError(
      "LOG_TOO_LARGE",
      `data has ${value.length} bytes, more than the ${limits.recordBytes} of one record; split it over several records`,
      { outcome: "none" },
    );
  }
}

function checkHeader(bytes: number): void {
  if (bytes > limits.headerBytes) {
    throw new RangeError(
      `tags and conditions take ${bytes} bytes together, more than ${limits.headerBytes}; use fewer or shorter ones`,
    );
  }
}
