/** A map in the order of its keys, by JavaScript's `<`. A copy costs nothing and shares what is not changed behind it. */
import BTreeModule from "sorted-btree";

export interface Tree<V> {
  readonly size: number;
  get(key: string): V | undefined;
  set(key: string, value: V): boolean;
  delete(key: string): boolean;
  clone(): Tree<V>;
  /** From `first` on, inclusive. Not to be changed meanwhile. */
  entries(first?: string): IterableIterator<[string, V]>;
  /** From `low` to `high`, exclusive. */
  getRange(low: string, high: string): [string, V][];
  minKey(): string | undefined;
  nextHigherKey(key: string): string | undefined;
  toArray(): [string, V][];
}

export function newTree<V>(): Tree<V> {
  // The package is CommonJS: its default export is a property of what Node imports.
  return new BTreeModule.default<string, V>(undefined, compare);
}

export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
