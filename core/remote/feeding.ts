/**
 * The serving end of a subscription: every record of a book, in order, none left out.
 *
 *     listening   told of each record as it is applied
 *     lagging     the client takes them more slowly than they come: read from the log, one by one, until none is left
 */
import type { Pending } from "../engine/append.js";
import { GivenRecord } from "../engine/record.js";
import type { LogError } from "../errors.js";
import { trimmedError } from "../errors.js";
import type { Book } from "../log.js";
import type { LogRecord, SeqNum, Subscriber } from "../types.js";
import { faultOf } from "./fault.js";
import { wireRecord } from "./respond.js";
import type { Fed, Reply, WireRecord } from "./wire.js";

/** What a subscription needs of the session that it is a part of. */
export interface FeedingSession {
  /** So much waits for the client that records are better read from the log later. */
  readonly isCongested: boolean;
  /** So much waits for it that nothing is to be read for it yet. */
  readonly isFull: boolean;
  writable(): Promise<void>;
  /** The append that made a record, if it came through this very session. */
  ownAppend(record: LogRecord): Pending | undefined;
  feed(fed: Fed): void;
  reply(reply: Reply): void;
  finish(reply: Reply): void;
  /** It lags no more. */
  caughtUp(): void;
}

export class Feeding implements Subscriber {
  readonly #serving: FeedingSession;
  readonly #book: Book;
  readonly #id: number;
  /** Ends the listening. */
  #stop: (() => void) | undefined;
  #isEnded = false;
  isLagging = false;

  constructor(serving: FeedingSession, book: Book, id: number) {
    this.#serving = serving;
    this.#book = book;
    this.#id = id;
  }

  /** From a position on, or from now on. */
  start(from: SeqNum | undefined): void {
    const { applied, state } = this.#book.log.engine;
    const position = from === undefined ? applied : Math.max(1, from) - 1;
    this.#serving.reply({ id: this.#id, last: false, subscribed: { position, time: state.time } });
    if (from === undefined) this.#listen();
    else this.#lag(position + 1);
  }

  #listen(): void {
    this.#stop = this.#book.listen(this, this.#serving);
  }

  record(record: LogRecord): void {
    if (this.#serving.isCongested) {
      this.#unlisten();
      this.#lag(record.seqnum);
    } else this.#feed(record);
  }

  #feed(record: LogRecord): void {
    const own = this.#serving.ownAppend(record);
    if (own === undefined) this.#serving.feed({ id: this.#id, record: lasting(record) });
    else {
      const { seqnum, time } = record;
      this.#serving.feed({ id: this.#id, record: { seqnum, time }, ownWriter: own.writer, ownN: own.n });
    }
  }

  #lag(from: SeqNum): void {
    this.isLagging = true;
    this.#catchUp(from).then(
      () => {
        this.isLagging = false;
        this.#serving.caughtUp();
      },
      (error: unknown) => this.end(error as LogError),
    );
  }

  async #catchUp(from: SeqNum): Promise<void> {
    let cursor = from;
    while (!this.#isEnded) {
      while (this.#serving.isFull && !this.#isEnded) await this.#serving.writable();
      const { trimReach } = this.#book;
      if (cursor <= trimReach) throw trimmedError("the position", cursor, trimReach);
      const next = this.#book.next(undefined, cursor);
      if (next === 0) {
        this.#listen();
        return;
      }
      this.#feed((await this.#book.fetch(next, false)) as LogRecord);
      cursor = next + 1;
    }
  }

  stop(): void {
    this.#isEnded = true;
    this.isLagging = false;
    this.#unlisten();
  }

  #unlisten(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  end(error: Error): void {
    const isNews = !this.#isEnded;
    this.stop();
    if (isNews) this.#serving.finish({ id: this.#id, last: true, fault: faultOf(error) });
    this.#serving.caughtUp();
  }
}

/** The data of an append of this process is its caller's again before the record is sent. */
function lasting(record: LogRecord): WireRecord {
  const wire = wireRecord(record);
  if (!(record instanceof GivenRecord) || record.append.isForwarded) return wire;
  return { ...wire, data: Uint8Array.from(record.data) };
}
