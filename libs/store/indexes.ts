/** The secondary indexes that a handle of a collection declares: from a value to its entries, and from entries to objects. */
import { show } from "../../core/index.js";
import type { Commit } from "../commit.js";
import { StoreUniqueError } from "../errors.js";
import type { IndexValue } from "../objects.js";
import { anyEntryTag, checkPathName, entryTag } from "../tags.js";
import type { View } from "../views.js";
import type { IndexEntries, ObjectChange } from "./change.js";
import type { Claims } from "./claims.js";
import { firstDoubled, isExpired, type KeysState } from "./keys.js";

/** What an object is found by: one value, several, or none. */
export type IndexBy<T> = (value: T) => IndexValue | readonly IndexValue[] | null | undefined;

/** A function, or one with a word about it. `unique`: no two objects have an entry in common. */
export type IndexOption<T> = IndexBy<T> | { readonly by: IndexBy<T>; readonly unique?: boolean | undefined };

interface Index<T> {
  readonly by: IndexBy<T>;
  readonly unique: boolean;
}

const noEntries: readonly string[] = Object.freeze([]);

/** An entry begins with a letter of its type. */
export function entryOf(value: IndexValue, index: string): string {
  switch (typeof value) {
    case "string":
      return `s${value}`;
    case "number":
      return `n${Object.is(value, -0) ? 0 : value}`;
    case "bigint":
      return `i${value}`;
    case "boolean":
      return value ? "b1" : "b0";
    default:
      if (value instanceof Date) return `d${value.getTime()}`;
      throw new TypeError(
        `index "${index}" has strings, numbers, bigints, booleans and Dates, not ${show(value)}; compute one of these from it`,
      );
  }
}

export class Indexes<T> {
  readonly #collection: string;
  readonly #declared = new Map<string, Index<T>>();

  constructor(collection: string, options: Readonly<Record<string, IndexOption<T>>>) {
    this.#collection = collection;
    for (const [name, option] of Object.entries(options)) {
      checkPathName("the name of an index", name);
      const { by, unique = false } = typeof option === "function" ? { by: option } : option;
      if (typeof by !== "function")
        throw new TypeError(`index "${name}" must be a function or { by, unique }, not ${show(option)}`);
      this.#declared.set(name, { by, unique });
    }
  }

  get names(): readonly string[] {
    return [...this.#declared.keys()];
  }

  get size(): number {
    return this.#declared.size;
  }

  /** Throws for an index that this handle does not declare. */
  checkName(index: string): void {
    if (this.#declared.has(index)) return;
    const names = this.names.join(", ") || "none";
    throw new TypeError(
      `"${this.#collection}" declares no index ${show(index)}, only: ${names}; declare it in collection()`,
    );
  }

  /** The entries of the value of an object, each once. Throws TypeError where the index has none for it. */
  entries(index: string, value: T, key: string): readonly string[] {
    const found = this.#by(index, value, key);
    if (found === undefined || found === null) return noEntries;
    if (!Array.isArray(found)) return [entryOf(found as IndexValue, index)];
    return [...new Set((found as readonly IndexValue[]).map((each) => entryOf(each, index)))];
  }

  #by(index: string, value: T, key: string): ReturnType<IndexBy<T>> {
    try {
      return this.#declared.get(index)!.by(value);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new TypeError(`the function of index "${index}" of "${this.#collection}" threw for "${key}": ${why}`, {
        cause,
      });
    }
  }

  /** The first entry of any unique index that several objects have, as an error; undefined if there is none. */
  doubled(keys: KeysState, time: number): StoreUniqueError | undefined {
    for (const [name, { unique }] of this.#declared) {
      if (!unique) continue;
      const found = firstDoubled(keys.indexes.get(name)!, (key) => !isExpired(keys.keys.get(key), time));
      if (found !== undefined) return new StoreUniqueError(this.#collection, name, found.entry.slice(1), found.keys);
    }
    return undefined;
  }

  /**
   * Says in a change what becomes of the entries of its object, and gives the commit the tags of those that come or go. `value` is
   * what the object becomes, undefined when it goes; `keys` are as of `at`. Throws `STORE_UNIQUE`.
   */
  mark(change: ObjectChange, value: T | undefined, keys: KeysState, commit: Commit, at: View, claims: Claims): void {
    const { key } = change;
    const before = keys.keys.get(key);
    const isThere = !isExpired(before, at.time);
    const changed: IndexEntries[] = [];
    const unknown: string[] = [];
    for (const index of keys.indexes.keys()) {
      const old = before?.entries?.get(index);
      if (value === undefined) {
        this.#tag(index, old ?? noEntries, noEntries, commit);
        continue;
      }
      const declared = this.#declared.get(index);
      if (declared === undefined) {
        unknown.push(index);
        commit.tag(anyEntryTag(this.#collection, index));
        this.#tag(index, old ?? noEntries, noEntries, commit);
        continue;
      }
      const now = this.entries(index, value, key);
      const kept = old !== undefined && isThere && sameEntries(old, now);
      const lengthened = isThere && before!.expiresAt !== Infinity && setsExpiry(change);
      if (declared.unique && (!kept || lengthened || !claims.isOfOne)) {
        // Where the value stays as it is, its entries are only written down. What has expired holds nothing.
        const held = change.what === "same" ? now : isThere && old !== undefined ? old : noEntries;
        claims.add({ index, key, entries: now, held, lengthened }, keys, commit, at);
      }
      if (kept) continue;
      changed.push({ index, entries: now });
      if (before !== undefined && old === undefined) commit.tag(anyEntryTag(this.#collection, index));
      this.#tag(index, old ?? noEntries, now, commit);
      if (before !== undefined && !isThere) this.#tag(index, noEntries, now, commit);
    }
    if (changed.length > 0) change.indexes = changed;
    if (unknown.length > 0) change.unknownIndexes = unknown;
  }

  #tag(index: string, old: readonly string[], now: readonly string[], commit: Commit): void {
    for (const entry of old) if (!now.includes(entry)) commit.tag(entryTag(this.#collection, index, entry));
    for (const entry of now) if (!old.includes(entry)) commit.tag(entryTag(this.#collection, index, entry));
  }
}

function setsExpiry({ what, expiresAt, expiresIn, neverExpires }: ObjectChange): boolean {
  return neverExpires || expiresIn > 0 || (what === "value" && expiresAt === 0);
}

function sameEntries(a: readonly string[], b: readonly string[]): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((entry) => b.includes(entry));
}
