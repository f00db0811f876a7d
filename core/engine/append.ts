/**
 * Appends on their way: what the engine hands to the loglet, and whom it answers. An `Append` is made in this process; a
 * `Forwarded` one comes as another process made it, under that one's number (L8).
 *
 *     queued -> taken -> settled          an abort or a fault settles early: from `queued` with outcome "none",
 *                                         from `taken` with "unknown" (L7)
 */
import { LogError, type Outcome } from "../errors.js";
import type { Entry } from "../loglet/loglet.js";
import type { AppendResult } from "../types.js";
import { type HeaderWriter, readNumber, readTags, readU32, writeWriter } from "./entry.js";

/** Below this, copying byte by byte beats a call. */
const shortHeader = 160;

/** Who waits for one append, or for one place in a group of them. */
export interface Waiter {
  settle(place: number, result: AppendResult): void;
  fail(error: LogError): void;
}

/** What an engine orders, whoever made it. */
export interface Pending extends Entry {
  readonly data: Uint8Array;
  state: "queued" | "taken" | "settled";
  /** Who gives it, and its place among what that one gives (L8). */
  writer: number;
  n: number;
  /** It has its writer and number from another process. */
  readonly isForwarded: boolean;
  /** It was handed over before, and may be in the log already. */
  again: boolean;
  /** It has been applied, or refused. */
  isDecided: boolean;
  /** The highest n whose decision is known to the writer. */
  acked: number;
  tags(): readonly string[];
  settle(result: AppendResult): void;
  fail(error: LogError): void;
  /** The log does not know its writer, nor what became of it if it was handed over before. */
  forget(): void;
}

export class Append implements Pending {
  readonly size: number;
  readonly #headers: Buffer;
  readonly #start: number;
  readonly #end: number;
  /** As its caller gave it; a copy once the caller may change it. */
  data: Uint8Array;
  readonly #waiter: Waiter;
  readonly #place: number;
  readonly isForwarded = false;
  state: "queued" | "taken" | "settled" = "queued";
  /** Set when it is handed over first. */
  writer = 0;
  n = 0;
  again = false;
  isDecided = false;
  acked = 0;
  /** When the waiting for it ends, by a monotonic clock in ms, where there is such a bound. */
  deadline = Infinity;
  /** Trace context of the call that made it, where there is one. */
  traceparent: string | undefined = undefined;

  /** Ends the header that `writer` holds. `data` is referred to, not copied, until it is encoded. */
  constructor(writer: HeaderWriter, data: Uint8Array, waiter: Waiter, place: number) {
    this.#headers = writer.chunk;
    this.#start = writer.start;
    const length = writer.end(data.length);
    this.#end = this.#start + length;
    this.data = data;
    this.#waiter = waiter;
    this.#place = place;
    this.size = length + data.length;
  }

  encode(target: Buffer, at: number): void {
    const headers = this.#headers;
    const length = this.#end - this.#start;
    if (length > shortHeader) target.set(headers.subarray(this.#start, this.#end), at);
    else for (let i = 0, from = this.#start; i < length; i++) target[at + i] = headers[from + i]!;
    writeWriter(target, at, this.writer, this.n, this.acked);
    target.set(this.data, at + length);
  }

  /** The tags of its header, decoded. */
  tags(): readonly string[] {
    return readTags(this.#headers, this.#start);
  }

  settle(result: AppendResult): void {
    if (this.state === "settled") return;
    this.state = "settled";
    this.#waiter.settle(this.#place, result);
  }

  fail(error: LogError): void {
    if (this.state === "settled") return;
    this.state = "settled";
    this.#waiter.fail(error);
  }

  forget(): void {
    this.fail(
      new LogError(
        "LOG_UNAVAILABLE",
        "the log no longer knows what became of an append that was given again after more than an hour; look whether it is there",
        { outcome: "unknown" },
      ),
    );
  }
}

/** Where forwarded appends come from, and are answered. */
export interface Origin {
  settled(append: Forwarded, result: AppendResult): void;
  failed(append: Forwarded, error: LogError): void;
  forgotten(append: Forwarded): void;
}

/** The append of another process, in the bytes that it has in the log. */
export class Forwarded implements Pending {
  readonly bytes: Buffer;
  readonly isForwarded = true;
  readonly writer: number;
  readonly n: number;
  readonly acked: number;
  readonly origin: Origin;
  state: "queued" | "taken" | "settled" = "queued";
  again = false;
  isDecided = false;

  /** `bytes` is one entry, checked, and stays as it is. */
  constructor(bytes: Buffer, origin: Origin) {
    this.bytes = bytes;
    this.writer = readNumber(bytes, 16);
    this.n = readNumber(bytes, 24);
    this.acked = this.n - readU32(bytes, 12);
    this.origin = origin;
  }

  get size(): number {
    return this.bytes.length;
  }

  get data(): Uint8Array {
    return this.bytes.subarray(this.bytes.length - readU32(this.bytes, 8));
  }

  encode(target: Buffer, at: number): void {
    target.set(this.bytes, at);
  }

  tags(): readonly string[] {
    return readTags(this.bytes, 0);
  }

  settle(result: AppendResult): void {
    this.state = "settled";
    this.origin.settled(this, result);
  }

  fail(error: LogError): void {
    this.state = "settled";
    this.origin.failed(this, error);
  }

  forget(): void {
    this.state = "settled";
    this.origin.forgotten(this);
  }
}

/** One append, one promise. */
export class Single implements Waiter {
  readonly promise: Promise<AppendResult>;
  #resolve!: (result: AppendResult) => void;
  #reject!: (error: LogError) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  settle(_place: number, result: AppendResult): void {
    this.#resolve(result);
  }

  fail(error: LogError): void {
    this.#reject(error);
  }
}

/** Many appends, one promise: all results in order, or the first fault. */
export class Group implements Waiter {
  readonly promise: Promise<AppendResult[]>;
  readonly #results: AppendResult[];
  #left: number;
  #resolve!: (results: AppendResult[]) => void;
  #reject!: (error: LogError) => void;

  constructor(count: number) {
    this.#results = new Array<AppendResult>(count);
    this.#left = count;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  settle(place: number, result: AppendResult): void {
    this.#results[place] = result;
    if (--this.#left === 0) this.#resolve(this.#results);
  }

  fail(error: LogError): void {
    const settled = this.#results.length - this.#left;
    this.#reject(settled === 0 ? error : error.after(settled, this.#results.length));
  }
}

/** Whether any of these may still appear once they are given up. */
export function outcomeOf(appends: readonly Append[]): Outcome {
  return appends.every((append) => append.state === "queued") ? "none" : "unknown";
}
