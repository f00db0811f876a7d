/** The keys of a collection as a durable checkpoint. */
import type { LogBook, SeqNum } from "../../core/index.js";
import { type CheckpointHead, checkpointPartBytes, lastCheckpoint, readCheckpoint } from "../checkpoint.js";
import { messagePackCodec } from "../codec.js";
import { versionError } from "../errors.js";
import { emptyKeys, type KeyEntry, type KeysState, replaceEntry } from "./keys.js";
import { newTree } from "./tree.js";

/** Of the fold of the keys; a process does not go on from the state of a later one. */
export const keysVersion = 1;

/** What the keys of a collection begin with: the state as of `covered`, the empty one without a checkpoint. */
export interface KeysOrigin {
  readonly head: CheckpointHead | undefined;
  readonly covered: SeqNum;
  readonly state: KeysState;
}

/** [key, expiresAt or 0, entries by index or 0]; the first row names the indexes. */
type Row = [string, number, [string, string[]][] | 0];

export function* encodeKeys(state: KeysState): Iterable<Uint8Array> {
  let rows: unknown[] = [[...state.indexes.keys()]];
  let bytes = 0;
  for (const [key, { expiresAt, entries }] of state.keys.entries()) {
    const known = entries === undefined ? 0 : [...entries].map(([index, values]) => [index, [...values]]);
    rows.push([key, expiresAt === Infinity ? 0 : expiresAt, known]);
    bytes += 16 + key.length + (entries === undefined ? 0 : 64);
    if (bytes < checkpointPartBytes / 2) continue;
    yield messagePackCodec.encode(rows);
    rows = [[]];
    bytes = 0;
  }
  yield messagePackCodec.encode(rows);
}

function decodeKeys(bytes: Uint8Array, state: KeysState): void {
  const [indexes, ...rows] = messagePackCodec.decode(bytes) as [string[], ...Row[]];
  for (const name of indexes) state.indexes.set(name, { places: newTree(), missing: 0, missingSince: 0 });
  for (const [key, expiresAt, known] of rows) {
    const entry: KeyEntry = {
      expiresAt: expiresAt === 0 ? Infinity : expiresAt,
      entries: known === 0 ? undefined : new Map(known),
    };
    replaceEntry(state, key, undefined, entry, 0);
  }
}

export async function loadKeys(book: LogBook, collection: string): Promise<KeysOrigin> {
  for (;;) {
    const head = await lastCheckpoint(book, collection);
    if (head === undefined) return { head, covered: 0, state: emptyKeys() };
    if (head.foldVersion > keysVersion) throw versionError(collection, head.foldVersion, keysVersion);
    const state = emptyKeys();
    if (await readCheckpoint(book, collection, head, (bytes) => decodeKeys(bytes, state)))
      return { head, covered: head.covered, state };
  }
}
