/** A collection's share in a transaction: what was read and written of it, at the position of the transaction. */
import { checkOptions } from "../../core/index.js";
import { collectionTag, entryTag, anyEntryTag, checkKey } from "../tags.js";
import type { Commit } from "../commit.js";
import { OutdatedError, StoreDamagedError, StoreError, unreadableError } from "../errors.js";
import type { Found, IndexValue, PutOptions, Recipe, ScanOptions, UpdateOptions } from "../objects.js";
import { isTrimmed, type Version } from "../replica.js";
import type { ObjectsShare, Transaction } from "../transaction.js";
import type { View } from "../views.js";
import { checkRecipe, copyOf, type Draft, putOptions, updateOptions } from "./draft.js";
import type { Handle } from "./handle.js";
import { entryOf } from "./indexes.js";
import { isExpired, keysWith, type KeysState } from "./keys.js";
import { checkScan, keysIn } from "./scan.js";
import { compare } from "./tree.js";

const valueOf = <T>(draft: Draft<T>): T | undefined => draft.value;
const deleteOf = <T>(draft: Draft<T>): void => draft.delete();

export class Share<T> implements ObjectsShare<T> {
  readonly #handle: Handle<T>;
  readonly #tx: Transaction;
  readonly #view: View;
  /** Keys of objects that a write was called for. */
  readonly #written = new Set<string>();
  readonly #drafts = new Map<string, Draft<T>>();
  /** By key, where something is under way: what must be through before the next operation on it. */
  #pending: Map<string, Promise<unknown>> | undefined;
  /** Tags that what was looked for depends on. */
  readonly #looked: string[] = [];
  /** The tag of an index that was not whole yet at the position of the transaction. */
  #unsure: string | undefined;

  constructor(handle: Handle<T>, tx: Transaction) {
    this.#handle = handle;
    this.#tx = tx;
    this.#view = tx.view;
  }

  get(key: string): T | undefined | Promise<T | undefined> {
    this.#checkHandles(key);
    return this.#do(key, valueOf);
  }

  put(key: string, value: T, options?: PutOptions): void | Promise<void> {
    checkOptions("put", options, putOptions);
    const copy = copyOf(value);
    return this.#write(key, (draft) => draft.put(copy, options));
  }

  update(key: string, recipe: Recipe<T>, options?: UpdateOptions<T>): T | Promise<T> {
    checkOptions("update", options, updateOptions);
    checkRecipe(recipe);
    return this.#write(key, (draft) => draft.update(recipe, options));
  }

  delete(key: string): void | Promise<void> {
    return this.#write(key, deleteOf);
  }

  #write<R>(key: string, run: (draft: Draft<T>) => R | Promise<R>): R | Promise<R> {
    this.#checkHandles();
    this.#written.add(key);
    return this.#do(key, run);
  }

  /**
   * Throws if another handle of the collection has written the object, or any where none is named. Each handle has its own version
   * of values and its own indexes: what one has written is not for another to go on from.
   */
  #checkHandles(key?: string): void {
    if (this.#tx.hasOneShare) return;
    for (const other of this.#tx.shares) {
      if (other === this || !(other instanceof Share) || other.#handle.stored !== this.#handle.stored) continue;
      const written = (other as Share<unknown>).#written;
      for (const each of key === undefined ? written : written.has(key) ? [key] : [])
        throw new TypeError(
          `a transaction has written "${each}" of "${this.#handle.name}" through another handle; use one handle of a collection in it: call collection() once and hand that on`,
        );
    }
  }

  /** Operations on one object take place in the order in which they were called. */
  #do<R>(key: string, run: (draft: Draft<T>) => R | Promise<R>): R | Promise<R> {
    const pending = this.#pending?.get(key);
    let result: R | Promise<R>;
    if (pending !== undefined) result = pending.then(async () => run(await this.#draft(key)));
    else {
      const draft = this.#draft(key);
      result = draft instanceof Promise ? draft.then(run) : run(draft);
    }
    if (!(result instanceof Promise)) return result;
    const settled = result.then(
      () => undefined,
      () => undefined,
    );
    const all = (this.#pending ??= new Map());
    all.set(key, settled);
    void settled.then(() => {
      if (all.get(key) === settled) all.delete(key);
    });
    return result;
  }

  /** Resolves when the operations called so far are through, so that what is looked for sees them. */
  async #settle(): Promise<void> {
    const pending = this.#pending;
    while (pending !== undefined && pending.size > 0) await Promise.all(pending.values());
  }

  #draft(key: string): Draft<T> | Promise<Draft<T>> {
    const known = this.#drafts.get(key);
    if (known !== undefined) return known;
    checkKey(key);
    const { stored } = this.#handle;
    const { position, time } = this.#view;
    const version = stored.at(key, position);
    const draft =
      version instanceof Promise
        ? version.then((opened) => this.#handle.draft(this.#kept(opened), key, time))
        : this.#handle.draft(this.#kept(version), key, time);
    return draft instanceof Promise ? draft.then((made) => this.#keep(made)) : this.#keep(draft);
  }

  #keep(draft: Draft<T>): Draft<T> {
    const known = this.#drafts.get(draft.key);
    if (known !== undefined) return known;
    this.#drafts.set(draft.key, draft);
    return draft;
  }

  async find(index: string, value: IndexValue): Promise<Found<T>[]> {
    const { indexes, stored, name } = this.#handle;
    indexes.checkName(index);
    this.#checkHandles();
    const entry = entryOf(value, index);
    await this.#handle.openIndexes();
    await this.#settle();
    this.#looked.push(entryTag(name, index, entry), anyEntryTag(name, index));
    const { state } = this.#kept(stored.keys.at(this.#view.position));
    const found = state.indexes.get(index);
    const keys = new Set(found === undefined ? [] : keysWith(found, entry));
    const unsure = new Set(found === undefined || found.missing > 0 ? missing(state, index) : []);
    for (const key of unsure) keys.add(key);
    for (const [key, draft] of this.#drafts) if (draft.changed) keys.add(key);
    const result: Found<T>[] = [];
    for (const key of [...keys].sort(compare)) {
      if (isExpired(state.keys.get(key), this.#view.time) && this.#drafts.get(key)?.changed !== true) continue;
      const known = await this.#lookAt(key, index, unsure.has(key));
      if (known !== undefined && indexes.entries(index, known, key).includes(entry)) result.push({ key, value: known });
    }
    return result;
  }

  /** The value of an object that may be what is looked for. Which one cannot be read, and for which index, is told. */
  async #lookAt(key: string, index: string, isUnsure: boolean): Promise<T | undefined> {
    try {
      return await this.get(key);
    } catch (error) {
      // A damaged object that the index does not know has no entry in it.
      if (error instanceof StoreDamagedError && isUnsure) return undefined;
      throw error instanceof StoreError && error.code !== "STORE_CLOSED"
        ? unreadableError(this.#handle.name, index, key, error)
        : error;
    }
  }

  async *scan(options: ScanOptions = {}): AsyncIterableIterator<Found<T>> {
    for await (const key of this.keys(options)) {
      const draft = this.#drafts.get(key);
      const value = draft === undefined ? await this.#read(key) : draft.value;
      if (value !== undefined) yield { key, value };
    }
  }

  async *keys(options: ScanOptions = {}): AsyncIterableIterator<string> {
    checkScan(options);
    this.#checkHandles();
    const { stored } = this.#handle;
    await this.#handle.openForReads();
    await stored.openKeys();
    await this.#settle();
    this.#looked.push(collectionTag(this.#handle.name));
    const { state } = this.#kept(stored.keys.at(this.#view.position));
    const written = [...this.#drafts.values()]
      .filter((draft) => draft.changed)
      .map(({ key, value }) => ({ key, there: value !== undefined }));
    yield* keysIn(state.keys, this.#view.time, options, written);
  }

  /** A value that is guarded by something else than its own tag. */
  async #read(key: string): Promise<T | undefined> {
    const { position, time } = this.#view;
    return this.#handle.value(this.#kept(await this.#handle.stored.at(key, position)), key, time);
  }

  /** What is known at the position of the transaction, unless others have trimmed it meanwhile. */
  #kept<S>(version: Version<S>): Version<S> {
    const { fault } = version;
    if (!isTrimmed(fault)) return version;
    throw new OutdatedError(this.#handle.name, this.#view.position, fault);
  }

  prepare(commit: Commit, names: string[]): Promise<void> | undefined {
    const changed: Draft<T>[] = [];
    for (const draft of this.#drafts.values()) if (draft.changed) changed.push(draft);
    if (changed.length === 0) return undefined;
    if (this.#handle.isReady) this.#prepare(changed, commit, names);
    else return this.#handle.openForWrites().then(() => this.#prepare(changed, commit, names));
    return undefined;
  }

  #prepare(changed: readonly Draft<T>[], commit: Commit, names: string[]): void {
    this.#handle.check();
    const { stored, keys } = this.#handle;
    const known = keys === undefined ? undefined : this.#kept(stored.keys.at(this.#view.position)).state;
    const claims = this.#handle.claims(changed.map(({ key }) => key));
    for (const draft of changed) {
      this.#handle.addChange(commit, draft, known, this.#view, claims);
      names.push(draft.tag);
    }
    this.#unsure = claims.unsure;
  }

  guard(commit: Commit): void {
    const { position } = this.#view;
    if (this.#drafts.size === 0 && this.#looked.length === 0) return;
    this.#handle.guard(commit, position);
    for (const { tag } of this.#drafts.values()) commit.unless(tag, position);
    for (const tag of this.#looked) commit.unless(tag, position);
  }

  stale(): string | undefined {
    if (this.#unsure !== undefined) return this.#unsure;
    for (const { key, tag } of this.#drafts.values()) {
      const version = this.#handle.stored.glance(key);
      if (version !== undefined && version.seqnum > this.#view.position) return tag;
    }
    return undefined;
  }
}

function missing(state: KeysState, index: string): string[] {
  const keys: string[] = [];
  for (const [key, { entries }] of state.keys.entries()) if (entries?.has(index) !== true) keys.push(key);
  return keys;
}
