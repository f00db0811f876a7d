/**
 * The bytes of an entry: what every engine sees of an append or a trim (L10: kind and version first). Little endian.
 *
 *     0  u8  kind: 1 = record, 2 = trim     12 u32 n - acked: entries of the writer without an answer yet, this one counted
 *     1  u8  version of this layout         16 u32, u32 writer, low and high (below 2^53)
 *     2  u16 tags                           24 u32, u32 n, low and high: 1, 2, ... in the writer's order (L8)
 *     4  u16 conditions                     32 bytes of the book's name
 *     6  u8  length of the book's name         tags:       u8 length, bytes
 *     7  u8  0                                 conditions: u8 length, bytes, after (u32 low, u32 high)
 *     8  u32 bytes of data                     data
 *
 * The data of a trim is upTo and horizon, each u32 low and high; with a tag it is for that stream only. An upTo of
 * 2^53-1 means "all before this entry".
 */
import { LogError } from "../errors.js";
import { limits } from "../limits.js";

export const entryHead = 32;
export const recordKind = 1;
export const trimKind = 2;
const entryVersion = 1;
const two32 = 2 ** 32;

/** The largest header: all but the data of an entry; the last tag or condition is written before the bound is checked. */
const headerMax = entryHead + limits.bookNameBytes + limits.headerBytes + 4 * limits.tagBytes;
const chunkBytes = 1 << 20;

/**
 * Headers of appends under way, written once, when `append` is called; the data follows them into the batch later.
 * They lie behind each other in chunks, which go when the last append in them is settled.
 */
export class HeaderWriter {
  chunk = Buffer.allocUnsafe(chunkBytes);
  /** Where the header being written begins, and where it goes on. */
  start = 0;
  at = 0;
  #kind = 0;
  #tags = 0;
  #conditions = 0;

  begin(kind: number, book: Uint8Array): void {
    if (this.start + headerMax > chunkBytes) {
      this.chunk = Buffer.allocUnsafe(chunkBytes);
      this.start = 0;
    }
    this.#kind = kind;
    const { chunk, start } = this;
    chunk[start + 6] = book.length;
    this.at = start + entryHead;
    for (let i = 0; i < book.length; i++) chunk[this.at++] = book[i]!;
    this.#tags = 0;
    this.#conditions = 0;
  }

  /** Writes a tag of ASCII characters; false, and nothing written, for any other or one of no proper length. */
  asciiTag(tag: string): boolean {
    const end = writeAscii(this.chunk, this.at, tag);
    if (end === 0) return false;
    this.at = end;
    this.#tags++;
    return true;
  }

  tag(tag: string): void {
    this.at = writeShort(this.chunk, this.at, tag);
    this.#tags++;
  }

  /** Writes a condition on a tag of ASCII characters; false, and nothing written, for any other or one of no proper length. */
  asciiCondition(tag: string, after: number): boolean {
    const end = writeAscii(this.chunk, this.at, tag);
    if (end === 0) return false;
    this.#after(end, after);
    return true;
  }

  condition(tag: string, after: number): void {
    this.#after(writeShort(this.chunk, this.at, tag), after);
  }

  #after(at: number, after: number): void {
    writeU32(this.chunk, at, after);
    writeU32(this.chunk, at + 4, after / two32);
    this.at = at + 8;
    this.#conditions++;
  }

  /** Bytes of tags and conditions so far. */
  get headerBytes(): number {
    return this.at - this.start - entryHead - this.chunk[this.start + 6]!;
  }

  /** Ends the header and gives its length; the next one begins behind it. */
  end(dataBytes: number): number {
    const { chunk, start } = this;
    chunk[start] = this.#kind;
    chunk[start + 1] = entryVersion;
    chunk[start + 2] = this.#tags;
    chunk[start + 3] = this.#tags >>> 8;
    chunk[start + 4] = this.#conditions;
    chunk[start + 5] = this.#conditions >>> 8;
    chunk[start + 7] = 0;
    writeU32(chunk, start + 8, dataBytes);
    this.start = this.at;
    return this.at - start;
  }
}

/** UTF-8 bytes of a string. */
export function byteLength(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return Buffer.byteLength(text);
  return text.length;
}

/** Writes 1 to 255 ASCII characters with their number before them; returns the position behind, or 0 for any other string. */
export function writeAscii(target: Buffer, at: number, text: string): number {
  const length = text.length;
  if (length === 0 || length > 255) return 0;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return 0;
    target[at + 1 + i] = code;
  }
  target[at] = length;
  return at + 1 + length;
}

/** Writes a string of at most 255 UTF-8 bytes with its length before it; returns the position behind it. */
export function writeShort(target: Buffer, at: number, text: string): number {
  const end = writeAscii(target, at, text);
  if (end > 0) return end;
  const bytes = target.write(text, at + 1, "utf8");
  target[at] = bytes;
  return at + 1 + bytes;
}

/** Writes who gives the entry at `at`: done last, when it is handed over. */
export function writeWriter(target: Buffer, at: number, writer: number, n: number, acked: number): void {
  writeU32(target, at + 12, n - acked);
  writeU32(target, at + 16, writer);
  writeU32(target, at + 20, writer / two32);
  writeU32(target, at + 24, n);
  writeU32(target, at + 28, n / two32);
}

/** The data of a trim. */
export function trimData(upTo: number, horizon: number): Buffer {
  const data = Buffer.alloc(16);
  writeU32(data, 0, upTo);
  writeU32(data, 4, upTo / two32);
  writeU32(data, 8, horizon);
  writeU32(data, 12, horizon / two32);
  return data;
}

/** Sets the horizon of a trim whose bytes end at `end`. */
export function writeHorizon(target: Buffer, end: number, horizon: number): void {
  writeU32(target, end - 8, horizon);
  writeU32(target, end - 4, horizon / two32);
}

/** The tags of the entry at `at`, frozen. */
export function readTags(bytes: Buffer, at: number): readonly string[] {
  const tags: string[] = [];
  let from = at + entryHead + bytes[at + 6]!;
  for (let left = readU16(bytes, at + 2); left > 0; left--) {
    const length = bytes[from++]!;
    tags.push(bytes.toString("utf8", from, from + length));
    from += length;
  }
  return Object.freeze(tags);
}

/** The kind of an entry; refuses what this version does not know (L10). */
export function entryKind(bytes: Uint8Array, at: number, position: number): number {
  const kind = bytes[at]!;
  if ((kind === recordKind || kind === trimKind) && bytes[at + 1] === entryVersion) return kind;
  throw new LogError(
    "LOG_VERSION",
    `entry ${position} has kind ${kind} version ${bytes[at + 1]}, which this version of boki does not know; open the log with a newer one`,
  );
}

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** A number below 2^53: u32 low, u32 high. */
export function readNumber(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU32(bytes, at + 4) * two32;
}

function writeU32(target: Buffer, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}
