/**
 * Sorted lists of u32 ordinals, outside the JavaScript heap: which records carry a tag.
 *
 * A list of one value keeps it in its column. A longer one is a chain of blocks in a chunked arena, each a quarter of
 * what the list held before it, linked backwards:
 *
 *     tail -> [ link | v v v . ] -> [ link | v v v v ] -> ... -> [ 0 | v v v ]
 *
 * so that about a tenth of the room is slack, nothing is ever moved, and a search hops back over few blocks before it
 * bisects one. Ordinals are 1 or more; 0 is "none".
 */
import { Column } from "./column.js";

const chunkBits = 16;
const chunkSize = 1 << chunkBits;
const chunkMask = chunkSize - 1;
const blockMin = 3;
const blockMax = 1 << 14;

/** `blockStart[k]`: values before block k, for the blocks that still grow; those behind all hold `blockMax`. */
const blockStart: number[] = [0];
while (capacityAfter(blockStart.at(-1)!) < blockMax)
  blockStart.push(blockStart.at(-1)! + capacityAfter(blockStart.at(-1)!));
const growingEnd = blockStart.at(-1)!;
/** For short lists, by the number of values: where the last block starts. */
const startBySize = new Uint32Array(1 << 12);
for (let count = 1; count < startBySize.length; count++) startBySize[count] = searchStart(count);

function capacityAfter(start: number): number {
  return Math.min(blockMax, Math.max(blockMin, start >>> 2));
}

function searchStart(count: number): number {
  if (count > growingEnd) return growingEnd + Math.floor((count - 1 - growingEnd) / blockMax) * blockMax;
  let low = 0;
  let high = blockStart.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (blockStart[middle]! < count) low = middle;
    else high = middle - 1;
  }
  return blockStart[low]!;
}

function lastBlockStart(count: number): number {
  return count < startBySize.length ? startBySize[count]! : searchStart(count);
}

export class Postings {
  readonly #counts = new Column();
  /** The value itself of a list of one, else the arena position of the last block. */
  readonly #tails = new Column();
  readonly #chunks: Uint32Array[] = [];
  /** Next free word; 0 is never a block, so that it can end a chain. */
  #free = 1;

  get bytes(): number {
    return this.#counts.bytes + this.#tails.bytes + this.#chunks.length * chunkSize * 4;
  }

  /** Makes an empty list; lists are numbered 0, 1, 2, ... */
  add(): void {
    this.#counts.push(0);
    this.#tails.push(0);
  }

  count(list: number): number {
    return this.#counts.get(list);
  }

  /** Adds a value at or above all others of the list. */
  push(list: number, value: number): void {
    const count = this.#counts.get(list);
    this.#counts.set(list, count + 1);
    if (count === 0) {
      this.#tails.set(list, value);
      return;
    }
    const tail = this.#tails.get(list);
    if (count === 1) {
      const block = this.#allocate(blockMin, 0);
      this.#set(block + 1, tail);
      this.#set(block + 2, value);
      this.#tails.set(list, block);
      return;
    }
    const start = lastBlockStart(count);
    const fill = count - start;
    if (fill < capacityAfter(start)) {
      this.#set(tail + 1 + fill, value);
    } else {
      const block = this.#allocate(capacityAfter(count), tail);
      this.#set(block + 1, value);
      this.#tails.set(list, block);
    }
  }

  /** The last value, or 0. */
  last(list: number): number {
    const count = this.#counts.get(list);
    if (count < 2) return this.#tails.get(list);
    return this.#get(this.#tails.get(list) + count - lastBlockStart(count));
  }

  /** Replaces the last value of a list that has one. */
  replaceLast(list: number, value: number): void {
    const count = this.#counts.get(list);
    if (count < 2) this.#tails.set(list, value);
    else this.#set(this.#tails.get(list) + count - lastBlockStart(count), value);
  }

  /** How many values are below `bound`. */
  rank(list: number, bound: number): number {
    const count = this.#counts.get(list);
    if (count < 2) return count === 1 && this.#tails.get(list) < bound ? 1 : 0;
    let end = count;
    let start = lastBlockStart(count);
    let block = this.#tails.get(list);
    while (start > 0 && this.#get(block + 1) >= bound) {
      end = start;
      start = lastBlockStart(start);
      block = this.#get(block);
    }
    const words = this.#chunks[block >>> chunkBits]!;
    const first = (block & chunkMask) + 1;
    let low = 0;
    let high = end - start;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[first + middle]! < bound) low = middle + 1;
      else high = middle;
    }
    return start + low;
  }

  /** The first value at or above `bound`, or 0. */
  ceiling(list: number, bound: number): number {
    const count = this.#counts.get(list);
    if (count < 2) {
      const only = this.#tails.get(list);
      return count === 1 && only >= bound ? only : 0;
    }
    let block = this.#tails.get(list);
    let start = lastBlockStart(count);
    let end = count;
    let above = 0;
    for (;;) {
      const words = this.#chunks[block >>> chunkBits]!;
      const first = (block & chunkMask) + 1;
      if (words[first]! >= bound) {
        above = words[first]!;
        if (start === 0) return above;
        end = start;
        start = lastBlockStart(start);
        block = words[first - 1]!;
        continue;
      }
      let low = 1;
      let high = end - start;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (words[first + middle]! < bound) low = middle + 1;
        else high = middle;
      }
      return low < end - start ? words[first + low]! : above;
    }
  }

  /** The last value at or below `bound`, or 0. */
  floor(list: number, bound: number): number {
    const count = this.#counts.get(list);
    if (count < 2) {
      const only = this.#tails.get(list);
      return count === 1 && only <= bound ? only : 0;
    }
    let block = this.#tails.get(list);
    let start = lastBlockStart(count);
    let end = count;
    for (;;) {
      const words = this.#chunks[block >>> chunkBits]!;
      const first = (block & chunkMask) + 1;
      if (words[first]! > bound) {
        if (start === 0) return 0;
        end = start;
        start = lastBlockStart(start);
        block = words[first - 1]!;
        continue;
      }
      let low = 1;
      let high = end - start;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (words[first + middle]! <= bound) low = middle + 1;
        else high = middle;
      }
      return words[first + low - 1]!;
    }
  }

  #allocate(capacity: number, link: number): number {
    if ((this.#free & chunkMask) + capacity + 1 > chunkSize || this.#chunks.length === 0) {
      if (this.#chunks.length > 0) this.#free = this.#chunks.length * chunkSize;
      this.#chunks.push(new Uint32Array(chunkSize));
    }
    const block = this.#free;
    this.#free += capacity + 1;
    // A chunk filled to its end: the next block must open a new one, not wrap to position 0 of it.
    if ((this.#free & chunkMask) === 0) this.#chunks.push(new Uint32Array(chunkSize));
    this.#set(block, link);
    return block;
  }

  #get(word: number): number {
    return this.#chunks[word >>> chunkBits]![word & chunkMask]!;
  }

  #set(word: number, value: number): void {
    this.#chunks[word >>> chunkBits]![word & chunkMask] = value;
  }
}
