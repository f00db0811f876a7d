/**
 * What a log says: the state that entries lead to, applied one after the other. It is a function of the log's prefix and of
 * nothing else, so it is the same live, after reopening and on every machine.
 *
 * T1  Conditions are decided when an entry is applied, in log order (L3). A refused entry is in no list: no read sees it.
 * T2  An entry is applied once, however often it is in the log (L8).
 * T3  Trims hide records from reads, never from conditions: a tag keeps its last position until that is trimmed *and* at or
 *     below the horizon of its book. From then on it counts as unknown, whether or not its memory was given back already.
 *
 * Ordinals are positions above the base: 1, 2, ... (u32). Numbers of books and tags are those of the TagIndex.
 */
import { LogError } from "../errors.js";
import { ordinalsMax } from "../limits.js";
import type { SeqNum } from "../types.js";
import { entryHead, entryKind, readNumber, readU16, readU32, trimKind } from "./entry.js";
import { Live } from "./live.js";
import { TagIndex, unknown } from "./tag-index.js";
import { Timeline } from "./timeline.js";
import { anything, type Waiters } from "./waiters.js";
import { type Decision, Writers } from "./writers.js";

/** The scope of the names of books. */
const booksScope = 0;
/** Book numbers are used as scopes of their tags; 0 is taken. */
const scopeOf = (book: number): number => book + 1;

/** Tags looked at for each entry, so that the dead are a part of the living at most; and at least, when there are some to catch up. */
const sweepFactor = 4;
const sweepRows = 256;

/** What trims have said of a book. */
export interface Trimmed {
  /** Ordinals up to here are hidden. */
  trim: number;
  /** The position below which dead tags may be forgotten. */
  horizon: SeqNum;
  /** No trim, of the book or of a tag in it, reaches above this ordinal. */
  reach: number;
}

export class State {
  readonly base: SeqNum;
  readonly index = new TagIndex();
  readonly live = new Live();
  readonly writers = new Writers();
  readonly timeline = new Timeline();
  /** Only of books that were ever trimmed. */
  readonly trimmed = new Map<number, Trimmed>();
  /** A repair does not know which tags were at or below this position, in whichever book: the least horizon of all. */
  lostUpTo: SeqNum = 0;
  /** By tag: ordinals up to here are hidden. Shorter than the index where nothing was trimmed. */
  trims: Uint32Array = new Uint32Array(0);
  /** Position of the last entry applied, and log time then (L9). */
  applied: SeqNum;
  time = 0;
  entries = 0;
  records = 0;
  /** Trims applied since this was opened. */
  trimsSeen = 0;
  /** Bytes of the entries applied. */
  bytes = 0;
  /** Numbers of the books that ever had a record. */
  readonly books: number[] = [];
  /** Of the last record: mostly the next one's too. */
  #book = unknown;
  #sweepAt = 0;
  #sweepDue = 0;
  /** Rows to look at until all have been since the last trim, or since opening: only trims make any dead. */
  #unswept = Infinity;

  /** Number of the book of the last record applied. */
  get lastBook(): number {
    return this.#book;
  }

  constructor(base: SeqNum) {
    this.base = base;
    this.applied = base - 1;
  }

  /**
   * Applies the entry at `start`. Gives the position at which it is in the log (another one, for a copy), what refused it, or
   * `"unknown"` for a copy whose first nobody remembers.
   */
  apply(bytes: Buffer, start: number, seqnum: SeqNum, time: number, waiters: Waiters): Decision | "unknown" {
    const ordinal = seqnum - this.base + 1;
    if (ordinal > ordinalsMax) {
      throw new LogError("LOG_FULL", `the log has ${ordinalsMax} entries, more than one index can hold`, {
        outcome: "none",
      });
    }
    const kind = entryKind(bytes, start, seqnum);
    this.applied = seqnum;
    this.entries++;
    if (time > this.time) this.time = time;
    const n = readNumber(bytes, start + 24);
    const admitted = this.writers.admit(readNumber(bytes, start + 16), n, n - readU32(bytes, start + 12), this.time);
    if (admitted !== "new") return admitted;
    const decision =
      kind === trimKind
        ? this.#applyTrim(bytes, start, ordinal, seqnum)
        : this.#applyRecord(bytes, start, ordinal, seqnum, waiters);
    this.writers.decided(decision);
    return decision;
  }

  #applyRecord(bytes: Buffer, start: number, ordinal: number, seqnum: SeqNum, waiters: Waiters): Decision {
    const { index } = this;
    const tags = readU16(bytes, start + 2);
    const conditions = readU16(bytes, start + 4);
    const nameLength = bytes[start + 6]!;
    let at = start + entryHead;
    const isSame = this.#book !== unknown && index.is(this.#book, booksScope, bytes, at, nameLength);
    const book = isSame ? this.#book : (this.#book = index.intern(booksScope, bytes, at, nameLength));
    const scope = scopeOf(book);
    at += nameLength;

    const trimmed = this.trimmed.size === 0 ? undefined : this.trimmed.get(book);
    if (conditions > 0) {
      let condition = at;
      for (let i = 0; i < tags; i++) condition += 1 + bytes[condition]!;
      for (let i = 0; i < conditions; i++) {
        const length = bytes[condition]!;
        const tag = index.find(scope, bytes, condition + 1, length);
        condition += 1 + length;
        const after = readNumber(bytes, condition);
        condition += 8;
        const last = this.#lastForConditions(tag, after, trimmed);
        if (last > after) {
          const name = bytes.toString("utf8", condition - 8 - length, condition - 8);
          return { ok: false, conflict: { tag: name, seqnum: last } };
        }
      }
    }

    const watched = waiters.count > 0;
    for (let i = 0; i < tags; i++) {
      const length = bytes[at]!;
      const tag = index.intern(scope, bytes, at + 1, length);
      at += 1 + length;
      // A forgotten tag begins anew, also where its memory was not given back yet: without its trim, and what that hid.
      if (trimmed !== undefined && (this.trims[tag] ?? 0) > 0 && this.#isForgotten(tag, trimmed)) {
        this.trims[tag] = 0;
        index.postings.clear(tag);
      }
      index.addToTag(tag, ordinal);
      if (watched) waiters.touch(tag);
    }
    if (index.last(book) === 0) this.books.push(book);
    index.addToBook(book, ordinal);
    if (watched) waiters.touch(book);
    this.live.set(ordinal, tags);
    this.records++;
    return seqnum;
  }

  /** The last position of a tag as conditions see it; for one that is not known, the horizon stands in for `after` in between. */
  #lastForConditions(tag: number, after: SeqNum, trimmed: Trimmed | undefined): SeqNum {
    if (tag !== unknown && (trimmed === undefined || !this.#isForgotten(tag, trimmed))) {
      return this.seqnum(this.index.last(tag));
    }
    return after === 0 ? 0 : Math.max(trimmed?.horizon ?? 0, this.lostUpTo);
  }

  #isForgotten(tag: number, trimmed: Trimmed): boolean {
    const last = this.index.last(tag);
    return last <= Math.max(trimmed.trim, this.trims[tag] ?? 0) && this.seqnum(last) <= trimmed.horizon;
  }

  #applyTrim(bytes: Buffer, start: number, ordinal: number, seqnum: SeqNum): Decision {
    const { index } = this;
    const nameLength = bytes[start + 6]!;
    let at = start + entryHead;
    const book = index.find(booksScope, bytes, at, nameLength);
    if (book === unknown) return seqnum;
    at += nameLength;
    let trimmed = this.trimmed.get(book);
    if (trimmed === undefined) this.trimmed.set(book, (trimmed = { trim: 0, horizon: 0, reach: 0 }));
    this.#unswept = Infinity;
    this.trimsSeen++;
    const isTag = readU16(bytes, start + 2) > 0;
    const tag = isTag ? index.find(scopeOf(book), bytes, at + 1, bytes[at]!) : unknown;
    if (isTag) at += 1 + bytes[at]!;
    const upTo = Math.min(ordinal - 1, readNumber(bytes, at) - this.base + 1);
    trimmed.horizon = Math.max(trimmed.horizon, Math.min(seqnum - 1, readNumber(bytes, at + 8)));
    trimmed.reach = Math.max(trimmed.reach, upTo);
    if (tag !== unknown) this.#trimTag(tag, upTo);
    else if (!isTag && upTo > trimmed.trim) {
      index.forEachInBook(book, trimmed.trim + 1, upTo, (dead) => {
        if (this.live.clear(dead)) this.records--;
      });
      trimmed.trim = upTo;
      index.postings.dropUpTo(book, upTo);
    }
    return seqnum;
  }

  #trimTag(tag: number, upTo: number): void {
    const before = this.trims[tag] ?? 0;
    if (upTo <= before) return;
    this.index.postings.forEach(tag, before + 1, upTo, (ordinal) => {
      if (this.live.release(ordinal)) this.records--;
    });
    if (tag >= this.trims.length) {
      const trims = new Uint32Array(Math.max(1024, this.index.rows.length * 2));
      trims.set(this.trims);
      this.trims = trims;
    }
    this.trims[tag] = upTo;
    this.index.postings.dropUpTo(tag, upTo);
  }

  /**
   * Gives back the memory of dead postings and forgotten tags, after `count` entries: looks at more tags than can have come with
   * those, each call going on behind the last. What is missed while a checkpoint is written is caught up bit by bit.
   */
  sweep(count: number, waiters: Waiters): void {
    const { index } = this;
    if (this.trimmed.size === 0 || this.#unswept === 0) return;
    this.#unswept = Math.min(this.#unswept, index.rows.length);
    this.#sweepDue = Math.min(this.#sweepDue + sweepFactor * count, this.#unswept);
    if (index.postings.frozen) return;
    const rows = Math.min(this.#sweepDue, 2 * sweepFactor * count + sweepRows);
    this.#sweepDue -= rows;
    this.#unswept -= rows;
    for (let left = rows; left > 0; left--) {
      const tag = this.#sweepAt++;
      if (this.#sweepAt >= index.rows.length) this.#sweepAt = 0;
      if (index.isFree(tag)) continue;
      const scope = index.scope(tag);
      const trimmed = scope === booksScope ? undefined : this.trimmed.get(scope - 1);
      if (trimmed === undefined) continue;
      if (this.#isForgotten(tag, trimmed)) {
        if (tag < this.trims.length) this.trims[tag] = 0;
        index.forget(tag);
        waiters.move(tag, anything);
      } else {
        index.postings.dropUpTo(tag, Math.max(trimmed.trim, this.trims[tag] ?? 0));
      }
    }
  }

  /** Much is to be swept: what is frozen for a checkpoint now would only grow. */
  get isUnswept(): boolean {
    return this.#sweepDue > this.index.rows.length / 4;
  }

  // Looking

  /** The number of a book, or `unknown`. It stays the same once there is one. */
  findBook(name: Uint8Array): number {
    return this.index.find(booksScope, name, 0, name.length);
  }

  /** The number of a tag in a book, or `unknown`. `key` has the tag behind a byte of length, and ends at `end`. */
  findTag(book: number, key: Uint8Array, end: number): number {
    return this.index.find(scopeOf(book), key, 1, end - 1);
  }

  /** Names of the books with records that are not trimmed with their book. */
  bookNames(): string[] {
    return this.books
      .filter((book) => this.index.last(book) > (this.trimmed.get(book)?.trim ?? 0))
      .map((book) => this.index.name(book))
      .sort();
  }

  /** The last position that is hidden from a stream; `tag` undefined: from the book. */
  trimPoint(book: number, tag: number | undefined): SeqNum {
    return this.seqnum(this.#hidden(book, tag));
  }

  /** The horizon that a trim of now brings. */
  get horizon(): SeqNum {
    return this.timeline.horizon(this.time);
  }

  /** No record of a book above this position was ever removed. */
  trimReach(book: number): SeqNum {
    return this.seqnum(this.trimmed.get(book)?.reach ?? 0);
  }

  #hidden(book: number, tag: number | undefined): number {
    if (this.trimmed.size === 0) return 0;
    const ofBook = this.trimmed.get(book)?.trim ?? 0;
    return tag === undefined || tag === unknown ? ofBook : Math.max(ofBook, this.trims[tag] ?? 0);
  }

  /** Position of the first record at or above `from` in a book or a tag's stream, or 0. */
  next(book: number, tag: number | undefined, from: SeqNum): SeqNum {
    if (book === unknown || tag === unknown) return 0;
    let ordinal = Math.max(from - this.base, this.#hidden(book, tag)) + 1;
    if (ordinal < 1) ordinal = 1;
    if (ordinal > ordinalsMax) return 0;
    // In a tag's stream only those are gone that a repair found lost.
    do ordinal = tag === undefined ? this.index.nextInBook(book, ordinal) : this.index.nextInTag(tag, ordinal);
    while (ordinal > 0 && this.live.get(ordinal) === 0 && ordinal++ > 0);
    return this.seqnum(ordinal);
  }

  /** Position of the last record at or below `upTo`, or 0. */
  prev(book: number, tag: number | undefined, upTo: SeqNum): SeqNum {
    if (book === unknown || tag === unknown) return 0;
    const hidden = this.#hidden(book, tag);
    let ordinal = Math.min(ordinalsMax, upTo - this.base + 1);
    if (ordinal <= hidden) return 0;
    do ordinal = tag === undefined ? this.index.prevInBook(book, ordinal) : this.index.prevInTag(tag, ordinal);
    while (ordinal > hidden && this.live.get(ordinal) === 0 && ordinal-- > 0);
    return ordinal > hidden ? this.seqnum(ordinal) : 0;
  }

  seqnum(ordinal: number): SeqNum {
    return ordinal === 0 ? 0 : ordinal + this.base - 1;
  }

  /** Whether anybody may still ask for the entry at a position: whether it is a record with a tag that is not trimmed. */
  isNeeded(seqnum: SeqNum): boolean {
    return this.live.get(seqnum - this.base + 1) > 0;
  }

  get indexBytes(): number {
    return this.index.indexBytes + this.live.bytes + this.trims.byteLength;
  }
}
