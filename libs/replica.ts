/**
 * A replica: a value computed from the log, kept up to date by the feed, and readable as it was for whoever has a view.
 *
 * R1  Open, it is at the position of its feed; reading it costs nothing. Closed, it costs nothing.
 * R2  A fold is total: a part that cannot be applied makes the replica damaged from there on, and stops nothing else.
 * R3  What comes while it is being loaded is applied behind what was loaded.
 *
 * The fold may change a state in place where nobody can see the one before; it is told so.
 */
import { LogError, type SeqNum } from "../core/index.js";
import type { Feed, Place } from "./feed.js";
import type { Keeper } from "./views.js";

/** The state from a record on. */
export interface Version<S> {
  /** Of the record that made it; 0 before the first. */
  readonly seqnum: SeqNum;
  readonly state: S;
  /** Why the state is not known. */
  readonly fault?: Error | undefined;
}

export interface Fold<S, P> {
  /** `fresh`: somebody may still look at `state`, it must not be changed. */
  apply(state: S, part: P, place: Place, fresh: boolean): S;
  /** Whether a part says all by itself, so that it heals a damaged state. */
  isWhole(part: P): boolean;
}

/**
 * The versions up to a position, oldest first: the first of them is at or below `oldest`, or is the empty state if there was
 * none, or a fault if that cannot be known any more.
 */
export type Load<S> = (upTo: SeqNum, oldest: SeqNum) => Promise<Version<S>[]>;

export class Replica<S, P> implements Keeper {
  readonly #feed: Feed;
  readonly #fold: Fold<S, P>;
  readonly #load: Load<S>;
  #current: Version<S> | undefined;
  #older: Version<S>[] = [];
  #opening: Promise<void> | undefined;
  #pending: { readonly part: P; readonly place: Place }[] | undefined;
  #closed = false;

  constructor(feed: Feed, fold: Fold<S, P>, load: Load<S>) {
    this.#feed = feed;
    this.#fold = fold;
    this.#load = load;
  }

  /** The state at the feed's position; undefined unless open. */
  get current(): Version<S> | undefined {
    return this.#current;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The state at a position for which there is a view. Only while open. */
  at(position: SeqNum): Version<S> {
    const current = this.#current!;
    if (current.seqnum <= position) return current;
    for (let i = this.#older.length - 1; i >= 0; i--) {
      const version = this.#older[i]!;
      if (version.seqnum <= position) return version;
    }
    throw new Error(`no version at ${position} is kept; the view was closed`);
  }

  /** Resolves when open. A replica that was closed meanwhile stays closed. Rejects when the feed has ended. */
  open(): Promise<void> {
    if (this.#feed.fault !== undefined) return Promise.reject(this.#feed.fault);
    return (this.#opening ??= this.#open());
  }

  async #open(): Promise<void> {
    const feed = this.#feed;
    try {
      const versions = await this.#loaded();
      const pending = this.#pending;
      if (versions === undefined || pending === undefined) return;
      this.#pending = undefined;
      const loaded = versions.at(-1)!.seqnum;
      this.#current = versions.pop()!;
      this.#older = versions;
      for (let i = 0; i < versions.length; i++) feed.views.replaced(this, (versions[i + 1] ?? this.#current).seqnum);
      // A checkpoint may hold more than what was asked for.
      for (const { part, place } of pending) if (place.seqnum > loaded) this.apply(part, place);
    } catch (error) {
      this.#opening = undefined;
      this.#pending = undefined;
      throw error;
    }
  }

  /**
   * The versions at the feed's position, with all that came since in `#pending`; undefined when it was closed meanwhile. What another
   * process has trimmed or stored behind that position is caught up with.
   */
  async #loaded(): Promise<Version<S>[] | undefined> {
    const feed = this.#feed;
    for (;;) {
      this.#pending = [];
      const upTo = feed.position;
      const versions = await this.#load(upTo, Math.min(upTo, feed.views.oldest ?? upTo));
      if (this.#closed) return undefined;
      const { seqnum, fault } = versions.at(-1)!;
      if (!isTrimmed(fault) && seqnum <= feed.position) return versions;
      await feed.sync();
      if (this.#closed) return undefined;
      if (feed.position === upTo) return versions;
    }
  }

  /** What the feed gave. A replica that is not open takes no notice. */
  apply(part: P, place: Place): void {
    const current = this.#current;
    if (current === undefined) {
      this.#pending?.push({ part, place });
      return;
    }
    const { views } = this.#feed;
    const kept = views.newest >= current.seqnum && current.seqnum < place.seqnum;
    if (kept) {
      this.#older.push(current);
      views.replaced(this, place.seqnum);
    }
    // A part that changes nothing leaves two versions with one state.
    const fresh = this.#older.at(-1)?.state === current.state;
    this.#current = step(this.#fold, current, part, place, fresh);
  }

  forget(): void {
    this.#older.shift();
  }

  close(): void {
    this.#closed = true;
    this.#current = undefined;
    this.#pending = undefined;
    this.#older = [];
  }
}

/** A fault of reading, not of what is written: what would be needed to know a state has been trimmed. */
export function isTrimmed(fault: unknown): fault is LogError {
  return fault instanceof LogError && fault.code === "LOG_TRIMMED";
}

/** One step of a fold; what cannot be applied is a fault, until something whole comes. */
export function step<S, P>(
  fold: Fold<S, P>,
  { state, fault }: Version<S>,
  part: P,
  place: Place,
  fresh: boolean,
): Version<S> {
  const { seqnum } = place;
  if (fault !== undefined && !fold.isWhole(part)) return { seqnum, state, fault };
  try {
    return { seqnum, state: fold.apply(state, part, place, fresh) };
  } catch (error) {
    return { seqnum, state, fault: error as Error };
  }
}
