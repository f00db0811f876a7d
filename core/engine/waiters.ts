/**
 * Reads that wait for a record. A wait looks under one key: the number of a tag or book, or `anything` while that has no
 * number yet, or when any entry may end it. After every batch the engine wakes the keys that were touched.
 */

export const anything = -1;

export interface Wait {
  /** Looks again; true when it is over. */
  attempt(): boolean;
  fail(error: Error): void;
  readonly owner: object;
}

export class Waiters {
  readonly #waits = new Map<number, Set<Wait>>();
  readonly #touched = new Set<number>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Returns the function that takes the wait away again. */
  add(key: number, wait: Wait): () => void {
    let waits = this.#waits.get(key);
    if (waits === undefined) this.#waits.set(key, (waits = new Set()));
    waits.add(wait);
    this.#count++;
    return () => this.#remove(key, wait);
  }

  /** Marks a key; cheap where nobody waits. */
  touch(key: number): void {
    if (this.#waits.has(key)) this.#touched.add(key);
  }

  /** Wakes what was touched since the last call. */
  wake(): void {
    this.touch(anything);
    const keys = [...this.#touched];
    this.#touched.clear();
    for (const key of keys) {
      for (const wait of [...(this.#waits.get(key) ?? [])]) {
        if (wait.attempt()) this.#remove(key, wait);
      }
    }
  }

  /** Ends the waits of one owner, or all. */
  fail(error: Error, owner?: object): void {
    for (const [key, waits] of [...this.#waits]) {
      for (const wait of [...waits]) {
        if (owner !== undefined && wait.owner !== owner) continue;
        this.#remove(key, wait);
        wait.fail(error);
      }
    }
  }

  #remove(key: number, wait: Wait): void {
    const waits = this.#waits.get(key);
    if (waits?.delete(wait) !== true) return;
    this.#count--;
    if (waits.size === 0) this.#waits.delete(key);
  }
}
