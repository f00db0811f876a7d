/** What the parts of one handle of a collection share: what is stored, how this process sees values, and its indexes. */
import { orAborted, type SeqNum } from "../../core/index.js";
import type { Values } from "../codec.js";
import type { Commit } from "../commit.js";
import { StoreDamagedError } from "../errors.js";
import type { Version } from "../replica.js";
import { collectionTag, definitionTag } from "../tags.js";
import type { View } from "../views.js";
import { Claims } from "./claims.js";
import { Draft } from "./draft.js";
import { buildIndexes, type BuildOptions, type BuildProgress, isWhole, nothingBuilt } from "./index-build.js";
import type { Indexes } from "./indexes.js";
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
  /** Objects that building has left out are not tried again, until they change. */
  #built = nothingBuilt;
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
    await this.openForReads();
    await stored.definitions.open();
    this.check();
    if (this.indexes.size > 0) await this.openIndexes();
    // The keys of a new collection cost nothing now; later all that has been written would be read for them.
    else if (stored.definitions.current!.state.size > 0 || (await stored.isNew())) await stored.openKeys();
  }

  /** Opens the keys, and sees to it that the indexes which this handle declares exist and miss nothing. */
  async openIndexes(options: BuildOptions = {}): Promise<void> {
    const { stored } = this;
    await this.openForReads();
    await stored.definitions.open();
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
      .then((built) => (this.#built = built ?? this.#built))
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
    return this.indexes.names.every((name) => {
      const index = state?.indexes.get(name);
      return index !== undefined && isWhole(index, this.#built);
    });
  }

  /** The keys as of now, where a write needs them. */
  get keys(): KeysState | undefined {
    const { definitions, keys } = this.stored;
    return definitions.current!.state.size === 0 ? undefined : keys.current!.state;
  }

  /** What a write begins with. Throws `STORE_VERSION`. Of a damaged object it is only known that it is there. */
  draft({ state, fault }: Version<ObjectState>, key: string, time: number): Draft<T> | Promise<Draft<T>> {
    const { name, shape } = this;
    if (fault !== undefined) {
      const damaged = new StoreDamagedError(name, key, fault);
      return new Draft<T>(name, key, { ...absent, exists: true }, undefined, shape, damaged);
    }
    const before = state.expiresAt <= time ? undefined : shape.seen(state, key);
    if (!(before instanceof Promise)) return new Draft(name, key, state, before, shape);
    // What cannot be brought up can be replaced.
    return before.then(
      (known) => new Draft(name, key, state, known, shape),
      (error: Error) => new Draft<T>(name, key, state, undefined, shape, error),
    );
  }

  /** What a read finds. Throws `STORE_DAMAGED` and `STORE_VERSION`. */
  value({ state, fault }: Version<ObjectState>, key: string, time: number): T | undefined | Promise<T | undefined> {
    if (fault !== undefined) throw new StoreDamagedError(this.name, key, fault);
    return state.expiresAt <= time ? undefined : this.shape.seen(state, key);
  }

  /** What a commit that changes some objects takes of unique indexes. */
  claims(keys: readonly string[]): Claims {
    return new Claims(this.name, keys, this.#built);
  }

  /** Adds what becomes of an object to a commit, with the tags that concern it. `keys` are as of `at`. */
  addChange(commit: Commit, draft: Draft<T>, keys: KeysState | undefined, at: View, claims: Claims): void {
    const change = draft.change(this.values);
    commit.parts.push(change);
    commit.tag(draft.tag);
    commit.tag(this.#tag);
    if (keys !== undefined) this.indexes.mark(change, draft.value, keys, commit, at, claims);
  }

  /** Refuses the commit if there are other indexes than at a position. */
  guard(commit: Commit, position: SeqNum): void {
    commit.unless(this.#definitionTag, position);
  }
}
