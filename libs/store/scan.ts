/** Keys in order, from a tree and from what a transaction has written on top of it. */
import { checkOptions, show } from "../../core/index.js";
import type { ScanOptions } from "../objects.js";
import { isExpired, type KeysState } from "./keys.js";
import { compare } from "./tree.js";

const options = new Set(["prefix", "after", "limit"]);

export function checkScan(given: ScanOptions): void {
  checkOptions("scan", given, options);
  const { prefix, after, limit } = given;
  for (const [name, value] of Object.entries({ prefix, after }))
    if (value !== undefined && typeof value !== "string")
      throw new TypeError(`${name} must be a string, not ${show(value)}`);
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0))
    throw new RangeError(`limit must be a whole number of 0 or more, not ${show(limit)}`);
}

/** A key that was written: there, or deleted. */
interface WrittenKey {
  readonly key: string;
  readonly there: boolean;
}

export function* keysIn(
  keys: KeysState["keys"],
  time: number,
  { prefix = "", after, limit = Infinity }: ScanOptions,
  written: readonly WrittenKey[] = [],
): IterableIterator<string> {
  if (limit === 0) return;
  const from = after !== undefined && after >= prefix ? after : prefix;
  const isIn = (key: string): boolean => key.startsWith(prefix) && (after === undefined || key > after);
  const changed = new Map(written.map(({ key, there }) => [key, there]));
  const added = written
    .filter(({ key, there }) => there && isIn(key))
    .map(({ key }) => key)
    .sort(compare);
  let count = 0;
  let next = 0;
  for (const [key, entry] of keys.entries(from)) {
    if (!isIn(key)) {
      if (key === after) continue;
      break;
    }
    while (next < added.length && added[next]! < key) {
      yield added[next++]!;
      if (++count === limit) return;
    }
    if (changed.has(key) ? !changed.get(key) : isExpired(entry, time)) continue;
    if (added[next] === key) next++;
    yield key;
    if (++count === limit) return;
  }
  for (; next < added.length && count < limit; count++) yield added[next++]!;
}
