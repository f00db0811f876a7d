/** What the parts of one handle of a collection share: what is stored, how this process sees values, and its indexes. */
import { orAborted, type SeqNum } from "../../core/index.js";
import type { Values } from "../codec.js";
import type { Commit } from "../commit.js";
import { StoreDamagedError } from "../errors.js";
import type { Version } from "../replica.js";
import { collectionTag, definitionTag, objectTag } from "../tags.js";
import type { View } from "../views.js";
import { Draft } from "./draft.js";
import { buildIndexes, type BuildOptions, type BuildProgress } from "./index-build.js";
import type { Claims, Indexes } from "./indexes.js";
import type { KeysState } from "./keys.js";
import { absent, type ObjectState } from "./object.js";
import type { Shape } from "./schema.js";
import type { StoredCollection } from "./stored.js";

export class Handle<T> {
  readonly stored: StoredCollection;
  /** What this handle writes. */
  readonly values: Values;
  readonly shape: Shape<T>;
  readonly indexes: Indexes<T>;
  /** Writes the entries of one object. */
  reindex!: (key: string) => Promise<unknown>;
  readonly #tag: string;
  readonly #definitionTag: string;
  readonly #onProgress = new Set<(progress: BuildProgress) => void>();
  #building: Promise<unknown> | undefined;
  /** Objects that building has left out: damaged, or of a version that cannot be brought up. It is not tried again for those. */
  #unreadable = 0;
  readonly #ending = new AbortController();
  #closed: (() => Error) | undefined;

  constructor(stored: StoredCollection, values: Values, shape: Shape<T>, indexes: Indexes<T>) {
    this.stored = stored;
    this.values = values;
    this.shape = shape;
    this.indexes = indexes;
    this.#tag = collectionTag(stored.name);
    this.#definitionTag = definitionTag(stored.name);
  }

  get name(): string {
    return this.stored.name;
  }

  /** Ends what waits. */
  close(reason: () => Error): void {
    this.#closed = reason;
    this.#ending.abort();
  }

  /** Aborted when the store is closed. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Throws when the store or the log is closed. */
  check(): void {
    if (this.#closed !== undefined) throw this.#closed();
    const { fault } = this.stored.feed;
    if (fault !== undefined) throw fault;
  }

  /** Resolves when the feed runs. */
  async openForReads(): Promise<void> {
    await this.stored.book.following();
    this.check();
  }

  /** Opens what is needed to write: who changes an object in a collection with indexes needs its keys. */
  async openForWrites(): Promise<void> {
    const { stored } = this;
    // Again where a gap has closed what was open, or an index was defined meanwhile.
    do {
      await this.openForReads();
      await stored.openDefinitions();
      this.check();
      if (this.indexes.size > 0) await this.openIndexes();
      // The keys of a new collection cost nothing now; later all that has been written would be read for them.
      else if (stored.definitions.current!.state.size > 0 || (await stored.isNew())) await stored.openKeys();
      this.check();
    } while (!this.isOpen);
  }

  /** Opens the keys, and sees to it that the indexes which this handle declares exist and miss nothing. */
  async openIndexes(options: BuildOptions = {}): Promise<void> {
    const { stored } = this;
    await this.openForReads();
    await stored.openDefinitions();
    await stored.openKeys();
    this.check();
    if (!this.areIndexesWhole) await this.#build(options);
  }

  /** One building for all who wait for it; each may stop waiting. */
  async #build({ signal, onProgress }: BuildOptions): Promise<void> {
    if (onProgress !== undefined) this.#onProgress.add(onProgress);
    this.#building ??= buildIndexes(this.stored, this.indexes.names, this.reindex, (progress) => {
      for (const show of this.#onProgress) show(progress);
    })
      .then(() => (this.#unreadable = this.#missing))
      .finally(() => (this.#building = undefined));
    try {
      await orAborted(this.#building, signal);
    } catch (error) {
      // What it stands on goes with the store and the log.
      this.check();
      throw error;
    } finally {
      if (onProgress !== undefined) this.#onProgress.delete(onProgress);
    }
  }

  /** The most objects that any of the indexes misses. */
  get #missing(): number {
    const indexes = this.stored.keys.current?.state.indexes;
    return Math.max(0, ...this.indexes.names.map((name) => indexes?.get(name)?.missing ?? 0));
  }

  /** All that a write of any object needs is open. */
  get isOpen(): boolean {
    const { definitions, keys } = this.stored;
    const known = definitions.current;
    return known !== undefined && (keys.current !== undefined || (known.state.size === 0 && this.indexes.size === 0));
  }

  /** The same, and no object misses entries of the indexes that this handle declares. */
  get isReady(): boolean {
    return this.isOpen && this.areIndexesWhole;
  }

  get areIndexesWhole(): boolean {
    if (this.indexes.size === 0) return true;
    const state = this.stored.keys.current?.state;
    return this.indexes.names.every((name) => (state?.indexes.get(name)?.missing ?? Infinity) <= this.#unreadable);
  }

  /** The keys as of now, where a write needs them. */
  get keys(): KeysState | undefined {
    const { definitions, keys } = this.stored;
    return definitions.current!.state.size === 0 ? undefined : keys.current!.state;
  }

  /** What a write begins with. Throws `STORE_VERSION`. Of a damaged object it is only known that it is there. */
  draft({ state, fault }: Version<ObjectState>, key: string, time: number): Draft<T> | Promise<Draft<T>> {
    const draft = (base: ObjectState, known: T | undefined, why?: Error): Draft<T> =>
      new Draft(this.name, key, { base, fault: why }, known, this.shape);
    if (fault !== undefined)
      return draft({ ...absent, exists: true }, undefined, new StoreDamagedError(this.name, key, fault));
    const before = state.expiresAt <= time ? undefined : this.shape.seen(state, key);
    if (!(before instanceof Promise)) return draft(state, before);
    // What cannot be brought up can be replaced.
    return before.then(
      (known) => draft(state, known),
      (error: Error) => draft(state, undefined, error),
    );
  }

  /** What a read finds. Throws `STORE_DAMAGED` and `STORE_VERSION`. */
  value({ state, fault }: Version<ObjectState>, key: string, time: number): T | undefined | Promise<T | undefined> {
    if (fault !== undefined) throw new StoreDamagedError(this.name, key, fault);
    return state.expiresAt <= time ? undefined : this.shape.seen(state, key);
  }

  /** Adds what becomes of an object to a commit, with the tags that concern it. `keys` are as of `at`; with them come `claims`. */
  addChange(commit: Commit, draft: Draft<T>, keys: KeysState | undefined, at: View, claims: Claims | undefined): void {
    const change = draft.change(this.values);
    commit.parts.push(change);
    commit.tag(objectTag(this.name, draft.key));
    commit.tag(this.#tag);
    if (claims !== undefined) this.indexes.mark(change, draft.value, keys!, commit, at, claims);
  }

  /** Refuses the commit if there are other indexes than at a position. */
  guard(commit: Commit, position: SeqNum): void {
    commit.unless(this.#definitionTag, position);
  }
}
