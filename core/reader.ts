/** The reading half of a book: one record forward or backward, waiting for one, and iterating. */
import { onAbort } from "./abort.js";
import { checkTag } from "./check.js";
import { writeAscii, writeShort } from "./engine/entry.js";
import { headOf } from "./engine/record.js";
import { anything } from "./engine/waiters.js";
import { unknown } from "./engine/tag-index.js";
import { abortedError, closedError, trimmedError } from "./errors.js";
import type { Engine } from "./engine/engine.js";
import { checkNext, checkPrev, checkRead, type Next, type Prev, type Read } from "./read-options.js";
import type { LogRecord, RecordHead, SeqNum } from "./types.js";

const nothing = Promise.resolve(undefined);
/** The tag being looked up, behind a byte of length; never kept over an await. */
const key = Buffer.alloc(256);

/** What a reader needs of its session; waits belong to it. */
export interface ReadingSession {
  readonly engine: Engine;
  readonly closed: boolean;
}

interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

export class Reader {
  readonly #session: ReadingSession;
  readonly #nameBytes: Uint8Array;
  #number = unknown;

  constructor(session: ReadingSession, nameBytes: Uint8Array) {
    this.#session = session;
    this.#nameBytes = nameBytes;
  }

  /** The engine's number of this book, or `unknown` before its first record. */
  get number(): number {
    if (this.#number === unknown) this.#number = this.#session.engine.state.findBook(this.#nameBytes);
    return this.#number;
  }

  /** The number of a tag, or `unknown`; undefined for no tag. Throws on what is no tag. */
  #find(tag: string | undefined): number | undefined {
    if (tag === undefined) return undefined;
    const book = this.number;
    let end = typeof tag === "string" ? writeAscii(key, 0, tag) : 0;
    if (end === 0) {
      checkTag(tag);
      end = writeShort(key, 0, tag);
    }
    return book === unknown ? unknown : this.#session.engine.state.findTag(book, key, end);
  }

  // One implementation serves the overloads of the contract, which differ in what they resolve to.
  readNext(options: Next = {}): Promise<never> {
    try {
      checkNext(options);
      const { tag, from = 0, head, wait, timeoutMs, signal } = options;
      this.checkOpen(signal);
      const seqnum = this.next(tag, from);
      if (seqnum > 0) return this.fetch(seqnum, head) as Promise<never>;
      if (wait !== true) return nothing as Promise<never>;
      const found = this.wait(tag, (first) => this.next(tag, Math.max(from, first)) || undefined, {
        signal,
        timeoutMs,
      });
      return found.then((at) => (at === undefined ? undefined : this.fetch(at, head))) as Promise<never>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  readPrev(options: Prev = {}): Promise<never> {
    try {
      checkPrev(options);
      const { tag, upTo = Number.MAX_SAFE_INTEGER, head, signal } = options;
      this.checkOpen(signal);
      if (upTo > 0) this.checkTrim("upTo", upTo, tag);
      const seqnum = this.prev(tag, upTo);
      return (seqnum > 0 ? this.fetch(seqnum, head) : nothing) as Promise<never>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  read(options: Read = {}): AsyncIterableIterator<never> {
    return new Iteration(this, options) as AsyncIterableIterator<RecordHead> as AsyncIterableIterator<never>;
  }

  checkOpen(signal: AbortSignal | undefined): void {
    if (signal?.aborted === true) throw abortedError(signal);
    if (this.#session.closed) throw closedError();
  }

  get applied(): SeqNum {
    return this.#session.engine.applied;
  }

  /** Position of the first record at or above `from`, or 0. Throws `LOG_TRIMMED` where some above it may be gone. */
  next(tag: string | undefined, from: SeqNum): SeqNum {
    const { state } = this.#session.engine;
    const number = this.#find(tag);
    if (from > 0) this.#checkTrim("from", from, number);
    return state.next(this.number, number, from);
  }

  /** Position of the last record at or below `upTo`, or 0. */
  prev(tag: string | undefined, upTo: SeqNum): SeqNum {
    return this.#session.engine.state.prev(this.number, this.#find(tag), upTo);
  }

  /** The last seqnum that is removed from a stream, 0 for none. */
  trimPoint(tag: string | undefined): SeqNum {
    return this.#session.engine.state.trimPoint(this.number, this.#find(tag));
  }

  /** Throws `LOG_TRIMMED` for a bound that the user gave at or below the trim point of the stream. */
  checkTrim(what: string, seqnum: SeqNum, tag: string | undefined): void {
    this.#checkTrim(what, seqnum, this.#find(tag));
  }

  #checkTrim(what: string, seqnum: SeqNum, number: number | undefined): void {
    const { state } = this.#session.engine;
    if (state.trimmed.size === 0) return;
    const trimPoint = state.trimPoint(this.number, number);
    if (seqnum <= trimPoint) throw trimmedError(what, seqnum, trimPoint);
  }

  fetch(seqnum: SeqNum, head: boolean | undefined): Promise<LogRecord | RecordHead> {
    const record = this.#session.engine.fetch(seqnum);
    if (record instanceof Promise) return head === true ? record.then(headOf) : record;
    return Promise.resolve(head === true ? headOf(record) : record);
  }

  /** `tail()`, and all below it applied. */
  async syncTo(signal: AbortSignal | undefined): Promise<SeqNum> {
    const tail = await this.#session.engine.loglet.tail();
    if (this.applied < tail - 1)
      await this.wait(undefined, () => (this.applied >= tail - 1 ? tail : undefined), { signal }, true);
    return tail;
  }

  /** Parks until `attempt` gives something; undefined at `timeoutMs`. `any`: every entry may end it, not only those found. */
  wait<T>(
    tag: string | undefined,
    attempt: (first: SeqNum) => T | undefined,
    { signal, timeoutMs }: WaitOptions,
    any = false,
  ): Promise<T | undefined> {
    const session = this.#session;
    const { engine } = session;
    return new Promise<T | undefined>((resolve, reject) => {
      const number = any ? unknown : (this.#find(tag) ?? this.number);
      let clearTimer: (() => void) | undefined;
      const end = (): void => {
        clearTimer?.();
        stop();
      };
      const remove = engine.waiters.add(number === unknown ? anything : number, {
        owner: session,
        attempt: (first) => {
          try {
            const found = attempt(first);
            if (found === undefined) return false;
            resolve(found);
          } catch (error) {
            reject(error);
          }
          end();
          return true;
        },
        fail: (error) => {
          end();
          reject(error);
        },
      });
      const stop = onAbort(signal, () => {
        remove();
        end();
        reject(abortedError(signal!));
      });
      if (timeoutMs !== undefined) {
        clearTimer = engine.clock.setTimer(timeoutMs, () => {
          remove();
          end();
          resolve(undefined);
        });
      }
    });
  }
}

const done: IteratorResult<never> = { done: true, value: undefined };

/** One pass over a book or tag. Steps may be asked for without waiting for the last one; they answer in order. */
class Iteration implements AsyncIterableIterator<LogRecord | RecordHead> {
  readonly #reader: Reader;
  readonly #options: Read;
  /** Ends the wait that it is parked in. */
  #stop: AbortController | undefined;
  #started = false;
  #ended = false;
  /** The next position to look at, and the last one to give. */
  #cursor = 0;
  #last = 0;
  #parked: Promise<unknown> | undefined;

  constructor(reader: Reader, options: Read) {
    this.#reader = reader;
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<LogRecord | RecordHead>> {
    if (this.#parked !== undefined)
      return this.#parked.then(
        () => this.next(),
        () => this.next(),
      );
    if (this.#ended) return Promise.resolve(done);
    try {
      if (!this.#started) this.#start();
      this.#reader.checkOpen(this.#options.signal);
      return this.#options.reverse === true ? this.#backward() : this.#forward();
    } catch (error) {
      this.#ended = true;
      return Promise.reject(error);
    }
  }

  return(): Promise<IteratorResult<never>> {
    this.#ended = true;
    this.#stop?.abort();
    return Promise.resolve(done);
  }

  #start(): void {
    const { from = 0, to, reverse, follow } = this.#options;
    checkRead(this.#options);
    this.#started = true;
    const newest = this.#reader.applied;
    if (from > 0) this.#reader.checkTrim("from", from, this.#options.tag);
    if (to !== undefined && to > 0 && reverse === true) this.#reader.checkTrim("to", to, this.#options.tag);
    if (reverse === true) {
      this.#cursor = Math.min(to ?? newest, newest);
      this.#last = from;
    } else {
      this.#cursor = from;
      this.#last = follow === true ? (to ?? Number.MAX_SAFE_INTEGER) : Math.min(to ?? newest, newest);
    }
  }

  #backward(): Promise<IteratorResult<LogRecord | RecordHead>> {
    const seqnum = this.#reader.prev(this.#options.tag, this.#cursor);
    if (seqnum === 0 || seqnum < this.#last) return this.return();
    this.#cursor = seqnum - 1;
    return this.#give(seqnum);
  }

  #forward(): Promise<IteratorResult<LogRecord | RecordHead>> {
    const seqnum = this.#reader.next(this.#options.tag, this.#cursor);
    if (seqnum > this.#last) return this.return();
    if (seqnum > 0) {
      this.#cursor = seqnum + 1;
      return this.#give(seqnum);
    }
    if (this.#options.follow !== true || this.#reader.applied >= this.#last) return this.return();
    return this.#park();
  }

  async #give(seqnum: SeqNum): Promise<IteratorResult<LogRecord | RecordHead>> {
    return { done: false, value: await this.#reader.fetch(seqnum, this.#options.head) };
  }

  /** Waits until there is a record, or `to` has been passed by any entry; then goes on. */
  #park(): Promise<IteratorResult<LogRecord | RecordHead>> {
    const { tag, to, signal } = this.#options;
    const own = (this.#stop = new AbortController()).signal;
    const stop = signal === undefined ? own : AbortSignal.any([signal, own]);
    const ready = (first: SeqNum): true | undefined => {
      this.#cursor = Math.max(this.#cursor, first);
      return this.#reader.next(tag, this.#cursor) > 0 || this.#reader.applied >= this.#last ? true : undefined;
    };
    const wait = this.#reader.wait(tag, ready, { signal: stop }, to !== undefined);
    this.#parked = wait;
    return wait.then(
      () => {
        this.#parked = this.#stop = undefined;
        return this.next();
      },
      (error: unknown) => {
        this.#parked = undefined;
        const returned = this.#ended;
        this.#ended = true;
        if (returned) return done;
        throw signal?.aborted === true ? abortedError(signal) : error;
      },
    );
  }
}
