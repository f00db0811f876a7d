/**
 * Which records carry which tag. A tag is interned once: (scope, bytes) to a small number, by open addressing on a hash
 * with full comparison; its bytes and its postings live outside the JavaScript heap. Scope 0 holds the names of books, and
 * a book's number is the scope of its tags. A tag that is forgotten gives all of that back, its number too.
 *
 * A tag's list holds ordinals. A book's list holds *runs*, as pairs of first and last ordinal: a book that has the log to
 * itself costs nothing for each record.
 */
import { Postings } from "./postings.js";

const byteChunkBits = 20;
export const byteChunkSize = 1 << byteChunkBits;
const byteChunkMask = byteChunkSize - 1;
/** Before the bytes of a key: scope (u32) and length (u8). */
const keyHead = 5;

/** "No such tag." */
export const unknown = -1;
/** The place of the bytes of a row that is free. */
const freeRow = 2 ** 32 - 1;

export class TagIndex {
  readonly postings = new Postings();
  /** A row for each tag: word 0 is its hash, word 1 the place of its bytes, the rest is the list's. */
  readonly rows = this.postings.rows;
  readonly byteChunks: Uint8Array[] = [];
  /** The same, to be read four bytes at a time. */
  readonly #views: DataView[] = [];
  /** What keys were looked up from last: mostly the next one lies there too. */
  #source: Uint8Array = new Uint8Array(0);
  #view = viewOf(this.#source);
  #bytesUsed = 0;
  /** Tag number + 1, or 0 where free. */
  #slots = new Uint32Array(1 << 10);
  readonly #freeRows: number[] = [];
  /** Places of forgotten keys, by their length. */
  readonly #freeKeys = new Map<number, number[]>();

  /** Keys of scope 0. */
  books = 0;

  get tags(): number {
    return this.rows.length - this.#freeRows.length - this.books;
  }

  get indexBytes(): number {
    return this.postings.bytes + this.#slots.byteLength;
  }

  get tagBytes(): number {
    return this.#bytesUsed;
  }

  get freeRows(): readonly number[] {
    return this.#freeRows;
  }

  get freeKeys(): ReadonlyMap<number, readonly number[]> {
    return this.#freeKeys;
  }

  /** Takes over what was stored, behind the rows and postings; the table of slots is made again. */
  restore(
    chunks: readonly Uint8Array[],
    bytesUsed: number,
    freeRows: readonly number[],
    freeKeys: readonly (readonly [number, number[]])[],
  ): void {
    for (const chunk of chunks) this.#addChunk(chunk);
    this.#bytesUsed = bytesUsed;
    for (const row of freeRows) this.#freeRows.push(row);
    for (const [length, keys] of freeKeys) this.#freeKeys.set(length, keys);
    let size = this.#slots.length;
    while (this.rows.length * 4 > size * 3) size *= 2;
    this.#fillSlots(size);
  }

  /** The number of a key, or `unknown`. */
  find(scope: number, source: Uint8Array, at: number, length: number): number {
    const view = this.#look(source);
    return this.#locate(hash(scope, view, at, length), scope, view, at, length);
  }

  /** Whether a number is that of a key: for who has a good guess. */
  is(tag: number, scope: number, source: Uint8Array, at: number, length: number): boolean {
    return this.#equals(tag, scope, this.#look(source), at, length);
  }

  /** The number of a key, given to it now if it has none. */
  intern(scope: number, source: Uint8Array, at: number, length: number): number {
    const view = this.#look(source);
    const code = hash(scope, view, at, length);
    const found = this.#locate(code, scope, view, at, length);
    return found === unknown ? this.#add(code, scope, source, at, length) : found;
  }

  /** The scope of a tag: the number of its book + 1, or 0 for the name of a book. */
  scope(tag: number): number {
    const key = this.rows.get(tag, 1);
    return this.#views[key >>> byteChunkBits]!.getUint32(key & byteChunkMask, true);
  }

  /** The text of a key. */
  name(tag: number): string {
    const key = this.rows.get(tag, 1);
    const bytes = this.byteChunks[key >>> byteChunkBits]!;
    const at = (key & byteChunkMask) + keyHead;
    return Buffer.from(bytes.buffer, bytes.byteOffset + at, bytes[at - 1]).toString("utf8");
  }

  /** Adds a record to a book. Records come in ascending order. */
  addToBook(book: number, ordinal: number): void {
    if (this.postings.last(book) === ordinal - 1 && ordinal > 1) {
      this.postings.replaceLast(book, ordinal);
    } else {
      this.postings.push(book, ordinal);
      this.postings.push(book, ordinal);
    }
  }

  addToTag(tag: number, ordinal: number): void {
    this.postings.push(tag, ordinal);
  }

  /** The last ordinal with this tag, or 0: what conditions are decided on. */
  last(tag: number): number {
    return this.postings.last(tag);
  }

  nextInTag(tag: number, from: number): number {
    return this.postings.ceiling(tag, from);
  }

  prevInTag(tag: number, upTo: number): number {
    return this.postings.floor(tag, upTo);
  }

  nextInBook(book: number, from: number): number {
    return this.#isInside(book, from) ? from : this.postings.ceiling(book, from);
  }

  prevInBook(book: number, upTo: number): number {
    return this.#isInside(book, upTo) ? upTo : this.postings.floor(book, upTo);
  }

  /** Behind the first of a run and not behind its last: an odd number of bounds is below. */
  #isInside(book: number, ordinal: number): boolean {
    return (this.postings.rank(book, ordinal) & 1) === 1;
  }

  /** Calls `fn` with the ordinals of a book from `from` to `to`, both inclusive. */
  forEachInBook(book: number, from: number, to: number, fn: (ordinal: number) => void): void {
    for (let ordinal = this.nextInBook(book, from); ordinal !== 0 && ordinal <= to;) {
      const inside = this.#isInside(book, ordinal);
      const end = Math.min(to, inside ? this.postings.ceiling(book, ordinal) : this.#runEnd(book, ordinal));
      while (ordinal <= end) fn(ordinal++);
      ordinal = this.nextInBook(book, ordinal);
    }
  }

  /** The end of the run that begins at an ordinal, which is in the list twice where the run is one long. */
  #runEnd(book: number, start: number): number {
    const next = this.postings.ceiling(book, start + 1);
    return next !== 0 && this.#isInside(book, next) ? next : start;
  }

  /** Forgets a tag: its number and its memory are given out again. */
  forget(tag: number): void {
    const key = this.rows.get(tag, 1);
    const length = this.byteChunks[key >>> byteChunkBits]![(key & byteChunkMask) + 4]!;
    this.#removeSlot(tag);
    this.postings.clear(tag);
    let keys = this.#freeKeys.get(length);
    if (keys === undefined) this.#freeKeys.set(length, (keys = []));
    keys.push(key);
    this.rows.set(tag, 1, freeRow);
    this.#freeRows.push(tag);
  }

  isFree(tag: number): boolean {
    return this.rows.get(tag, 1) === freeRow;
  }

  /** Takes a tag out of the table, and moves those behind it up, so that none is cut off from its place. */
  #removeSlot(tag: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = this.rows.get(tag, 0) & mask;
    while (slots[hole] !== tag + 1) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const home = this.rows.get(slots[at]! - 1, 0) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = slots[at]!;
      hole = at;
    }
    slots[hole] = 0;
  }

  #look(source: Uint8Array): DataView {
    if (source === this.#source) return this.#view;
    this.#source = source;
    return (this.#view = viewOf(source));
  }

  #locate(code: number, scope: number, source: DataView, at: number, length: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = code & mask; ; slot = (slot + 1) & mask) {
      const tag = slots[slot]! - 1;
      if (tag < 0) return unknown;
      if (this.rows.get(tag, 0) === code && this.#equals(tag, scope, source, at, length)) return tag;
    }
  }

  #equals(tag: number, scope: number, source: DataView, at: number, length: number): boolean {
    const key = this.rows.get(tag, 1);
    const bytes = this.#views[key >>> byteChunkBits]!;
    let own = key & byteChunkMask;
    if (bytes.getUint8(own + 4) !== length || bytes.getUint32(own, true) !== scope) return false;
    own += keyHead;
    let i = length;
    for (; i >= 4; i -= 4) if (bytes.getInt32(own + i - 4, true) !== source.getInt32(at + i - 4, true)) return false;
    for (; i > 0; i--) if (bytes.getUint8(own + i - 1) !== source.getUint8(at + i - 1)) return false;
    return true;
  }

  #add(code: number, scope: number, source: Uint8Array, at: number, length: number): number {
    const key = this.#freeKeys.get(length)?.pop() ?? this.#allocateKey(keyHead + length);
    const bytes = this.byteChunks[key >>> byteChunkBits]!;
    let own = key & byteChunkMask;
    for (let shift = 0; shift < 32; shift += 8) bytes[own++] = scope >>> shift;
    bytes[own++] = length;
    for (let i = 0; i < length; i++) bytes[own + i] = source[at + i]!;

    if (scope === 0) this.books++;
    const tag = this.#freeRows.pop() ?? this.postings.add();
    this.rows.set(tag, 0, code);
    this.rows.set(tag, 1, key);
    if ((this.rows.length + 1) * 4 > this.#slots.length * 3) this.#fillSlots(this.#slots.length * 2);
    else this.#place(tag, code);
    return tag;
  }

  #allocateKey(size: number): number {
    if ((this.#bytesUsed & byteChunkMask) + size > byteChunkSize) {
      this.#bytesUsed = this.byteChunks.length * byteChunkSize;
    }
    if (this.#bytesUsed >>> byteChunkBits >= this.byteChunks.length) this.#addChunk(new Uint8Array(byteChunkSize));
    const key = this.#bytesUsed;
    this.#bytesUsed += size;
    return key;
  }

  #addChunk(chunk: Uint8Array): void {
    this.byteChunks.push(chunk);
    this.#views.push(viewOf(chunk));
  }

  #place(tag: number, code: number): void {
    const mask = this.#slots.length - 1;
    let slot = code & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = tag + 1;
  }

  #fillSlots(size: number): void {
    this.#slots = new Uint32Array(size);
    for (let tag = 0; tag < this.rows.length; tag++) if (!this.isFree(tag)) this.#place(tag, this.rows.get(tag, 0));
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** FNV-1a over words of four bytes, with a final mix, so that the low bits, which choose the slot, depend on all bytes. */
function hash(scope: number, source: DataView, at: number, length: number): number {
  let code = 0x811c9dc5 ^ Math.imul(scope, 0x9e3779b1);
  const end = at + length;
  let i = at;
  for (; i + 4 <= end; i += 4) {
    code = Math.imul(code ^ source.getInt32(i, true), 0x01000193);
    code ^= code >>> 16;
  }
  for (; i < end; i++) code = Math.imul(code ^ source.getUint8(i), 0x01000193);
  code ^= code >>> 15;
  code = Math.imul(code, 0x2c1b3c6d);
  return (code ^ (code >>> 13)) >>> 0;
}
