/**
 * The feed of a book: all commits in order, given to everything in this process that follows the book.
 *
 * F1  There is one for each book of an opened log, so all replicas fed by it are at one position, and what a reader sees
 *     between two awaits is one state of the whole book.
 * F2  A commit of this process is fed as it was made, without being decoded, at its place in the order.
 * F3  Views are positions that somebody reads at: what is replaced meanwhile is kept for them.
 * F4  Where commits were removed before they came (a gap), all followers begin anew at a position behind them, at once.
 *
 * Used by the libraries' replicas; stands on LogBook alone.
 */
import type { Log, LogBook, LogRecord, SeqNum } from "../core/index.js";
import { decodeCommit, type Part } from "./envelope.js";
import { isLibraryTag } from "./tags.js";
import { Turns } from "./turns.js";
import { type View, Views } from "./views.js";

/** Where a commit stands. */
export interface Place {
  readonly seqnum: SeqNum;
  /** Log time, ms. */
  readonly time: number;
  readonly tags: readonly string[];
  /** Bytes of the record's data. */
  readonly size: number;
}

export interface Follower {
  /** Applies a commit. What it throws ends the feed: only `LOG_VERSION`. */
  follow(parts: Part[], place: Place): void;
  /** Commits up to the feed's position, which is a new one, were left out: what was folded so far counts for nothing. */
  gap(): void;
  /** The feed has ended: nothing will come any more. */
  end(error: Error): void;
}

interface Waiting {
  readonly seqnum: SeqNum;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const feeds = new WeakMap<Log, Map<string, Feed>>();

export class Feed {
  readonly book: LogBook;
  readonly views = new Views();
  readonly turns = new Turns();
  /** All commits up to here have been fed. */
  position: SeqNum = 0;
  /** Log time of the last record up to `position`, ms. */
  time = 0;
  /** Why there is nothing more to come. */
  fault: Error | undefined;
  readonly #followers = new Set<Follower>();
  /** Commits of this process that are under way, by the bytes that were appended. */
  readonly commits = new Map<Uint8Array, Part[]>();
  #waiting: Waiting[] = [];
  #started: Promise<void> | undefined;
  #isRunning = false;

  private constructor(book: LogBook) {
    this.book = book;
  }

  /** The feed of a book. It starts with its first follower. */
  static of(book: LogBook): Feed {
    let ofLog = feeds.get(book.log);
    if (ofLog === undefined) feeds.set(book.log, (ofLog = new Map<string, Feed>()));
    let feed = ofLog.get(book.name);
    if (feed === undefined) ofLog.set(book.name, (feed = new Feed(book)));
    return feed;
  }

  /** The feed of a book, running; at once where it runs already. */
  static running(book: LogBook): Feed | Promise<Feed> {
    const feed = Feed.of(book);
    if (feed.#isRunning) return feed;
    return feed.#run().then(() => feed);
  }

  /** Where the feed is. Nothing is kept for it: good until something is awaited. */
  now(): View {
    return { position: this.position, time: Math.max(this.time, this.book.log.clock.now()) };
  }

  /** A view of the book as it is now, until `views.close`. */
  view(): View {
    return this.views.open(this.now());
  }

  /** From the next commit on. Resolves when `position` is a position that the follower can be brought up to. */
  follow(follower: Follower): Promise<void> {
    this.#followers.add(follower);
    return this.#run();
  }

  unfollow(follower: Follower): void {
    this.#followers.delete(follower);
  }

  /** Starts it, once; anew where that has failed. */
  #run(): Promise<void> {
    return (this.#started ??= this.#start().catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    }));
  }

  async #start(): Promise<void> {
    const { position, time } = await this.book.subscribe({
      record: (record) => this.#feed(record),
      gap: (place) => this.#gap(place),
      end: (error) => this.#end(error),
    });
    this.position = Math.max(this.position, position);
    this.time = Math.max(this.time, time);
    this.#isRunning = true;
  }

  #feed(record: LogRecord): void {
    const parts =
      this.commits.get(record.data) ??
      (isLibraryTag(record.tags[0]!) ? decodeCommit(Uint8Array.from(record.data)) : undefined);
    if (parts !== undefined) for (const follower of this.#followers) follower.follow(parts, record);
    // Not where a follower has stopped the feed.
    this.position = record.seqnum;
    this.time = record.time;
    if (this.#waiting.length > 0) this.#wake();
  }

  #gap({ position, time }: { readonly position: SeqNum; readonly time: number }): void {
    this.position = Math.max(this.position, position);
    this.time = Math.max(this.time, time);
    for (const follower of this.#followers) follower.gap();
    this.#wake();
  }

  #end(error: Error): void {
    this.fault = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    for (const follower of this.#followers) follower.end(error);
    this.#followers.clear();
    this.commits.clear();
    feeds.get(this.book.log)?.delete(this.book.name);
  }

  /** Resolves when what is at `seqnum` has been fed or left out by a gap; undefined when it has been already. */
  reached(seqnum: SeqNum): Promise<void> | undefined {
    if (seqnum <= this.position) return undefined;
    if (this.fault !== undefined) return Promise.reject(this.fault);
    return new Promise((resolve, reject) => {
      const waiting = { seqnum, resolve, reject };
      const last = this.#waiting.at(-1);
      this.#waiting.push(waiting);
      if (last !== undefined && last.seqnum > seqnum) this.#waiting.sort((a, b) => a.seqnum - b.seqnum);
    });
  }

  #wake(): void {
    let count = 0;
    while (count < this.#waiting.length && this.#waiting[count]!.seqnum <= this.position)
      this.#waiting[count++]!.resolve();
    if (count === this.#waiting.length) this.#waiting = [];
    else if (count > 0) this.#waiting.splice(0, count);
  }

  /** `book.sync()`: all below it has been fed then. The position becomes that of the sync, far behind the last record perhaps. */
  async sync(signal?: AbortSignal): Promise<void> {
    const tail = await this.book.sync({ signal });
    if (this.fault !== undefined) throw this.fault;
    this.position = Math.max(this.position, tail - 1);
  }
}
