/**
 * Brings the indexes of a collection up to what a handle declares: defines those that are new, and has the entries computed
 * that objects miss, of those that are older than the index or were changed by a process that does not know it.
 *
 * Any number of processes may do this at once, while others write: the entries of each object are a commit of their own, which
 * is refused when the object was changed meanwhile.
 */
import { Commit } from "../commit.js";
import { collectionTag, definitionTag } from "../tags.js";
import { IndexDefinition } from "./change.js";
import type { KeysState } from "./keys.js";
import type { StoredCollection } from "./stored.js";

/** How many objects have their entries, of those that missed some when the work began. */
export interface BuildProgress {
  readonly done: number;
  readonly total: number;
}

export interface BuildOptions {
  /** Ends the waiting; the building goes on. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: BuildProgress) => void) | undefined;
}

/** Objects that are worked on at once. */
const atOnce = 256;

/** `reindex` writes the entries of one object. Definitions and keys must be open. */
export async function buildIndexes(
  stored: StoredCollection,
  names: readonly string[],
  reindex: (key: string) => Promise<unknown>,
  onProgress: (progress: BuildProgress) => void,
): Promise<void> {
  for (const index of names) await define(stored, index);
  await stored.openKeys();
  const missing = keysMissing(stored.keys.current!.state, names);
  for (let done = 0; done < missing.length;) {
    const some = missing.slice(done, done + atOnce);
    await Promise.all(some.map(reindex));
    done += some.length;
    onProgress({ done, total: missing.length });
  }
}

/** One record says that an index exists; of two that say so at once, one is refused. */
async function define(stored: StoredCollection, index: string): Promise<void> {
  const { feed, name } = stored;
  for (;;) {
    await stored.openDefinitions();
    if (stored.definitions.current!.state.has(index)) return;
    const commit = new Commit();
    commit.parts.push(new IndexDefinition(name, index, false));
    commit.tag(definitionTag(name));
    commit.tag(collectionTag(name));
    commit.unless(definitionTag(name), feed.position);
    if (!(await commit.append(feed)).ok) await feed.sync();
  }
}

/** Keys of objects whose entries in any of the indexes are not known. */
export function keysMissing(state: KeysState, names: readonly string[]): string[] {
  const wanting = names.filter((name) => (state.indexes.get(name)?.missing ?? 0) > 0);
  if (wanting.length === 0) return [];
  const keys: string[] = [];
  for (const [key, { entries }] of state.keys.entries())
    if (wanting.some((name) => entries?.has(name) !== true)) keys.push(key);
  return keys;
}
