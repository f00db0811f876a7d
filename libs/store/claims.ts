/**
 * What one commit does with the entries of unique indexes: who takes one, and who keeps what it has.
 *
 * C1  An entry is taken only where it is known that no other object has it, at the place of the commit. Two commits that take one
 *     at once carry its tag both: the second one is refused. A writer who does not know the index tags its change as one of any
 *     entry: a commit that it overtakes is refused, and waits until the entries of that object are written down.
 * C2  What such writers have doubled stays: who has an entry may keep it, and nobody else gets it.
 */
import type { Commit } from "../commit.js";
import { StoreUniqueError, unreadableError } from "../errors.js";
import { anyEntryTag, entryTag } from "../tags.js";
import type { View } from "../views.js";
import { isWhole, type Built } from "./index-build.js";
import { isExpired, keysWith, type KeysState } from "./keys.js";

/** What becomes of the entries of one object in a unique index. */
export interface Claim {
  readonly index: string;
  readonly key: string;
  readonly entries: readonly string[];
  /** Those that it has already. */
  readonly held: readonly string[];
  /** It lives longer than it would have: for others it may have expired already, and they take its entries. */
  readonly lengthened: boolean;
}

export class Claims {
  readonly #collection: string;
  readonly #rewritten: ReadonlySet<string>;
  readonly #built: Built;
  /** By the tag of the entry: the key of its object. */
  readonly #taken = new Map<string, string>();
  readonly #kept = new Map<string, string>();
  /** The tag of an index that must be built before this commit can be: others, who do not know it, have changed objects. */
  unsure: string | undefined;

  /** `rewritten`: the keys of all objects that the commit changes. */
  constructor(collection: string, rewritten: readonly string[], built: Built) {
    this.#collection = collection;
    this.#rewritten = new Set(rewritten);
    this.#built = built;
  }

  /** No other object is changed, which might take what one keeps. */
  get isOfOne(): boolean {
    return this.#rewritten.size === 1;
  }

  /** Adds the conditions of what an object takes. `keys` are as of `at`. Throws `STORE_UNIQUE`. */
  add({ index, key, entries, held, lengthened }: Claim, keys: KeysState, commit: Commit, at: View): void {
    const takes = entries.some((entry) => !held.includes(entry));
    const any = anyEntryTag(this.#collection, index);
    if (takes && !this.#isKnown(index, keys, at.time)) this.unsure = any;
    if (this.unsure !== undefined) return;
    for (const entry of entries) {
      const tag = entryTag(this.#collection, index, entry);
      const isHeld = held.includes(entry);
      const owners = isHeld ? [] : this.#owners(index, entry, keys, at.time);
      const other = this.#taken.get(tag) ?? (isHeld ? undefined : this.#kept.get(tag));
      if (other !== undefined) owners.unshift(other);
      if (owners.length > 0) throw new StoreUniqueError(this.#collection, index, entry.slice(1), owners);
      (isHeld ? this.#kept : this.#taken).set(tag, key);
      if (isHeld && !lengthened) continue;
      // What it takes is tagged as any entry that comes.
      if (isHeld) commit.tag(tag);
      commit.unless(tag, at.position);
      commit.unless(any, at.position);
    }
  }

  /** Objects that have an entry, but for those of this commit. */
  #owners(index: string, entry: string, keys: KeysState, time: number): string[] {
    return keysWith(keys.indexes.get(index)!, entry).filter(
      (key) => !this.#rewritten.has(key) && !isExpired(keys.keys.get(key), time),
    );
  }

  /** Whether the index has the entries of all objects. Throws where one cannot be read, as a look-up does. */
  #isKnown(index: string, keys: KeysState, time: number): boolean {
    const state = keys.indexes.get(index)!;
    if (!isWhole(state, this.#built)) return false;
    if (state.missing === 0) return true;
    for (const [key, error] of this.#built.unreadable) {
      const entry = keys.keys.get(key);
      if (this.#rewritten.has(key) || isExpired(entry, time) || entry!.entries?.has(index) === true) continue;
      throw unreadableError(this.#collection, index, key, error);
    }
    return true;
  }
}
