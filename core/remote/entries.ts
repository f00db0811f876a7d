/** Appends as a client sends them: entries behind each other, of which nothing is believed. */
import { isUtf8 } from "node:buffer";
import { entryHead, readNumber, readU16, readU32, recordKind, trimKind } from "../engine/entry.js";
import { limits } from "../limits.js";

/** So many tags are compared with each other, one by one. */
const fewTags = 8;
/** Bytes of a trim's data. */
const trimBytes = 16;

/** What no client says: the stream ends. */
export class ProtocolError extends Error {}

/** Calls `fn` with each entry in `bytes`. Throws ProtocolError at the first that is none; those before it have been given. */
export function forEachEntry(bytes: Buffer, fn: (entry: Buffer) => void): void {
  let at = 0;
  while (at < bytes.length) {
    const end = checkEntry(bytes, at);
    fn(bytes.subarray(at, end));
    at = end;
  }
}

/** The UTF-8 bytes of an entry's book. */
export function bookOf(entry: Buffer): Buffer {
  return entry.subarray(entryHead, entryHead + entry[6]!);
}

/** Whether it is this book's. */
export function isOf(entry: Buffer, book: Buffer): boolean {
  if (entry[6] !== book.length) return false;
  for (let i = 0; i < book.length; i++) if (entry[entryHead + i] !== book[i]) return false;
  return true;
}

/** Gives the end of the entry at `start`. */
function checkEntry(bytes: Buffer, start: number): number {
  check(start + entryHead <= bytes.length, "it ends in the middle of a header");
  const isTrim = bytes[start] === trimKind;
  check((isTrim || bytes[start] === recordKind) && bytes[start + 1] === 1, "it has an unknown kind or version");
  const tags = readU16(bytes, start + 2);
  const conditions = readU16(bytes, start + 4);
  const name = bytes[start + 6]!;
  const size = readU32(bytes, start + 8);
  if (isTrim) check(tags <= 1 && conditions === 0 && size === trimBytes, "it is no trim");
  else check(tags > 0 && tags <= limits.tagsPerRecord, "it has no tags, or too many");
  check(conditions <= limits.conditionsPerRecord, "it has too many conditions");
  check(name > 0 && bytes[start + 7] === 0, "it names no book");
  check(size <= limits.recordBytes, "its data is over the limit");
  const n = readNumber(bytes, start + 24);
  const unanswered = readU32(bytes, start + 12);
  check(readNumber(bytes, start + 16) > 0 && isSafe(bytes, start + 20), "it has no writer");
  check(n > 0 && isSafe(bytes, start + 28) && unanswered > 0 && unanswered <= n, "it has no number");

  let at = start + entryHead;
  checkText(bytes, at, (at += name));
  const header = at;
  for (let i = 0; i < tags; i++) at = endOfText(bytes, at);
  if (tags > 1) checkDifferent(bytes, header, tags);
  for (let i = 0; i < conditions; i++) {
    at = endOfText(bytes, at) + 8;
    check(at <= bytes.length && isSafe(bytes, at - 4), "it ends in the middle of a condition");
  }
  check(at - header <= limits.headerBytes, "its tags and conditions are over the limit");
  check(at + size <= bytes.length, "it ends in the middle of its data");
  return at + size;
}

/** Of texts that lie behind each other. */
function checkDifferent(bytes: Buffer, start: number, count: number): void {
  if (count > fewTags) {
    const seen = new Set<string>();
    for (let i = 0, at = start; i < count; i++) seen.add(bytes.toString("latin1", at, (at += 1 + bytes[at]!)));
    check(seen.size === count, "it has a tag twice");
    return;
  }
  for (let i = 1, at = start + 1 + bytes[start]!; i < count; i++, at += 1 + bytes[at]!)
    for (let before = start; before < at; before += 1 + bytes[before]!)
      check(!isSameText(bytes, before, at), "it has a tag twice");
}

function isSameText(bytes: Buffer, one: number, other: number): boolean {
  for (let left = bytes[one]!; left >= 0; left--) if (bytes[one++] !== bytes[other++]) return false;
  return true;
}

/** A text of 1 to 255 bytes behind its length. */
function endOfText(bytes: Buffer, at: number): number {
  check(at < bytes.length && bytes[at]! > 0, "it has an empty tag");
  const end = at + 1 + bytes[at]!;
  checkText(bytes, at + 1, end);
  return end;
}

function checkText(bytes: Buffer, from: number, to: number): void {
  check(to <= bytes.length, "it ends in the middle of a text");
  for (let i = from; i < to; i++) {
    if (bytes[i]! < 128) continue;
    check(isUtf8(bytes.subarray(from, to)), "it has a text that is no UTF-8");
    return;
  }
}

/** Whether the upper half of a number, at `at`, keeps it below 2^53. */
function isSafe(bytes: Buffer, at: number): boolean {
  return readU32(bytes, at) < 1 << 21;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new ProtocolError(`an append is no entry: ${what}`);
}
