/**
 * The ordering contract: a loglet puts entries in one order and keeps them safe. It knows nothing of tags, books or
 * conditions; those are the engine's, which follows the loglet's feed and is a function of it.
 *
 *      base                                          tail
 *       | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | . . .
 *       |<----------- durable, in the feed ---------->|<- batch being written ->
 *
 * O1  Prefix rule: what gets ordered of the entries given to one Loglet object is a prefix of them, in call order.
 * O2  Positions are contiguous: the first is `base`, each entry has the next. `tail` is the first one not given out.
 * O3  The feed delivers every entry, in order, once, and only when it can no longer be lost.
 * O4  After a failure nothing more is ordered until the loglet is opened again; `append` rejects with the fault, and
 *     `outcome` says whether its entries may be found at the next opening. A full disk is no failure: `LOG_FULL` with
 *     outcome "none", and the next append may succeed.
 */
import type { Duplex } from "node:stream";
import type { BackedUp, Durability, LongOptions, Recovered, Verified } from "../types.js";

/** Place of an entry in a loglet: a safe integer. The engine's seqnums are positions. */
export type Position = number;

/** What a loglet orders: opaque bytes, encoded as late as possible, straight into the batch. */
export interface Entry {
  /** Encoded bytes, known before encoding. */
  readonly size: number;
  /** Writes exactly `size` bytes into `target` from `at`. Called once or more, with the same result. */
  encode(target: Buffer, at: number): void;
}

/** Entries in order, all with the same time. Valid only during the call that delivers it: the bytes are reused. */
export interface Batch {
  /** Position of the first entry; the i-th has `first + i`. */
  readonly first: Position;
  readonly count: number;
  /** Log time of entry i in ms is `times[i]`, never decreasing (L9). */
  readonly times: ArrayLike<number>;
  readonly bytes: Buffer;
  /** Where entry i begins in `bytes`. */
  readonly starts: ArrayLike<number>;
  /** Encoded bytes of entry i. */
  readonly sizes: ArrayLike<number>;
  /** The very entries given to `append`, when this batch is one of this object's own appends. */
  readonly own: readonly Entry[] | undefined;
}

export interface Sink {
  entries(batch: Batch): void;
  /** What was given to `append` last is safe, and `entries` comes next; another append is welcome now, beyond `depth`. */
  written?(): void;
  /** The last call: the loglet cannot go on. */
  failed(error: Error): void;
}

/** An entry read back. `bytes` is the caller's to keep. */
export interface StoredEntry {
  readonly bytes: Buffer;
  readonly time: number;
}

/** Where entries lead to, as somebody says who looks whether it is what was stored. */
export interface Follower {
  /** Takes over a stored state of `position`. Throws where it cannot be read. */
  load(state: Buffer, position: Position): void;
  /** An entry, in order: behind its state it is applied, else it must be what the state says of it. Says what is wrong. */
  entry(bytes: Buffer, at: number, size: number, position: Position, time: number): string | undefined;
  /** Entries are missing here: what is known of their writers counts no more. */
  gap(): void;
  isNeeded(position: Position): boolean;
  /** In what a stored state of the same position differs. */
  compare(state: Buffer, position: Position): string[];
  /** Log time. */
  readonly time: number;
  /** Records that are not trimmed. */
  readonly records: number;
}

export interface Loglet {
  /** Random id of the log, 32 hex digits. */
  readonly id: string;
  readonly durability: Durability;
  readonly base: Position;
  readonly recovered: Recovered | undefined;
  /** How many appends it wants at once: the engine collects the rest meanwhile. */
  readonly depth: number;

  /**
   * Orders `entries` (1 or more, together within `limits.batchBytes` unless there is only one). Resolves when the feed
   * has delivered them; see O4 for failures.
   */
  append(entries: readonly Entry[]): Promise<void>;
  /**
   * Delivers all from `from` that exists already, then resolves and goes on delivering. One subscriber at a time. Nothing is
   * stamped below `time`: log time at `from`, which the subscriber has from a checkpoint.
   */
  subscribe(from: Position, sink: Sink, time: number): Promise<void>;
  /**
   * One entry, verified; undefined if it was released. Returns it directly where that costs no waiting for a device
   * queue, else a promise. Throws or rejects with `LOG_CORRUPT` or `LOG_IO`. `position` must be below the tail.
   */
  read(position: Position): StoredEntry | undefined | Promise<StoredEntry | undefined>;
  /** The first position not given out. Linearizable. */
  tail(): Promise<Position>;

  /**
   * Stores the state that a follower has after `position`, durably, without stopping appends; the last two are kept.
   * `hurry`: nothing else goes on, so that it need not make way.
   */
  checkpoint(position: Position, slices: readonly Uint8Array[], hurry: boolean): Promise<void>;
  /**
   * The newest state stored whole, its bytes at a multiple of 8 and the caller's to keep. Undefined where there is none: then
   * all entries are there. `LOG_CORRUPT` where entries are gone and no checkpoint holds.
   */
  latestCheckpoint(): Promise<{ readonly position: Position; readonly state: Buffer } | undefined>;
  /**
   * Gives back the room of entries that nobody needs any more, as far as both checkpoints cover them. Their positions stay
   * taken; reading them gives undefined. Makes way for appends; does nothing while it is at it already; an abort only stops it.
   */
  release(isNeeded: (position: Position) => boolean, signal: AbortSignal): Promise<void>;
  stats(): LogletStats;
  /**
   * Checks all that is stored and durable, while appends go on; `follower` is given the entries, and compared with the states
   * in checkpoints and with `state`. Only where there are files.
   */
  verify?(
    follower: Follower,
    state: { readonly position: Position; readonly state: Buffer },
    options: LongOptions,
  ): Promise<Verified>;
  /**
   * Copies all up to one position, while appends go on; `facts` is called at that position. Only where there are files.
   */
  backup?(
    directory: string,
    facts: () => { readonly records: number; readonly time: number },
    options: LongOptions,
  ): Promise<BackedUp>;
  /** Gives `welcome` the connections of other processes that want to use the log through this one. Only where they could not else. */
  share?(welcome: (guest: Duplex) => void): void;
  /** Finishes the append under way and gives everything back. Idempotent. */
  close(): Promise<void>;
}

export interface LogletStats {
  readonly logBytes: number;
  readonly diskBytes: number;
  /** Bytes that the loglet keeps in memory to find entries by position. */
  readonly indexBytes: number;
  readonly batches: number;
  readonly syncMs: number;
}
