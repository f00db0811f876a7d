/**
 * An append on its way: what the engine hands to the loglet, and whom it answers.
 *
 *     queued -> taken -> settled          an abort or a fault settles early: from `queued` with outcome "none",
 *                                         from `taken` with "unknown" (L7)
 */
import type { LogError, Outcome } from "../errors.js";
import type { Entry } from "../loglet/loglet.js";
import type { AppendResult } from "../types.js";
import { type HeaderWriter, readTags, writeWriter } from "./entry.js";

/** Below this, copying byte by byte beats a call. */
const shortHeader = 160;

/** Who waits for one append, or for one place in a group of them. */
export interface Waiter {
  settle(place: number, result: AppendResult): void;
  fail(error: LogError): void;
}

export class Append implements Entry {
  readonly size: number;
  readonly #headers: Buffer;
  readonly #start: number;
  readonly #end: number;
  /** As its caller gave it. */
  readonly data: Uint8Array;
  readonly #waiter: Waiter;
  readonly #place: number;
  state: "queued" | "taken" | "settled" = "queued";
  /** Who gives it, and its place among what that one gives: set when it is handed over first (L8). */
  writer = 0;
  n = 0;
  /** It was handed over before, and may be in the log already. */
  again = false;
  /** The highest n whose decision is known to the writer. */
  acked = 0;

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
