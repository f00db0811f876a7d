/**
 * Who is given each record of a book as it is applied: no lookup, no promise, and what an append of this process gave comes as
 * it was given.
 */
import { type LogError } from "../errors.js";
import type { Batch } from "../loglet/loglet.js";
import type { SeqNum, Subscriber } from "../types.js";
import type { Pending } from "./append.js";
import { recordKind } from "./entry.js";
import { decodeRecord, GivenRecord } from "./record.js";
import type { State } from "./state.js";
import { unknown } from "./tag-index.js";

interface Subscribed {
  readonly subscriber: Subscriber;
  readonly book: Uint8Array;
  readonly owner: object;
  /** Of the book; `unknown` before its first record. */
  number: number;
}

export class Subscribers {
  readonly #all = new Set<Subscribed>();

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  /** Returns the function that ends it. */
  add(subscriber: Subscriber, book: Uint8Array, owner: object): () => void {
    const subscribed = { subscriber, book, owner, number: unknown };
    this.#all.add(subscribed);
    return () => this.#all.delete(subscribed);
  }

  /** The entry at place `i` of a batch was applied, and is a record unless it is a trim. */
  applied({ bytes, starts, sizes, times, own }: Batch, i: number, seqnum: SeqNum, state: State): void {
    const start = starts[i]!;
    if (bytes[start] !== recordKind) return;
    for (const subscribed of this.#all) {
      if (subscribed.number === unknown) subscribed.number = state.findBook(subscribed.book);
      if (subscribed.number !== state.lastBook) continue;
      const given = own?.[i] as Pending | undefined;
      try {
        subscribed.subscriber.record(
          given === undefined
            ? decodeRecord(Buffer.from(bytes.subarray(start, start + sizes[i]!)), seqnum, times[i]!)
            : new GivenRecord(given, seqnum, times[i]!),
        );
      } catch (error) {
        this.#all.delete(subscribed);
        subscribed.subscriber.end(error as Error);
      }
    }
  }

  /** Ends those of one owner, or all. */
  end(error: LogError, owner?: object): void {
    for (const subscribed of [...this.#all]) {
      if (owner !== undefined && subscribed.owner !== owner) continue;
      this.#all.delete(subscribed);
      subscribed.subscriber.end(error);
    }
  }
}
