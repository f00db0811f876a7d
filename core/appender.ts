/** The appending half of a book, wherever its log is: checks what is given, and makes appends of it. */
import { onAbort } from "./abort.js";
import { checkData, checkOptions, checkSignal, show, writeConditions, writeTags } from "./check.js";
import { Append, Group, outcomeOf, Single } from "./engine/append.js";
import { type HeaderWriter, recordKind, trimData, trimKind } from "./engine/entry.js";
import { abortedError, closedError, type LogError } from "./errors.js";
import { limits } from "./limits.js";
import type { AppendInput, AppendOptions, AppendResult, ConditionalAppendOptions, SeqNum } from "./types.js";

const appendOptions = new Set(["tags", "unless", "signal"]);
const appendInputKeys = new Set(["data", "tags", "unless"]);
const signalOptions = new Set(["signal"]);

/** An upTo that means "all before this". */
const everything = Number.MAX_SAFE_INTEGER;

/** Where appends go, in call order. */
export interface AppendSink {
  readonly headers: HeaderWriter;
  append(append: Append): void;
  /** Gives up appends: those not yet handed over will never appear. */
  abandon(appends: readonly Append[], error: LogError): void;
}

export class Appender {
  readonly #sink: AppendSink;
  readonly #session: { readonly closed: boolean };
  readonly #name: Uint8Array;

  constructor(session: { readonly closed: boolean }, sink: AppendSink, name: Uint8Array) {
    this.#session = session;
    this.#sink = sink;
    this.#name = name;
  }

  // The overloads of the contract differ in what they resolve to; one implementation serves both.
  append(data: Uint8Array, options: AppendOptions | ConditionalAppendOptions): Promise<never> {
    try {
      checkOptions("append", options ?? null, appendOptions);
      const { signal } = options;
      if (this.#session.closed) throw closedError("none");
      const waiter = new Single();
      const append = this.#prepare(data, options.tags, options.unless, waiter, 0);
      if (signal !== undefined) this.#watch(signal, waiter.promise, [append]);
      this.#sink.append(append);
      return waiter.promise as Promise<never>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  appendAll(
    inputs: readonly AppendInput[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<AppendResult[]> {
    try {
      checkOptions("appendAll", options, signalOptions);
      if (!Array.isArray(inputs))
        throw new TypeError(`appendAll takes an array of { data, tags, unless }, not ${show(inputs)}`);
      if (inputs.length > limits.appendAllEntries) {
        throw new RangeError(
          `${inputs.length} records are more than the ${limits.appendAllEntries} of one appendAll; call it several times`,
        );
      }
      if (this.#session.closed) throw closedError("none");
      if (inputs.length === 0) return Promise.resolve([]);
      const waiter = new Group(inputs.length);
      const appends = inputs.map((input: AppendInput, place) => {
        checkOptions(`entry ${place} of appendAll`, input ?? null, appendInputKeys);
        return this.#prepare(input.data, input.tags, input.unless, waiter, place);
      });
      if (options?.signal !== undefined) this.#watch(options.signal, waiter.promise, appends);
      for (const append of appends) this.#sink.append(append);
      return waiter.promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Removes all that is in the book so far. */
  drop(horizon: SeqNum, signal: AbortSignal | undefined): Promise<void> {
    return this.trim(everything, undefined, horizon, signal);
  }

  /** A trim is an entry like any other: it takes effect at its place in the order. */
  async trim(upTo: SeqNum, tag: string | undefined, horizon: SeqNum, signal: AbortSignal | undefined): Promise<void> {
    if (this.#session.closed) throw closedError("none");
    const { headers } = this.#sink;
    headers.begin(trimKind, this.#name);
    if (tag !== undefined) writeTags(headers, [tag]);
    const waiter = new Single();
    const append = new Append(headers, trimData(upTo, horizon), waiter, 0);
    if (signal !== undefined) this.#watch(signal, waiter.promise, [append]);
    this.#sink.append(append);
    await waiter.promise;
  }

  #prepare(data: Uint8Array, tags: unknown, unless: unknown, waiter: Single | Group, place: number): Append {
    const { headers } = this.#sink;
    checkData(data);
    headers.begin(recordKind, this.#name);
    writeTags(headers, tags);
    if (unless !== undefined) writeConditions(headers, unless);
    return new Append(headers, data, waiter, place);
  }

  /** Ends the waiting on abort; what was not handed over yet will not be. */
  #watch(signal: AbortSignal, promise: Promise<unknown>, appends: readonly Append[]): void {
    checkSignal("signal", signal);
    if (signal.aborted) throw abortedError(signal, "none");
    const stop = onAbort(signal, () => this.#sink.abandon(appends, abortedError(signal, outcomeOf(appends))));
    promise.then(stop, stop);
  }
}
