/**
 * Reads that wait for a record. A wait looks under one key: the number of a tag or book, or `anything` while that has no
 * number, or when any entry may end it. After every batch the engine wakes the keys that were touched.
 */
import type { SeqNum } from "../types.js";

export const anything = -1;

export interface Wait {
  /** Looks again, at what is at `first` or above: nothing before that was for this wait. True when it is over. */
  attempt(first: SeqNum): boolean;
  fail(error: Error): void;
  readonly owner: object;
}

export class Waiters {
  readonly #waits = new Map<number, Set<Wait>>();
  readonly #keys = new Map<Wait, number>();
  readonly #touched = new Set<number>();

  get count(): number {
    return this.#keys.size;
  }

  /** Returns the function that takes the wait away again. */
  add(key: number, wait: Wait): () => void {
    this.#put(key, wait);
    return () => this.#remove(wait);
  }

  /** Marks a key; cheap where nobody waits. */
  touch(key: number): void {
    if (this.#waits.has(key)) this.#touched.add(key);
  }

  /** Puts the waits under one key under another: the first is about to mean something else. */
  move(from: number, to: number): void {
    for (const wait of [...(this.#waits.get(from) ?? [])]) {
      this.#remove(wait);
      this.#put(to, wait);
    }
  }

  /** Wakes what was touched since the last call, by entries from `first` on. */
  wake(first: SeqNum): void {
    this.touch(anything);
    const keys = [...this.#touched];
    this.#touched.clear();
    for (const key of keys) {
      for (const wait of [...(this.#waits.get(key) ?? [])]) {
        if (wait.attempt(first)) this.#remove(wait);
      }
    }
  }

  /** Ends the waits of one owner, or all. */
  fail(error: Error, owner?: object): void {
    for (const wait of [...this.#keys.keys()]) {
      if (owner !== undefined && wait.owner !== owner) continue;
      this.#remove(wait);
      wait.fail(error);
    }
  }

  #put(key: number, wait: Wait): void {
    let waits = this.#waits.get(key);
    if (waits === undefined) this.#waits.set(key, (waits = new Set()));
    waits.add(wait);
    this.#keys.set(wait, key);
  }

  #remove(wait: Wait): void {
    const key = this.#keys.get(wait);
    if (key === undefined) return;
    this.#keys.delete(wait);
    const waits = this.#waits.get(key)!;
    waits.delete(wait);
    if (waits.size === 0) this.#waits.delete(key);
  }
}
