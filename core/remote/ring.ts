/**
 * Things that have a number and come and go, such as calls. Not a Map: one whose entries change all the time makes a new table of itself
 * every few dozen, and the old tables, each of which knows the next, keep what was in them until the next full collection.
 */
export interface Numbered {
  /** Counts up, given by the ring. */
  number: number;
}

export class Ring<T extends Numbered> {
  /** Twice as many as are there, or more; the place of each is the lower bits of its number. */
  #slots: (T | undefined)[] = new Array<undefined>(64);
  #size = 0;
  #number = 0;

  get size(): number {
    return this.#size;
  }

  /** Takes it in; gives its id: 32 bits, not 0, which nothing else here has. */
  add(item: T): number {
    if (2 * this.#size >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    do this.#number++;
    while (this.#number >>> 0 === 0 || this.#slots[this.#number & mask] !== undefined);
    item.number = this.#number;
    this.#slots[this.#number & mask] = item;
    this.#size++;
    return this.#number >>> 0;
  }

  get(id: number): T | undefined {
    const item = this.#slots[id & (this.#slots.length - 1)];
    return item !== undefined && item.number >>> 0 === id ? item : undefined;
  }

  delete(id: number): boolean {
    if (this.get(id) === undefined) return false;
    this.#slots[id & (this.#slots.length - 1)] = undefined;
    this.#size--;
    return true;
  }

  /** In the order in which they came. */
  entries(): [id: number, item: T][] {
    const items = this.#slots.filter((item) => item !== undefined);
    return items.sort((a, b) => a.number - b.number).map((item) => [item.number >>> 0, item]);
  }

  /** Numbers that differ in their lower bits still do in one bit more. */
  #grow(): void {
    const old = this.#slots;
    this.#slots = new Array<undefined>(2 * old.length);
    const mask = this.#slots.length - 1;
    for (const item of old) if (item !== undefined) this.#slots[item.number & mask] = item;
  }
}
