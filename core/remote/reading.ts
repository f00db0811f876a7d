/**
 * A read or a follow through a client: records come in ahead, as many bytes as the client has given credit for, and are given out one
 * by one. After a break it goes on behind the last one that came.
 */
import { onAbort } from "../abort.js";
import { abortedError, type LogError } from "../errors.js";
import { checkRead, type Read } from "../read-options.js";
import type { LogRecord, RecordHead, SeqNum } from "../types.js";
import type { Calls, Listener } from "./calls.js";
import { costOf, type Reply, type Request, type WireRecord } from "./wire.js";

/** Bytes that come ahead. */
const aheadBytes = 512 << 10;

type Step = IteratorResult<LogRecord | RecordHead>;
const done: IteratorResult<never> = { done: true, value: undefined };

/** What a reading needs of its book. */
export interface ReadingBook {
  readonly name: string;
  readonly calls: Calls;
  checkOpen(signal: AbortSignal | undefined): void;
  take(record: WireRecord, head: boolean | undefined): LogRecord | RecordHead;
  /** How far trims of the book reach, as far as is known. */
  readonly trimReach: SeqNum;
  /** Calls `fn` when a call has lasted too long; returns what takes that back. */
  expire(fn: (error: LogError) => void): () => void;
}

export class Reading implements AsyncIterableIterator<LogRecord | RecordHead>, Listener {
  readonly #book: ReadingBook;
  readonly #options: Read;
  #id: number | undefined;
  /** The last record that was given, and the last that came. */
  #given: SeqNum | undefined;
  #cursor: SeqNum | undefined;
  /** How far trims reached when the first of those came that are not given yet. */
  #reach = 0;
  #to: SeqNum | undefined;
  #come: (LogRecord | RecordHead)[] = [];
  #at = 0;
  #takenBytes = 0;
  #waiting: { resolve: (step: Step) => void; reject: (error: Error) => void }[] = [];
  #state: "new" | "reading" | "over" = "new";
  #fault: Error | undefined;
  #unlisten: (() => void) | undefined;
  #unexpire: (() => void) | undefined;

  constructor(book: ReadingBook, options: Read) {
    this.#book = book;
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    try {
      if (this.#state === "new") this.#start();
      if (this.#at < this.#come.length && !this.#isStale()) {
        this.#book.checkOpen(this.#options.signal);
        return Promise.resolve({ done: false, value: this.#give() });
      }
      if (this.#state === "over") return this.#end();
      this.#expire();
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    } catch (error) {
      this.#stop();
      return Promise.reject(error);
    }
  }

  #start(): void {
    const options = this.#options;
    this.#state = "over";
    checkRead(options);
    this.#book.checkOpen(options.signal);
    this.#to = options.to;
    this.#ask();
  }

  #ask(): void {
    const { signal } = this.#options;
    this.#id = this.#book.calls.add(this, false);
    this.#state = "reading";
    if (signal !== undefined) this.#unlisten = onAbort(signal, () => this.#over(abortedError(signal)));
  }

  request(): Request {
    const { tag, from, reverse, follow, head } = this.#options;
    const range =
      this.#cursor === undefined
        ? { from, to: this.#to }
        : reverse === true
          ? { from, to: this.#cursor - 1 }
          : { from: this.#cursor + 1, to: this.#to };
    this.#takenBytes = 0;
    const credit = Math.max(1, aheadBytes - this.#aheadBytes());
    return { read: { book: this.#book.name, tag, ...range, reverse, follow, head, credit } };
  }

  /** Whether what came may have been trimmed since: then it is thrown away, and asked for again. */
  #isStale(): boolean {
    const { trimReach } = this.#book;
    if (trimReach === this.#reach || this.#come[this.#at]!.seqnum > trimReach) return false;
    this.#come = [];
    this.#at = 0;
    this.#cursor = this.#given;
    this.#stop();
    this.#ask();
    return true;
  }

  #aheadBytes(): number {
    let bytes = 0;
    for (let i = this.#at; i < this.#come.length; i++) bytes += costOf(this.#come[i]!);
    return bytes;
  }

  hear({ records, last }: Reply): void {
    this.#stopExpiry();
    this.#to ??= records?.to;
    if (this.#at === this.#come.length) this.#reach = this.#book.trimReach;
    for (const record of records?.records ?? []) {
      this.#cursor = record.seqnum;
      this.#come.push(this.#book.take(record, this.#options.head));
    }
    while (this.#waiting.length > 0 && this.#at < this.#come.length)
      this.#waiting.shift()!.resolve({ done: false, value: this.#give() });
    if (last) this.#over(undefined);
    else if (this.#waiting.length > 0) this.#expire();
  }

  /** What is there already is waited for so long; what is still to come, for ever. */
  #expire(): void {
    if (this.#options.follow !== true) this.#unexpire ??= this.#book.expire((error) => this.#over(error));
  }

  #stopExpiry(): void {
    this.#unexpire?.();
    this.#unexpire = undefined;
  }

  #give(): LogRecord | RecordHead {
    const record = this.#come[this.#at++]!;
    this.#given = record.seqnum;
    this.#takenBytes += costOf(record);
    if (this.#at === this.#come.length) {
      this.#come = [];
      this.#at = 0;
    }
    if (this.#takenBytes >= aheadBytes / 2 && this.#state === "reading") {
      this.#book.calls.credit(this.#id!, this.#takenBytes);
      this.#takenBytes = 0;
    }
    return record;
  }

  fail(error: Error): void {
    this.#over(error);
  }

  /** Nothing more will come; those that came are still given, unless it was aborted. */
  #over(fault: Error | undefined): void {
    if (this.#state === "over") return;
    this.#stop();
    this.#fault = fault;
    for (const waiting of this.#waiting.splice(0)) this.#end().then(waiting.resolve, waiting.reject);
  }

  #end(): Promise<Step> {
    const fault = this.#fault;
    this.#fault = undefined;
    return fault === undefined ? Promise.resolve(done) : Promise.reject(fault);
  }

  #stop(): void {
    this.#state = "over";
    this.#stopExpiry();
    this.#unlisten?.();
    if (this.#id !== undefined) this.#book.calls.end(this.#id);
    this.#id = undefined;
  }

  return(): Promise<IteratorResult<never>> {
    this.#stop();
    this.#come = [];
    this.#at = 0;
    this.#fault = undefined;
    for (const { resolve } of this.#waiting.splice(0)) resolve(done);
    return Promise.resolve(done);
  }
}
