/** The secondary indexes that a handle of a collection declares: from a value to its entries, and from entries to objects. */
import { show } from "../../core/index.js";
import type { Commit } from "../commit.js";
import { StoreUniqueError } from "../errors.js";
import type { IndexValue } from "../objects.js";
import { anyEntryTag, checkPathName, entryTag } from "../tags.js";
import type { View } from "../views.js";
import type { IndexEntries, ObjectChange } from "./change.js";
import { keysWith, type KeyEntry, type KeysState } from "./keys.js";

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

  /** The entries of a value, each once. */
  entries(index: string, value: T): readonly string[] {
    const found = this.#declared.get(index)!.by(value);
    if (found === undefined || found === null) return noEntries;
    if (!Array.isArray(found)) return [entryOf(found as IndexValue, index)];
    return [...new Set((found as readonly IndexValue[]).map((each) => entryOf(each, index)))];
  }

  /**
   * Says in a change what becomes of the entries of its object, and gives the commit the tags of those that come or go. `value` is
   * what the object becomes, undefined when it goes; `keys` are as of `at`. Throws `STORE_UNIQUE`.
   */
  mark(change: ObjectChange, value: T | undefined, keys: KeysState, commit: Commit, at: View, claims: Claims): void {
    const { key } = change;
    const before = keys.keys.get(key);
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
      const now = this.entries(index, value);
      // What has expired, and what another change of the same commit asks for, was not kept for this object.
      const kept = old !== undefined && sameEntries(old, now) && !isExpired(before, at.time);
      if (declared.unique && (!kept || claims.rewritten.size > 1))
        this.#claim(index, now, key, keys, commit, at, claims);
      if (kept) continue;
      changed.push({ index, entries: now });
      if (old === undefined) commit.tag(anyEntryTag(this.#collection, index));
      this.#tag(index, old ?? noEntries, now, commit);
      if (before !== undefined && isExpired(before, at.time)) this.#tag(index, noEntries, now, commit);
    }
    if (changed.length > 0) change.indexes = changed;
    if (unknown.length > 0) change.unknownIndexes = unknown;
  }

  #tag(index: string, old: readonly string[], now: readonly string[], commit: Commit): void {
    for (const entry of old) if (!now.includes(entry)) commit.tag(entryTag(this.#collection, index, entry));
    for (const entry of now) if (!old.includes(entry)) commit.tag(entryTag(this.#collection, index, entry));
  }

  /** Two commits that take an entry at once carry its tag both: the second one is refused. */
  #claim(
    index: string,
    entries: readonly string[],
    key: string,
    keys: KeysState,
    commit: Commit,
    { position, time }: View,
    claims: Claims,
  ): void {
    for (const entry of entries) {
      const tag = entryTag(this.#collection, index, entry);
      const claimed = claims.taken.get(tag);
      const owners = keysWith(keys.indexes.get(index)!, entry).filter(
        (other) => other !== key && !claims.rewritten.has(other) && !isExpired(keys.keys.get(other), time),
      );
      const owner = claimed ?? owners[0];
      if (owner !== undefined) throw new StoreUniqueError(this.#collection, index, entry.slice(1), owner);
      claims.taken.set(tag, key);
      commit.unless(tag, position);
    }
  }
}

/** What one commit does with unique entries: who takes them, and which objects get their entries anew. */
export class Claims {
  /** By the tag of the entry: the key of its object. */
  readonly taken = new Map<string, string>();
  readonly rewritten: ReadonlySet<string>;

  constructor(rewritten: readonly string[]) {
    this.rewritten = new Set(rewritten);
  }
}

export function isExpired(entry: KeyEntry | undefined, time: number): boolean {
  return entry === undefined || entry.expiresAt <= time;
}

function sameEntries(a: readonly string[], b: readonly string[]): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((entry) => b.includes(entry));
}
