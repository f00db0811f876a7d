/**
 * The engine: gives appends to a loglet in call order, follows its feed, and answers reads from what it has applied.
 *
 * E1  Its state is a function of the entries applied: live and at reopening they take the same path, from the same bytes.
 * E2  Conditions are decided when an entry is applied, in log order (L3); a refused entry is in no list, so no read sees it.
 * E3  An entry is applied only once it is durable, so no read shows a record that could still be lost (L4).
 * E4  Appends are handed over as late as possible: whatever is there when the loglet can take the next batch.
 *
 * Called by sessions (log.ts); calls a Loglet, the TagIndex, the caches and the waiters.
 */
import { closedError, LogError } from "../errors.js";
import { limits, ordinalsMax } from "../limits.js";
import type { Batch, Loglet, Sink, StoredEntry } from "../loglet/loglet.js";
import type { Clock, LogRecord, LogStats, Refused, SeqNum } from "../types.js";
import type { Append } from "./append.js";
import { ByteCache, recordBytes } from "./caches.js";
import { checkEntry, entryHead, HeaderWriter, readAfter, readU16 } from "./entry.js";
import { decodeRecord, withAux } from "./record.js";
import { TagIndex, unknown } from "./tag-index.js";
import { Waiters } from "./waiters.js";

/** The scope of the names of books. */
const booksScope = 0;
/** Book numbers are used as scopes of their tags; 0 is taken. */
const scopeOf = (book: number): number => book + 1;

export interface EngineOptions {
  readonly cacheBytes: number;
  readonly auxBytes: number;
  readonly clock: Clock;
}

export class Engine implements Sink {
  readonly loglet: Loglet;
  readonly clock: Clock;
  readonly waiters = new Waiters();
  readonly headers = new HeaderWriter();
  readonly #index = new TagIndex();
  readonly #records: ByteCache<LogRecord>;
  readonly #aux: ByteCache<Uint8Array>;
  #applied: SeqNum;
  #entries = 0;

  #queue: Append[] = [];
  #queueBytes = 0;
  /** Some in the queue were given up: it must be looked through. */
  #queueHoles = false;
  #underWay = 0;
  #pumping = false;
  #hooks: (() => void)[] = [];
  #idle: (() => void)[] = [];
  #fault: LogError | undefined;

  private constructor(loglet: Loglet, options: EngineOptions) {
    this.loglet = loglet;
    this.clock = options.clock;
    this.#records = new ByteCache(options.cacheBytes);
    this.#aux = new ByteCache(options.auxBytes);
    this.#applied = loglet.base - 1;
  }

  /** An engine that has applied all that is in the loglet. */
  static async start(loglet: Loglet, options: EngineOptions): Promise<Engine> {
    const engine = new Engine(loglet, options);
    await loglet.subscribe(loglet.base, engine);
    return engine;
  }

  /** The position of the last entry applied. */
  get applied(): SeqNum {
    return this.#applied;
  }

  // Appending

  append(append: Append): void {
    if (this.#fault !== undefined) {
      append.fail(this.#refusal());
      return;
    }
    this.#queue.push(append);
    this.#queueBytes += append.size;
    if (!this.#pumping) this.#pump();
  }

  /** Gives up appends: those not yet handed over will never appear. */
  abandon(appends: readonly Append[], error: LogError): void {
    for (const append of appends) append.fail(error);
    this.#queueHoles = true;
  }

  /** Calls `fn` once, just before the next batch is taken. */
  beforeFlush(fn: () => void): void {
    this.#hooks.push(fn);
    if (!this.#pumping) this.#pump();
  }

  /** Resolves when all that was accepted is decided. */
  drained(): Promise<void> {
    if (this.#queue.length === 0 && this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #pump(): void {
    if (this.#underWay >= this.loglet.depth) return;
    this.#pumping = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#pumping = false;
    const hooks = this.#hooks;
    if (hooks.length > 0) {
      this.#hooks = [];
      for (const hook of hooks) hook();
    }
    const batch = this.#take();
    if (batch.length === 0) {
      this.#settleIdle();
      return;
    }
    this.#underWay++;
    this.loglet.append(batch).then(this.#done, (error: unknown) => this.#failedBatch(batch, error));
  };

  readonly #done = (): void => {
    this.#underWay--;
    if (this.#queue.length > 0 || this.#hooks.length > 0) {
      if (!this.#pumping) this.#pump();
    } else if (this.#underWay === 0) {
      this.#settleIdle();
    }
  };

  #settleIdle(): void {
    if (this.#idle.length === 0 || this.#underWay > 0 || this.#queue.length > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** What goes into the next batch, in call order, within its bounds. */
  #take(): Append[] {
    if (this.#queueHoles) {
      this.#queue = this.#queue.filter((append) => append.state === "queued");
      this.#queueBytes = this.#queue.reduce((sum, append) => sum + append.size, 0);
      this.#queueHoles = false;
    }
    let batch = this.#queue;
    if (this.#queueBytes <= limits.batchBytes && batch.length <= limits.batchEntries) {
      this.#queue = [];
      this.#queueBytes = 0;
    } else {
      let count = 1;
      let bytes = batch[0]!.size;
      while (count < batch.length && count < limits.batchEntries && bytes + batch[count]!.size <= limits.batchBytes) {
        bytes += batch[count++]!.size;
      }
      this.#queue = batch.slice(count);
      this.#queueBytes -= bytes;
      batch = batch.slice(0, count);
    }
    for (const append of batch) append.state = "taken";
    return batch;
  }

  #failedBatch(batch: readonly Append[], cause: unknown): void {
    const error = asLogError(cause);
    const behind = this.#queue;
    this.#queue = [];
    this.#queueBytes = 0;
    if (error.outcome !== "none") this.#fault ??= error;
    for (const append of batch) append.fail(error);
    const refusal = error.outcome === "none" ? error : this.#refusal();
    for (const append of behind) append.fail(refusal);
    this.#done();
  }

  #refusal(): LogError {
    const fault = this.#fault!;
    if (fault.code === "LOG_CLOSED") return closedError("none");
    return new LogError(fault.code, `${fault.message}; the log takes no more appends until it is opened again`, {
      outcome: "none",
      cause: fault,
    });
  }

  // Applying

  entries(batch: Batch): void {
    const { own, count } = batch;
    if (batch.first + count - this.loglet.base > ordinalsMax) {
      throw new LogError("LOG_FULL", `the log has ${ordinalsMax} entries, more than one index can hold`, {
        outcome: "none",
      });
    }
    for (let i = 0; i < count; i++) {
      const seqnum = batch.first + i;
      const refused = this.#apply(batch.bytes, batch.starts[i]!, seqnum);
      this.#applied = seqnum;
      if (own === undefined) continue;
      const append = own[i] as Append;
      append.settle(refused ?? { ok: true, seqnum, time: batch.times[i]! });
    }
    this.#entries += count;
    if (this.waiters.count > 0) this.waiters.wake();
  }

  failed(error: Error): void {
    this.#fault ??= asLogError(error);
    this.waiters.fail(this.#fault);
  }

  /** Applies one entry; gives what refused it, if anything did. */
  #apply(bytes: Buffer, start: number, seqnum: SeqNum): Refused | undefined {
    checkEntry(bytes, start, seqnum);
    const tags = readU16(bytes, start + 2);
    const conditions = readU16(bytes, start + 4);
    const nameLength = bytes[start + 6]!;
    const ordinal = seqnum - this.loglet.base + 1;
    let at = start + entryHead;
    const book = this.#index.intern(booksScope, bytes, at, nameLength);
    const scope = scopeOf(book);
    at += nameLength;

    if (conditions > 0) {
      let condition = at;
      for (let i = 0; i < tags; i++) condition += 1 + bytes[condition]!;
      for (let i = 0; i < conditions; i++) {
        const length = bytes[condition]!;
        const tag = this.#index.find(scope, bytes, condition + 1, length);
        condition += 1 + length;
        const after = readAfter(bytes, condition);
        condition += 8;
        if (tag === unknown) continue;
        const last = this.#seqnum(this.#index.last(tag));
        if (last > after) {
          const name = bytes.toString("utf8", condition - 8 - length, condition - 8);
          return { ok: false, conflict: { tag: name, seqnum: last } };
        }
      }
    }

    const watched = this.waiters.count > 0;
    for (let i = 0; i < tags; i++) {
      const length = bytes[at]!;
      const tag = this.#index.intern(scope, bytes, at + 1, length);
      at += 1 + length;
      this.#index.addToTag(tag, ordinal);
      if (watched) this.waiters.touch(tag);
    }
    this.#index.addToBook(book, ordinal);
    if (watched) this.waiters.touch(book);
    return undefined;
  }

  // Reading

  /** The number of a book, or `unknown`: the key to look and to wait under. It stays the same once there is one. */
  findBook(name: Uint8Array): number {
    return this.#index.find(booksScope, name, 0, name.length);
  }

  /** The number of a tag in a book, or `unknown`. `key` has the tag behind a byte of length, and ends at `end`. */
  findTag(book: number, key: Uint8Array, end: number): number {
    return this.#index.find(scopeOf(book), key, 1, end - 1);
  }

  /** Position of the first record at or above `from` under the number of a book or tag, or 0. */
  next(number: number, isTag: boolean, from: SeqNum): SeqNum {
    const ordinal = Math.max(1, from - this.loglet.base + 1);
    if (number === unknown || ordinal > ordinalsMax) return 0;
    return this.#seqnum(isTag ? this.#index.nextInTag(number, ordinal) : this.#index.nextInBook(number, ordinal));
  }

  /** Position of the last record at or below `upTo`, or 0. */
  prev(number: number, isTag: boolean, upTo: SeqNum): SeqNum {
    const ordinal = Math.min(ordinalsMax, upTo - this.loglet.base + 1);
    if (number === unknown || ordinal < 1) return 0;
    return this.#seqnum(isTag ? this.#index.prevInTag(number, ordinal) : this.#index.prevInBook(number, ordinal));
  }

  #seqnum(ordinal: number): SeqNum {
    return ordinal === 0 ? 0 : ordinal + this.loglet.base - 1;
  }

  /** The record at a position found before. */
  fetch(seqnum: SeqNum): LogRecord | Promise<LogRecord> {
    const cached = this.#records.get(seqnum);
    if (cached !== undefined) return this.#withAux(cached);
    const stored = this.loglet.read(seqnum);
    return stored instanceof Promise
      ? stored.then((entry) => this.#decode(entry, seqnum))
      : this.#decode(stored, seqnum);
  }

  #decode(entry: StoredEntry, seqnum: SeqNum): LogRecord {
    const record = decodeRecord(entry.bytes, seqnum, entry.time);
    this.#records.set(seqnum, record, recordBytes(record));
    return this.#withAux(record);
  }

  #withAux(record: LogRecord): LogRecord {
    if (this.#aux.size === 0) return record;
    const aux = this.#aux.get(record.seqnum);
    return aux === undefined ? record : withAux(record, aux);
  }

  /** Keeps aux data of a record that is in the book; anything else is ignored. */
  setAux(book: number, seqnum: SeqNum, bytes: Uint8Array): void {
    if (this.next(book, false, seqnum) !== seqnum) return;
    this.#aux.set(seqnum, Uint8Array.from(bytes), bytes.length + 100);
  }

  stats(): LogStats {
    const { indexBytes, ...loglet } = this.loglet.stats();
    return {
      records: this.#index.records,
      entries: this.#entries,
      tags: this.#index.tags,
      indexBytes: this.#index.indexBytes + indexBytes,
      tagBytes: this.#index.tagBytes,
      ...loglet,
      recordCache: this.#records.stats(),
      auxCache: this.#aux.stats(),
      appendsWaiting: this.#queue.length,
      readsWaiting: this.waiters.count,
    };
  }

  /** Decides what was accepted, then closes the loglet. */
  async close(): Promise<void> {
    await this.drained();
    this.#fault = closedError("none");
    this.waiters.fail(closedError());
    await this.loglet.close();
  }
}

function asLogError(error: unknown): LogError {
  if (error instanceof LogError) return error;
  return new LogError("LOG_IO", `the log failed: ${error instanceof Error ? error.message : String(error)}`, {
    outcome: "unknown",
    cause: error,
  });
}
