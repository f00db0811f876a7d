/**
 * The keys of a collection and the entries of its indexes, folded from the collection's stream without the values.
 *
 * K1  At every position they say what the objects say at that position.
 * K2  An index that exists has, for each object, its entries or a mark that they are missing: of objects older than the index, or
 *     changed by a process that does not know it. Whoever knows it computes what is missing, and writes it down.
 *
 * The trees are persistent: a copy shares all that is not changed behind it.
 */
import type { SeqNum } from "../../core/index.js";
import type { Place } from "../feed.js";
import type { Fold } from "../replica.js";
import type { ObjectChange } from "./change.js";
import { newTree, type Tree } from "./tree.js";
import { IndexDefinition } from "./change.js";

/** What is known of an object without its value. */
export interface KeyEntry {
  /** Log time, ms; Infinity for never. */
  readonly expiresAt: number;
  /** By index; an index without entries here misses those of this object. */
  readonly entries: ReadonlyMap<string, readonly string[]> | undefined;
}

export interface IndexState {
  /** ENTRY 0 KEY, see `placeOf`. */
  readonly places: Tree<undefined>;
  /** Objects whose entries are missing. */
  missing: number;
  /** Of the last record that left entries out. */
  missingSince: SeqNum;
}

export interface KeysState {
  readonly keys: Tree<KeyEntry>;
  readonly indexes: Map<string, IndexState>;
  /** Objects that expire, by EXPIRY 0 KEY. */
  readonly expiries: Tree<undefined>;
  /** Bytes of all keys, roughly what a checkpoint takes. */
  bytes: number;
}

const lasting: KeyEntry = Object.freeze({ expiresAt: Infinity, entries: undefined });

export function emptyKeys(): KeysState {
  return { keys: newTree(), indexes: new Map(), expiries: newTree(), bytes: 0 };
}

function copyOf(state: KeysState): KeysState {
  const indexes = new Map<string, IndexState>();
  for (const [name, index] of state.indexes) indexes.set(name, { ...index, places: index.places.clone() });
  return { keys: state.keys.clone(), indexes, expiries: state.expiries.clone(), bytes: state.bytes };
}

/** Entries may hold a zero or one themselves; those are written as two. */
function escape(entry: string): string {
  return entry.replaceAll("\u0001", "\u0001\u0002").replaceAll("\0", "\u0001\u0001");
}

/** Where an entry of a key stands among those of an index. */
export const placeOf = (entry: string, key: string): string => `${escape(entry)}\0${key}`;

const expiryOf = (expiresAt: number, key: string): string => `${String(expiresAt).padStart(16, "0")}\0${key}`;

/** The first entry that several of the objects which count have in common. */
export function firstDoubled(
  index: IndexState,
  counts: (key: string) => boolean,
): { readonly entry: string; readonly keys: readonly string[] } | undefined {
  let entry = "";
  let keys: string[] = [];
  for (const [place] of index.places.entries()) {
    const end = place.indexOf("\0");
    const key = place.slice(end + 1);
    if (!counts(key)) continue;
    const isSame = place.slice(0, end) === entry;
    if (isSame) keys.push(key);
    else if (keys.length > 1) break;
    else [entry, keys] = [place.slice(0, end), [key]];
  }
  return keys.length > 1 ? { entry, keys } : undefined;
}

/** An object is not there, or not any more. */
export function isExpired(entry: KeyEntry | undefined, time: number): boolean {
  return entry === undefined || entry.expiresAt <= time;
}

/** Keys that have an entry, in order. */
export function keysWith(index: IndexState, entry: string): string[] {
  const from = `${escape(entry)}\0`;
  return index.places.getRange(from, `${escape(entry)}\u0001`).map(([place]) => place.slice(from.length));
}

/** When an object expires. */
export interface DueExpiry {
  /** Log time, ms. */
  readonly at: number;
  readonly key: string;
}

/** The first object to expire, or the one behind another. */
export function nextExpiry(state: KeysState, behind?: DueExpiry): DueExpiry | undefined {
  const first =
    behind === undefined ? state.expiries.minKey() : state.expiries.nextHigherKey(expiryOf(behind.at, behind.key));
  return first === undefined ? undefined : { at: Number(first.slice(0, 16)), key: first.slice(17) };
}

export class KeysFold implements Fold<KeysState, ObjectChange | IndexDefinition> {
  isWhole(): boolean {
    return false;
  }

  apply(state: KeysState, part: ObjectChange | IndexDefinition, place: Place, fresh: boolean): KeysState {
    if (part instanceof IndexDefinition) return define(fresh ? copyOf(state) : state, part, place.seqnum);
    if (part.fault !== undefined) return state;
    if (leavesKey(part)) return state;
    const before = state.keys.get(part.key);
    const after = entryBehind(before, part, place);
    if (after === before || (after !== undefined && before !== undefined && sameEntry(before, after))) return state;
    const next = fresh ? copyOf(state) : state;
    replaceEntry(next, part.key, before, after, place.seqnum);
    return next;
  }
}

/** Most changes: patches that say nothing of entries or expiry. */
function leavesKey({ what, indexes, unknownIndexes, expiresAt, expiresIn, neverExpires }: ObjectChange): boolean {
  if (what !== "patches" && what !== "same") return false;
  return indexes.length + unknownIndexes.length + expiresAt + expiresIn === 0 && !neverExpires;
}

function entryBehind(before: KeyEntry | undefined, change: ObjectChange, place: Place): KeyEntry | undefined {
  if (change.what === "deleted") return undefined;
  if (change.what !== "value" && before === undefined) return undefined;
  let expiresAt = change.what === "value" ? Infinity : (before?.expiresAt ?? Infinity);
  if (change.neverExpires) expiresAt = Infinity;
  else if (change.expiresAt > 0) expiresAt = change.expiresAt;
  else if (change.expiresIn > 0) expiresAt = place.time + change.expiresIn;
  let entries = before?.entries;
  if (change.indexes.length > 0 || change.unknownIndexes.length > 0) {
    const changed = new Map(entries);
    for (const { index, entries: now } of change.indexes) changed.set(index, now);
    for (const index of change.unknownIndexes) changed.delete(index);
    entries = changed;
  }
  if (expiresAt === Infinity && entries === undefined) return lasting;
  return { expiresAt, entries };
}

function sameEntry(a: KeyEntry, b: KeyEntry): boolean {
  return a.expiresAt === b.expiresAt && a.entries === b.entries;
}

/** Puts an object's entry in the place of another, as the record at `seqnum` says. */
export function replaceEntry(
  state: KeysState,
  key: string,
  before: KeyEntry | undefined,
  after: KeyEntry | undefined,
  seqnum: SeqNum,
): void {
  if (after === undefined) state.keys.delete(key);
  else state.keys.set(key, after);
  state.bytes += sizeOf(key, after) - sizeOf(key, before);
  if (before?.expiresAt !== after?.expiresAt) {
    if (before !== undefined && before.expiresAt !== Infinity) state.expiries.delete(expiryOf(before.expiresAt, key));
    if (after !== undefined && after.expiresAt !== Infinity)
      state.expiries.set(expiryOf(after.expiresAt, key), undefined);
  }
  for (const [name, index] of state.indexes) {
    const old = before?.entries?.get(name);
    const now = after?.entries?.get(name);
    if (before !== undefined && old === undefined) index.missing--;
    if (after !== undefined && now === undefined) {
      index.missing++;
      index.missingSince = seqnum;
    }
    if (old === now) continue;
    for (const entry of old ?? []) index.places.delete(placeOf(entry, key));
    for (const entry of now ?? []) index.places.set(placeOf(entry, key), undefined);
  }
}

function sizeOf(key: string, entry: KeyEntry | undefined): number {
  if (entry === undefined) return 0;
  let bytes = key.length + 4;
  for (const entries of entry.entries?.values() ?? []) for (const value of entries) bytes += value.length + 4;
  return bytes;
}

function define(state: KeysState, { index, dropped }: IndexDefinition, seqnum: SeqNum): KeysState {
  if (dropped) state.indexes.delete(index);
  else if (!state.indexes.has(index)) {
    // Entries that a dropped index of this name has left count for nothing.
    for (const [key, { expiresAt, entries }] of state.keys.toArray()) {
      if (entries?.has(index) !== true) continue;
      const others = new Map(entries);
      others.delete(index);
      state.keys.set(key, { expiresAt, entries: others });
    }
    state.indexes.set(index, { places: newTree(), missing: state.keys.size, missingSince: seqnum });
  }
  return state;
}
