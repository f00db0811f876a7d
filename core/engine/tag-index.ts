/**
 * Which records carry which tag. A tag is interned once: (scope, bytes) to a small number, by open addressing on a hash
 * with full comparison; its bytes and its postings live outside the JavaScript heap. Scope 0 holds the names of books, and
 * a book's number is the scope of its tags.
 *
 * A tag's list holds ordinals. A book's list holds *runs*, as pairs of first and last ordinal: a book that has the log to
 * itself costs nothing for each record.
 */
import { Postings } from "./postings.js";

const byteChunkBits = 20;
const byteChunkSize = 1 << byteChunkBits;
const byteChunkMask = byteChunkSize - 1;
/** Before the bytes of a key: scope (u32) and length (u8). */
const keyHead = 5;

/** "No such tag." */
export const unknown = -1;

export class TagIndex {
  readonly #postings = new Postings();
  /** A row for each tag: word 0 is its hash, word 1 the place of its bytes, the rest is the list's. */
  readonly #rows = this.#postings.rows;
  readonly #bytes: Uint8Array[] = [];
  #bytesUsed = 0;
  /** Tag number + 1, or 0 where free. */
  #slots = new Uint32Array(1 << 10);
  #records = 0;

  get tags(): number {
    return this.#rows.length;
  }

  get records(): number {
    return this.#records;
  }

  get indexBytes(): number {
    return this.#postings.bytes + this.#slots.byteLength;
  }

  get tagBytes(): number {
    return this.#bytesUsed;
  }

  /** The number of a key, or `unknown`. */
  find(scope: number, source: Uint8Array, at: number, length: number): number {
    return this.#locate(hash(scope, source, at, length), scope, source, at, length);
  }

  /** The number of a key, given to it now if it has none. */
  intern(scope: number, source: Uint8Array, at: number, length: number): number {
    const code = hash(scope, source, at, length);
    const found = this.#locate(code, scope, source, at, length);
    return found === unknown ? this.#add(code, scope, source, at, length) : found;
  }

  /** Adds a record to a book. Records come in ascending order. */
  addToBook(book: number, ordinal: number): void {
    this.#records++;
    if (this.#postings.last(book) === ordinal - 1 && ordinal > 1) {
      this.#postings.replaceLast(book, ordinal);
    } else {
      this.#postings.push(book, ordinal);
      this.#postings.push(book, ordinal);
    }
  }

  addToTag(tag: number, ordinal: number): void {
    this.#postings.push(tag, ordinal);
  }

  /** The last ordinal with this tag, or 0: what conditions are decided on. */
  last(tag: number): number {
    return this.#postings.last(tag);
  }

  nextInTag(tag: number, from: number): number {
    return this.#postings.ceiling(tag, from);
  }

  prevInTag(tag: number, upTo: number): number {
    return this.#postings.floor(tag, upTo);
  }

  nextInBook(book: number, from: number): number {
    const next = this.#postings.ceiling(book, from);
    // An odd number of bounds below: `from` is behind the first and not behind the last of a run.
    return next > from && (this.#postings.rank(book, from) & 1) === 1 ? from : next;
  }

  prevInBook(book: number, upTo: number): number {
    const prev = this.#postings.floor(book, upTo);
    return prev > 0 && prev < upTo && (this.#postings.rank(book, upTo) & 1) === 1 ? upTo : prev;
  }

  #locate(code: number, scope: number, source: Uint8Array, at: number, length: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = code & mask; ; slot = (slot + 1) & mask) {
      const tag = slots[slot]! - 1;
      if (tag < 0) return unknown;
      if (this.#rows.get(tag, 0) === code && this.#equals(tag, scope, source, at, length)) return tag;
    }
  }

  #equals(tag: number, scope: number, source: Uint8Array, at: number, length: number): boolean {
    const key = this.#rows.get(tag, 1);
    const bytes = this.#bytes[key >>> byteChunkBits]!;
    let own = key & byteChunkMask;
    if (bytes[own + 4] !== length) return false;
    if (word(bytes, own) !== (scope | 0)) return false;
    own += keyHead;
    let i = length;
    for (; i >= 4; i -= 4) if (word(bytes, own + i - 4) !== word(source, at + i - 4)) return false;
    for (; i > 0; i--) if (bytes[own + i - 1] !== source[at + i - 1]) return false;
    return true;
  }

  #add(code: number, scope: number, source: Uint8Array, at: number, length: number): number {
    if ((this.#bytesUsed & byteChunkMask) + keyHead + length > byteChunkSize) {
      this.#bytesUsed = this.#bytes.length * byteChunkSize;
    }
    if (this.#bytesUsed >>> byteChunkBits >= this.#bytes.length) this.#bytes.push(new Uint8Array(byteChunkSize));
    const key = this.#bytesUsed;
    this.#bytesUsed += keyHead + length;
    const bytes = this.#bytes[key >>> byteChunkBits]!;
    let own = key & byteChunkMask;
    for (let shift = 0; shift < 32; shift += 8) bytes[own++] = scope >>> shift;
    bytes[own++] = length;
    for (let i = 0; i < length; i++) bytes[own + i] = source[at + i]!;

    const tag = this.#postings.add();
    this.#rows.set(tag, 0, code);
    this.#rows.set(tag, 1, key);
    if ((tag + 1) * 4 > this.#slots.length * 3) this.#grow();
    else this.#place(tag, code);
    return tag;
  }

  #place(tag: number, code: number): void {
    const mask = this.#slots.length - 1;
    let slot = code & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = tag + 1;
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let tag = 0; tag < this.#rows.length; tag++) this.#place(tag, this.#rows.get(tag, 0));
  }
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** FNV-1a over words of four bytes, with a final mix, so that the low bits, which choose the slot, depend on all bytes. */
function hash(scope: number, source: Uint8Array, at: number, length: number): number {
  let code = 0x811c9dc5 ^ Math.imul(scope, 0x9e3779b1);
  const end = at + length;
  let i = at;
  for (; i + 4 <= end; i += 4) {
    code = Math.imul(code ^ word(source, i), 0x01000193);
    code ^= code >>> 16;
  }
  for (; i < end; i++) code = Math.imul(code ^ source[i]!, 0x01000193);
  code ^= code >>> 15;
  code = Math.imul(code, 0x2c1b3c6d);
  return (code ^ (code >>> 13)) >>> 0;
}
