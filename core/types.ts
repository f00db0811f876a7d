/**
 * The public contract: what a log, a book and a record are.
 *
 * Numbered promises L1 to L10 are explained in docs/guarantees.md; tests carry the same numbers.
 * All bounds (`from`, `to`, `upTo`) are inclusive. Everything that waits takes an `AbortSignal`.
 */

import type { Disk } from "./loglet/file/disk.js";

/** Position of a record in its log's total order: 1 to 2^53-1, strictly increasing, with gaps. 0 is "before everything". */
export type SeqNum = number;

/** `"disk"`: acknowledged after fdatasync. `"os"`: after write, lost with power. `"memory"`: lost with the process. */
export type Durability = "disk" | "os" | "memory";

/** A source of time. Both times are in milliseconds. */
export interface Clock {
  /** Wall time, ms since 1970. May jump. */
  now(): number;
  /** Never goes backwards. */
  monotonic(): number;
  /** Returns the function that cancels it. One of the `background` does not keep the process from ending. */
  setTimer(ms: number, fn: () => void, background?: boolean): () => void;
}

export interface OpenOptions {
  /** Whether a log is made where there is none; without, that is `LOG_NOT_A_LOG`. Default true. Only for `file:`. */
  readonly create?: boolean | undefined;
  /** Default `"disk"`. Only for `file:`. */
  readonly durability?: Exclude<Durability, "memory"> | undefined;
  /** Where fdatasync runs: in the calling thread, in Node's thread pool, or (default) chosen by its measured time. */
  readonly io?: "main" | "worker" | "auto" | undefined;
  /** Bytes of decoded records kept in memory. Default 32 MiB; 0 keeps none. */
  readonly cacheBytes?: number | undefined;
  /** Bytes of aux data kept in memory. Default 16 MiB; 0 keeps none. */
  readonly auxBytes?: number | undefined;
  /** Default: the system's. One that gives no time is refused with the value it gave. */
  readonly clock?: Clock | undefined;
  /** Where random numbers come from, evenly distributed in [0, 1): ids. Default: a cryptographic source. */
  readonly random?: (() => number) | undefined;
  /** The disk under the log, such as the `FaultDisk` of `boki/testing`. Default: the system's. Only for `file:`. */
  readonly disk?: Disk | undefined;
  /**
   * Whether other processes of this machine may use the folder at the same time, each with `share: true`: the first one serves the
   * rest, and when it is gone another one does. Default false. Only for `file:`.
   */
  readonly share?: boolean | undefined;
  /** How long each call may wait for the server, ms; an append or a call that waits longer fails with `LOG_TIMEOUT`. Default 30,000. Only for `grpc:` and `share`. */
  readonly timeoutMs?: number | undefined;
  /** Who this is, for a server that asks. Only for `grpc:`. */
  readonly token?: string | undefined;
  /** Speak TLS: true for a certificate that this machine trusts, else what to trust and show. Only for `grpc:`. */
  readonly tls?: boolean | TlsOptions | undefined;
  /** The `session` of another opened log: what that one had seen can be seen here, else `LOG_SESSION`. */
  readonly session?: string | undefined;
  /** Ends the waiting for the opening; what was opened is closed again. */
  readonly signal?: AbortSignal | undefined;
}

/** Texts of PEM files. */
export interface TlsOptions {
  /** Authorities to trust. Default: those of this machine. */
  readonly ca?: string | Uint8Array | undefined;
  /** The client's own certificate and key, for a server that asks for them. */
  readonly cert?: string | Uint8Array | undefined;
  readonly key?: string | Uint8Array | undefined;
  /** The name in the server's certificate, where that is not the host. */
  readonly serverName?: string | undefined;
}

/** "Append unless the last record of `tag` in this book has a seqnum above `after`." (L3) */
export interface Condition {
  readonly tag: string;
  readonly after: SeqNum;
}

export interface AppendOptions {
  /** 1 to 1,024 labels of 1 to 255 UTF-8 bytes; doubled ones count once. */
  readonly tags: readonly string[];
  readonly unless?: undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ConditionalAppendOptions {
  readonly tags: readonly string[];
  readonly unless: readonly Condition[];
  readonly signal?: AbortSignal | undefined;
}

/** One record of an `appendAll`. */
export interface AppendInput {
  readonly data: Uint8Array;
  readonly tags: readonly string[];
  readonly unless?: readonly Condition[] | undefined;
}

export interface Appended {
  readonly ok: true;
  readonly seqnum: SeqNum;
  /** Log time of the record, ms since 1970 (L9). */
  readonly time: number;
}

/** The append was refused by its condition: nothing was added. `conflict.seqnum` is the last one of `conflict.tag`. */
export interface Refused {
  readonly ok: false;
  readonly conflict: { readonly tag: string; readonly seqnum: SeqNum };
}

export type AppendResult = Appended | Refused;

/** What a record says of itself without its payload. */
export interface RecordHead {
  readonly seqnum: SeqNum;
  /** Log time, ms since 1970. */
  readonly time: number;
  readonly tags: readonly string[];
  /** Bytes of `data`. */
  readonly size: number;
  /** Auxiliary data, if this process still has some (L5). Nobody may change it. */
  readonly aux?: Uint8Array;
}

/** A record. Frozen; nobody may change `data`. */
export interface LogRecord extends RecordHead {
  readonly data: Uint8Array;
  /** `data` as UTF-8. */
  text(): string;
  /** `data` parsed as JSON. */
  json<T = unknown>(): T;
}

interface Waiting {
  /** Park until there is a record. */
  readonly wait?: boolean | undefined;
  /** With `wait`: give `undefined` after so many ms. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ReadNextOptions extends Waiting {
  /** Only records with this tag; without it, all of the book. */
  readonly tag?: string | undefined;
  /** First seqnum looked at, inclusive. Default 0: the oldest record. */
  readonly from?: SeqNum | undefined;
  readonly head?: false | undefined;
}

export interface ReadPrevOptions {
  readonly tag?: string | undefined;
  /** Last seqnum looked at, inclusive. Default: the newest record. */
  readonly upTo?: SeqNum | undefined;
  readonly head?: false | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ReadOptions {
  readonly tag?: string | undefined;
  readonly from?: SeqNum | undefined;
  /** Last seqnum given, inclusive. Default: the newest record when the iteration begins, or, with `follow`, none. */
  readonly to?: SeqNum | undefined;
  /** From `to` down to `from`. Not with `follow`. */
  readonly reverse?: boolean | undefined;
  /** Go on with records as they are appended; ends when `to` is reached or passed. */
  readonly follow?: boolean | undefined;
  readonly head?: false | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Options of a read that leaves the payload away. */
export type HeadOnly<T> = Omit<T, "head"> & { readonly head: true };

export interface TrimOptions {
  /** The last seqnum to be removed, inclusive; below the tail. */
  readonly upTo: SeqNum;
  /** Only from the stream of this tag; without it, from the whole book. */
  readonly tag?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Somebody who follows a book without waiting. */
export interface Subscriber {
  /**
   * The next record, in order, none left out. Its data is good until this returns; of an append of this process it is the very
   * object that was appended. What this throws ends the subscription.
   */
  record(record: LogRecord): void;
  /**
   * Records up to `position` were removed before they could be given; what comes next is behind it. Only of a log that another
   * process has, after a broken or slow connection. Where this is left away, the subscription ends with `LOG_TRIMMED`.
   */
  gap?(place: { readonly position: SeqNum; readonly time: number }): void;
  /** Nothing more will come. */
  end(error: Error): void;
}

export interface Subscription {
  /** All records up to here, inclusive, were there before: they are not given. */
  readonly position: SeqNum;
  /** Log time there, ms. */
  readonly time: number;
  /** Ends it; `end` is not called. */
  readonly stop: () => void;
}

/** A named, isolated virtual log inside a log. Cheap to make; exists from its first append. */
export interface LogBook {
  readonly name: string;
  readonly log: Log;

  /**
   * Appends one record. Resolves when it is durable (L2) and visible to reads here (L4). Appends of one opened log are
   * ordered as called, awaited or not (L1). `data` must stay unchanged until then.
   *
   * Rejects with TypeError or RangeError on bad arguments, `LOG_TOO_LARGE`, `LOG_CLOSED`, `LOG_ABORTED`, `LOG_FULL`,
   * `LOG_IO`; `outcome` says whether the record may still appear (L7).
   */
  append(data: Uint8Array, options: AppendOptions): Promise<Appended>;
  append(data: Uint8Array, options: ConditionalAppendOptions): Promise<AppendResult>;
  /** Many records in one call, each decided on its own; results in the order given. An empty list gives `[]`. */
  appendAll(
    inputs: readonly AppendInput[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<AppendResult[]>;

  /**
   * The first record with seqnum >= `from`, or undefined. Here and below, a bound other than 0 at or below the trim point
   * of the stream rejects with `LOG_TRIMMED` and the trim point.
   */
  readNext(options?: ReadNextOptions): Promise<LogRecord | undefined>;
  readNext(options: HeadOnly<ReadNextOptions>): Promise<RecordHead | undefined>;
  /** The last record with seqnum <= `upTo`, or undefined. */
  readPrev(options?: ReadPrevOptions): Promise<LogRecord | undefined>;
  readPrev(options: HeadOnly<ReadPrevOptions>): Promise<RecordHead | undefined>;
  /** Records in order. Closed by `return()` (a `break` does that). */
  read(options?: ReadOptions): AsyncIterableIterator<LogRecord>;
  read(options: HeadOnly<ReadOptions>): AsyncIterableIterator<RecordHead>;

  /**
   * Gives each record of the book to `subscriber` as it is applied here, from the next one on: for what keeps a state that follows
   * the log. Records come before the appends that made them resolve. Ends by `stop`, and at the close of the log.
   */
  subscribe(subscriber: Subscriber): Promise<Subscription>;

  /** A position such that all that is appended later has a seqnum at or above it. Linearizable. */
  tail(options?: { readonly signal?: AbortSignal | undefined }): Promise<SeqNum>;
  /** `tail()`, and all below it can be read here. */
  sync(options?: { readonly signal?: AbortSignal | undefined }): Promise<SeqNum>;
  /** Remembers `bytes` (copied) beside a record, best effort, bounded, in this process only (L5). Unknown seqnums are ignored. */
  setAux(seqnum: SeqNum, bytes: Uint8Array): void;

  /**
   * Removes the beginning of a tag's stream, or of the whole book (L6). Takes effect at its place in the order, at once for
   * reads here when it resolves; a trim at or below the present trim point does nothing. A record is gone when it is trimmed with
   * its book, or when each of its tags is trimmed past it; its room on disk comes back later.
   *
   * Rejects with RangeError when `upTo` is at or above the tail, and as `append` does.
   */
  trim(options: TrimOptions): Promise<void>;
  /** Removes all that is in the book so far. What is appended later is there again. */
  drop(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
}

/** What was cut off when a log was opened after a crash. */
export interface Recovered {
  /** Bytes cut: a torn, never acknowledged batch. */
  readonly bytes: number;
  /** The first seqnum that was not kept; it is given out again. */
  readonly position: SeqNum;
}

export interface LogStats {
  /** Records that can be read, in all books. */
  readonly records: number;
  /** Entries in the log: records and refused appends. */
  readonly entries: number;
  readonly tags: number;
  /** Bytes of the index, outside the JavaScript heap, without the tags' own bytes. */
  readonly indexBytes: number;
  readonly tagBytes: number;
  /** Bytes of encoded entries ordered so far. */
  readonly logBytes: number;
  /** Bytes reserved on disk (0 in memory). */
  readonly diskBytes: number;
  readonly recordCache: { readonly bytes: number; readonly entries: number };
  readonly auxCache: { readonly bytes: number; readonly entries: number };
  readonly appendsWaiting: number;
  readonly readsWaiting: number;
  readonly batches: number;
  /** Why the last checkpoint could not be written, or room not be given back; undefined when it went well. Appends go on. */
  readonly checkpointFault: Error | undefined;
  /** Moving median of one sync, ms (0 in memory). */
  readonly syncMs: number;
}

/** How far long work is, in bytes. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** Options of everything that reads or copies a whole log. It makes way for other work of the process. */
export interface LongOptions {
  /** Ends the work with `LOG_ABORTED`; what was half made is removed again. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** One place that is not as it was written. */
export interface Damage {
  /** Path of the file. */
  readonly file: string;
  /** Byte in the file. */
  readonly offset: number;
  /** The first seqnum that it concerns, where there is one. */
  readonly position: SeqNum | undefined;
  readonly what: string;
  /** It costs time and nothing else: what is there is made of the records, as a table of theirs. A loss of power may tear it. */
  readonly harmless: boolean;
}

export interface Verified {
  /** There is no damage but what is harmless. */
  readonly ok: boolean;
  /** Records that can be read. */
  readonly records: number;
  /** Bytes looked at. */
  readonly bytes: number;
  /** All that was found, in the order of the files. */
  readonly damage: readonly Damage[];
  /** What the next opening will cut off: a batch that a crash tore, never acknowledged. It is no damage. */
  readonly torn: Recovered | undefined;
}

export interface BackedUp {
  /** Records that can be read in it. */
  readonly records: number;
  readonly bytes: number;
  /** The last seqnum in it. */
  readonly position: SeqNum;
}

export interface RestoreOptions extends LongOptions {
  /** Leaves away all behind a seqnum, or all that is younger than a log time (ms since 1970). Default: nothing. */
  readonly at?: { readonly seqnum: SeqNum } | { readonly time: number } | undefined;
}

export interface Restored {
  readonly records: number;
  /** The new log's own id. */
  readonly id: string;
  /** The last seqnum in it. */
  readonly position: SeqNum;
}

export interface Repaired {
  /** Records that can be read. */
  readonly kept: number;
  /** What is gone or cannot be known any more, in sentences. Empty when nothing is. */
  readonly lost: readonly string[];
  /** Files written or removed; the old ones are beside them as `NAME.before-repair`. Empty when nothing was wrong. */
  readonly changed: readonly string[];
}

/** One opened log: a session whose reads never go backwards and see its own appends (L4). */
export interface Log {
  readonly url: string;
  /** Random 128-bit id of the log, 32 hex digits. */
  readonly id: string;
  readonly durability: Durability;
  readonly limits: Limits;
  readonly recovered: Recovered | undefined;
  /** What this session has seen, as a string: a log opened with it as `session` shows at least as much (L4). */
  readonly session: string;
  /** The clock and the random source that the log was opened with, so that what is built on it runs on the same time. */
  readonly clock: Clock;
  readonly random: () => number;
  /** Names of the books that have records, in order. Rejects with `LOG_CLOSED` or `LOG_ABORTED`, as `stats` does. */
  books(options?: { readonly signal?: AbortSignal | undefined }): Promise<string[]>;
  /** A book by name: 1 to 255 UTF-8 bytes. Synchronous; throws on a bad name. */
  book(name: string): LogBook;
  /** Figures as of one moment. */
  stats(options?: { readonly signal?: AbortSignal | undefined }): Promise<LogStats>;
  /**
   * Calls `fn` once, just before the next batch is taken; what it appends goes into that batch. Asks for a batch if none
   * is coming. For libraries that want to decide as late as possible.
   */
  beforeFlush(fn: () => void): void;
  /**
   * Stores the state, so that the next opening reads no more than what comes behind it, and gives back room of trimmed
   * records that the checkpoint before covers too. Happens by itself every so often and at `close`; while one is being
   * written, this waits for that. Rejects with `LOG_IO`, `LOG_FULL`, `LOG_CLOSED` or `LOG_ABORTED`; the log goes on.
   */
  checkpoint(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /**
   * Reads everything that is durable and checks it, while the log goes on: checksums, order, and that the index in memory and
   * in the checkpoints is what the records say. Lists all damage that it finds. A log in memory has nothing to check.
   *
   * Rejects with `LOG_ABORTED`, `LOG_CLOSED`, `LOG_IO`.
   */
  verify(options?: LongOptions): Promise<Verified>;
  /**
   * Copies the log as of one position into a folder that is empty or absent, while appends go on. Full segments are linked
   * where the disk can. The copy is whole when it has a `backup.json`; `restore()` makes a log of it.
   *
   * Rejects with TypeError for a log in memory, `LOG_NOT_A_LOG` when the folder is not empty, `LOG_ABORTED`, `LOG_CLOSED`,
   * `LOG_FULL`, `LOG_IO`.
   */
  backup(directory: string, options?: LongOptions): Promise<BackedUp>;
  /** Writes what was accepted, ends all waits with `LOG_CLOSED`, gives everything back. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Limits {
  readonly recordBytes: number;
  readonly tagBytes: number;
  readonly tagsPerRecord: number;
  readonly conditionsPerRecord: number;
  readonly headerBytes: number;
  readonly bookNameBytes: number;
  readonly batchBytes: number;
  readonly batchEntries: number;
  readonly appendAllEntries: number;
}
