/**
 * Brings the indexes of a collection up to what a handle declares: defines those that are new, and has the entries computed
 * that objects miss, of those that are older than the index or were changed by a process that does not know it.
 *
 * Any number of processes may do this at once, while others write: the entries of each object are a commit of their own, which
 * is refused when the object was changed meanwhile.
 */
import type { SeqNum } from "../../core/index.js";
import { Commit } from "../commit.js";
import { StoreError } from "../errors.js";
import { collectionTag, definitionTag } from "../tags.js";
import { IndexDefinition } from "./change.js";
import type { IndexState, KeysState } from "./keys.js";
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

/** What has been built: all entries that were missing at a position, but for those of objects that cannot be read. */
export interface Built {
  readonly upTo: SeqNum;
  /** By key, why not. Damaged objects are not among them: they have no value. */
  readonly unreadable: ReadonlyMap<string, StoreError>;
}

export const nothingBuilt: Built = { upTo: -1, unreadable: new Map() };

/** Whether an index has the entries of all objects that can be read. */
export function isWhole(index: IndexState, built: Built): boolean {
  return index.missing === 0 || index.missingSince <= built.upTo;
}

/** Objects that are worked on at once. */
const atOnce = 256;

/**
 * `reindex` writes the entries of one object, or rejects as a read of it does. Definitions and keys must be open. Gives undefined if
 * some are left for another time, because others change those objects again and again.
 */
export async function buildIndexes(
  stored: StoredCollection,
  names: readonly string[],
  reindex: (key: string) => Promise<unknown>,
  onProgress: (progress: BuildProgress) => void,
): Promise<Built | undefined> {
  for (const index of names) await define(stored, index);
  const { seqnum: upTo, state } = stored.keys.current!;
  const missing = keysMissing(state, names);
  const unreadable = new Map<string, StoreError>();
  let isComplete = true;
  for (let done = 0; done < missing.length;) {
    const some = missing.slice(done, done + atOnce);
    await Promise.all(
      some.map((key) =>
        reindex(key).catch((error: unknown) => {
          if (!(error instanceof StoreError)) throw error;
          if (error.code === "STORE_CONFLICT") isComplete = false;
          else if (unreadableCodes.has(error.code)) unreadable.set(key, error);
          else if (error.code !== "STORE_DAMAGED") throw error;
        }),
      ),
    );
    done += some.length;
    onProgress({ done, total: missing.length });
  }
  return isComplete ? { upTo, unreadable } : undefined;
}

const unreadableCodes: ReadonlySet<unknown> = new Set(["STORE_INVALID", "STORE_VERSION"]);

/** One record says that an index exists; of two that say so at once, one is refused. */
async function define(stored: StoredCollection, index: string): Promise<void> {
  const { feed, name, definitions } = stored;
  while (!definitions.current!.state.has(index)) {
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
