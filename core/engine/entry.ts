/**
 * The bytes of an entry: one append as every engine sees it (L10: kind and version first). Little endian.
 *
 *     0  u8  kind: 1 = record          8  u32 bytes of data
 *     1  u8  version of this layout    12 bytes of the book's name
 *     2  u16 tags                         tags:       u8 length, bytes
 *     4  u16 conditions                   conditions: u8 length, bytes, after (u32 low, u32 high)
 *     6  u8  length of the book's name    data
 *     7  u8  0
 */
import { LogError } from "../errors.js";
import { limits } from "../limits.js";

export const entryHead = 12;
const recordKind = 1;
const recordVersion = 1;
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
  #tags = 0;
  #conditions = 0;

  begin(book: Uint8Array): void {
    if (this.start + headerMax > chunkBytes) {
      this.chunk = Buffer.allocUnsafe(chunkBytes);
      this.start = 0;
    }
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
    chunk[start] = recordKind;
    chunk[start + 1] = recordVersion;
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

/** Refuses what this version does not know (L10). */
export function checkEntry(bytes: Uint8Array, at: number, position: number): void {
  if (bytes[at] === recordKind && bytes[at + 1] === recordVersion) return;
  throw new LogError(
    "LOG_VERSION",
    `entry ${position} has kind ${bytes[at]} version ${bytes[at + 1]}, which this version of boki does not know; open the log with a newer one`,
  );
}

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** The seqnum of a condition. */
export function readAfter(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU32(bytes, at + 4) * two32;
}

function writeU32(target: Buffer, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}
