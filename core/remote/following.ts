/**
 * A client's subscription to a book. After a break it goes on behind the last record that came; where some may have been removed
 * meanwhile, the subscriber hears of a gap, or of the end.
 */
import { LogError } from "../errors.js";
import type { LogRecord, SeqNum, Subscriber, Subscription } from "../types.js";
import type { Calls, Listener } from "./calls.js";
import type { Reply, Request } from "./wire.js";

export class Following implements Listener {
  readonly #calls: Calls;
  readonly book: string;
  readonly #subscriber: Subscriber;
  readonly #onEnd: (following: Following) => void;
  readonly isEndless = true;
  id = 0;
  /** The last position that is known; undefined before the first answer, and after a gap. */
  #position: SeqNum | undefined;
  /** Records that came with or before the answer to the call: the subscriber hears first where they begin. */
  #early: LogRecord[] | undefined = [];
  #isEnded = false;
  /** Between the news of a gap and the new beginning: who waits for that. */
  #gap: { readonly over: Promise<void>; readonly end: () => void } | undefined;
  #started: { resolve: (subscription: Subscription) => void; reject: (error: Error) => void } | undefined;

  constructor(calls: Calls, book: string, subscriber: Subscriber, onEnd: (following: Following) => void) {
    this.#calls = calls;
    this.book = book;
    this.#subscriber = subscriber;
    this.#onEnd = onEnd;
  }

  start(): Promise<Subscription> {
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
      this.id = this.#calls.add(this, true);
    });
  }

  request(): Request {
    const { book } = this;
    this.#early = [];
    return { subscribe: this.#position === undefined ? { book } : { book, from: this.#position + 1 } };
  }

  hear({ subscribed, last }: Reply): void {
    if (last) {
      this.#end(new LogError("LOG_UNAVAILABLE", "the server ended the subscription", { retryable: true }));
      return;
    }
    const { position = 0, time = 0 } = subscribed ?? {};
    const isAgain = this.#position !== undefined;
    const early = this.#early ?? [];
    this.#early = undefined;
    this.#position ??= position;
    if (this.#started !== undefined) {
      this.#started.resolve({ position, time, stop: () => this.stop() });
      this.#started = undefined;
    } else if (!isAgain) this.#subscriber.gap?.({ position, time });
    for (const record of early) this.record(record);
    this.#endGap();
  }

  record(record: LogRecord): void {
    if (this.#isEnded) return;
    if (this.#early !== undefined) {
      this.#early.push(record);
      return;
    }
    this.#position = record.seqnum;
    try {
      this.#subscriber.record(record);
    } catch (error) {
      this.#calls.end(this.id);
      this.#end(error as Error);
    }
  }

  /** Resolves when the subscriber knows of the gap that there is; undefined where there is none. */
  get resumed(): Promise<void> | undefined {
    return this.#gap?.over;
  }

  fail(error: Error): void {
    const isGap = error instanceof LogError && error.code === "LOG_TRIMMED" && this.#subscriber.gap !== undefined;
    if (!isGap || this.#isEnded) {
      this.#end(error);
      return;
    }
    this.#position = undefined;
    if (this.#gap === undefined) {
      let end!: () => void;
      const over = new Promise<void>((resolve) => (end = resolve));
      this.#gap = { over, end };
    }
    this.id = this.#calls.add(this, false);
  }

  #endGap(): void {
    this.#gap?.end();
    this.#gap = undefined;
  }

  stop(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#endGap();
    this.#calls.end(this.id);
    this.#onEnd(this);
  }

  #end(error: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#endGap();
    this.#onEnd(this);
    if (this.#started !== undefined) this.#started.reject(error);
    else this.#subscriber.end(error);
  }
}
