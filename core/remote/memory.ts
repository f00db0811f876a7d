/**
 * What a client remembers of records: those that it was given, and aux data. A record is as it was while no trim of its book has reached
 * it; the server says how far they reach before it gives anything that came behind them, so reads never go backwards (L4).
 */
import { ByteCache, recordBytes } from "../engine/caches.js";
import { makeRecord, withAux } from "../engine/record.js";
import type { LogRecord, SeqNum } from "../types.js";
import type { Speaker } from "./connection.js";
import type { ServerFrame, WireRecord } from "./wire.js";

/** Bytes of a piece of memory that small records' data shares, and of what is small: an allocation for each costs more than the copy. */
const slabBytes = 16 << 10;
const smallBytes = slabBytes / 8;

const noData = new Uint8Array(0);

interface Kept {
  readonly book: string;
  readonly record: LogRecord;
}

interface KeptAux {
  readonly book: string;
  readonly bytes: Uint8Array;
}

export class Memory implements Speaker {
  readonly #cacheBytes: number;
  #records: ByteCache<Kept>;
  readonly #aux: ByteCache<KeptAux>;
  readonly #reaches = new Map<string, SeqNum>();
  #slab = new ArrayBuffer(slabBytes);
  #slabEnd = 0;

  constructor(cacheBytes: number, auxBytes: number) {
    this.#cacheBytes = cacheBytes;
    this.#records = new ByteCache(cacheBytes);
    this.#aux = new ByteCache(auxBytes);
  }

  /** The record at a position, in a stream, if it is remembered and still there. */
  find(book: string, tag: string | undefined, seqnum: SeqNum): LogRecord | undefined {
    const kept = this.#records.get(seqnum);
    if (kept === undefined || kept.book !== book || seqnum <= this.reach(book)) return undefined;
    if (tag !== undefined && !kept.record.tags.includes(tag)) return undefined;
    return this.#withAux(book, kept.record);
  }

  /** A record that came, with the aux data that there is. */
  take(book: string, { seqnum, time, tags = [], data = noData, size = data.length }: WireRecord): LogRecord {
    const record = makeRecord({ seqnum, time, tags: Object.freeze(tags), size }, this.#copy(data));
    this.#records.set(seqnum, { book, record }, recordBytes(record));
    return this.#withAux(book, record);
  }

  /** The bytes are a part of a message, which nobody shall keep for them. */
  #copy(data: Uint8Array): Uint8Array {
    if (data.length > smallBytes) return new Uint8Array(data);
    if (this.#slabEnd + data.length > slabBytes) {
      this.#slab = new ArrayBuffer(slabBytes);
      this.#slabEnd = 0;
    }
    const copy = new Uint8Array(this.#slab, this.#slabEnd, data.length);
    copy.set(data);
    this.#slabEnd += data.length;
    return copy;
  }

  aux(book: string, seqnum: SeqNum): Uint8Array | undefined {
    if (this.#aux.size === 0) return undefined;
    const kept = this.#aux.get(seqnum);
    return kept?.book === book ? kept.bytes : undefined;
  }

  #withAux(book: string, record: LogRecord): LogRecord {
    const aux = this.aux(book, record.seqnum);
    return aux === undefined ? record : withAux(record, aux);
  }

  setAux(book: string, seqnum: SeqNum, bytes: Uint8Array): void {
    this.#aux.set(seqnum, { book, bytes: Uint8Array.from(bytes) }, bytes.length + 100);
  }

  /** Trims of a book reach up to here, as far as is known. */
  reach(book: string): SeqNum {
    return this.#reaches.get(book) ?? 0;
  }

  /** The last to hear a frame: its records may have been read before the trims that it tells of. */
  hear({ reaches = [] }: ServerFrame): void {
    for (const { book, position = 0 } of reaches) this.#reaches.set(book, Math.max(position, this.reach(book)));
  }

  opened(): void {
    // Nobody said how far trims reached meanwhile.
    this.#records = new ByteCache(this.#cacheBytes);
    this.#reaches.clear();
  }

  speak(): void {
    // It only listens.
  }

  failed(): void {
    // Nobody waits for it.
  }

  stats(): {
    readonly recordCache: { bytes: number; entries: number };
    readonly auxCache: { bytes: number; entries: number };
  } {
    return { recordCache: this.#records.stats(), auxCache: this.#aux.stats() };
  }
}
