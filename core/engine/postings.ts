/**
 * Sorted lists of u32 ordinals, outside the JavaScript heap: which records carry a tag.
 *
 * A list of one value keeps it in its row. A longer one is a chain of blocks in a chunked arena, each a quarter of
 * what the list held before it, linked backwards:
 *
 *     tail -> [ link | v v v . ] -> [ link | v v v v ] -> ... -> [ 0 | v v v ]
 *
 * so that about a tenth of the room is slack, nothing is ever moved, and a search hops back over few blocks before it
 * bisects one. Ordinals are 1 or more; 0 is "none".
 *
 * Trimming gives old blocks back, to be used for others of their size: the chain then ends earlier, and what was in them
 * counts on. The newest block always stays, and with it the last value.
 */
import { Rows } from "./rows.js";

const chunkBits = 16;
export const postingChunkWords = 1 << chunkBits;
const chunkMask = postingChunkWords - 1;
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
  /** Words 0 and 1 are free for the owner, word 2 counts the values, word 3 is the only value or else the last block. */
  readonly rows = new Rows();
  readonly chunks: Uint32Array[] = [];
  /** Next free word; 0 is never a block, so that it can end a chain. */
  #free = 1;
  /** Blocks given back, by their capacity. */
  readonly #freeBlocks = new Map<number, number[]>();
  /** Lists cleared while the arena was being stored, by their last block and count. */
  #cleared: (readonly [block: number, count: number])[] = [];
  #frozen = false;

  get bytes(): number {
    return this.rows.bytes + this.chunks.length * postingChunkWords * 4;
  }

  get end(): number {
    return this.#free;
  }

  /** While the arena is being stored, what is in it must not be used again. */
  get frozen(): boolean {
    return this.#frozen;
  }

  set frozen(frozen: boolean) {
    this.#frozen = frozen;
    if (!frozen) for (const [block, count] of this.#cleared.splice(0)) this.#giveBack(block, count);
  }

  get freeBlocks(): ReadonlyMap<number, readonly number[]> {
    return this.#freeBlocks;
  }

  /** Takes over an arena that was stored. */
  restore(chunks: readonly Uint32Array[], end: number, freeBlocks: readonly (readonly [number, number[]])[]): void {
    for (const chunk of chunks) this.chunks.push(chunk);
    this.#free = end;
    for (const [capacity, blocks] of freeBlocks) this.#freeBlocks.set(capacity, blocks);
  }

  /** Makes an empty list; lists are numbered 0, 1, 2, ... */
  add(): number {
    return this.rows.add();
  }

  count(list: number): number {
    return this.rows.get(list, 2);
  }

  /** Adds a value at or above all others of the list. */
  push(list: number, value: number): void {
    const count = this.rows.get(list, 2);
    this.rows.set(list, 2, count + 1);
    if (count === 0) {
      this.rows.set(list, 3, value);
      return;
    }
    const tail = this.rows.get(list, 3);
    if (count === 1) {
      const block = this.#allocate(blockMin, 0);
      this.#set(block + 1, tail);
      this.#set(block + 2, value);
      this.rows.set(list, 3, block);
      return;
    }
    const start = lastBlockStart(count);
    const fill = count - start;
    if (fill < capacityAfter(start)) {
      this.#set(tail + 1 + fill, value);
    } else {
      const block = this.#allocate(capacityAfter(count), tail);
      this.#set(block + 1, value);
      this.rows.set(list, 3, block);
    }
  }

  /** The last value, or 0. */
  last(list: number): number {
    const count = this.rows.get(list, 2);
    if (count < 2) return this.rows.get(list, 3);
    return this.#get(this.rows.get(list, 3) + count - lastBlockStart(count));
  }

  /** Replaces the last value of a list that has one. */
  replaceLast(list: number, value: number): void {
    const count = this.rows.get(list, 2);
    if (count < 2) this.rows.set(list, 3, value);
    else this.#set(this.rows.get(list, 3) + count - lastBlockStart(count), value);
  }

  /** Calls `fn` with each value from `from` to `to`, both inclusive, the highest first. */
  forEach(list: number, from: number, to: number, fn: (value: number) => void): void {
    const count = this.rows.get(list, 2);
    if (count < 2) {
      const only = this.rows.get(list, 3);
      if (count === 1 && only >= from && only <= to) fn(only);
      return;
    }
    let end = count;
    for (let block = this.rows.get(list, 3); block !== 0; block = this.#get(block)) {
      const start = lastBlockStart(end);
      for (let i = end - start; i > 0; i--) {
        const value = this.#get(block + i);
        if (value < from) return;
        if (value <= to) fn(value);
      }
      end = start;
    }
  }

  /** Gives back the blocks whose values are all at or below `bound`, but not the newest one. */
  dropUpTo(list: number, bound: number): void {
    const count = this.rows.get(list, 2);
    if (count < 2 || this.#frozen) return;
    let block = this.rows.get(list, 3);
    let start = lastBlockStart(count);
    while (start > 0 && this.#get(block) !== 0) {
      const older = this.#get(block);
      // The value before the first of this block is the last of the older one.
      const olderStart = lastBlockStart(start);
      if (this.#get(older + start - olderStart) <= bound) {
        this.#set(block, 0);
        this.#giveBack(older, start);
        return;
      }
      block = older;
      start = olderStart;
    }
  }

  /** Gives back all of a list; its row is its owner's to use again. */
  clear(list: number): void {
    const count = this.rows.get(list, 2);
    if (count > 1 && this.#frozen) this.#cleared.push([this.rows.get(list, 3), count]);
    else if (count > 1) this.#giveBack(this.rows.get(list, 3), count);
    this.rows.set(list, 2, 0);
    this.rows.set(list, 3, 0);
  }

  /** A block that ends before value number `end`, and all older ones. */
  #giveBack(block: number, end: number): void {
    while (block !== 0) {
      const start = lastBlockStart(end);
      const capacity = capacityAfter(start);
      let blocks = this.#freeBlocks.get(capacity);
      if (blocks === undefined) this.#freeBlocks.set(capacity, (blocks = []));
      blocks.push(block);
      block = this.#get(block);
      end = start;
    }
  }

  /** How many values are below `bound`; those in blocks given back count. */
  rank(list: number, bound: number): number {
    const count = this.rows.get(list, 2);
    if (count < 2) return count === 1 && this.rows.get(list, 3) < bound ? 1 : 0;
    let end = count;
    let start = lastBlockStart(count);
    let block = this.rows.get(list, 3);
    while (this.#get(block + 1) >= bound && this.#get(block) !== 0) {
      end = start;
      start = lastBlockStart(start);
      block = this.#get(block);
    }
    const words = this.chunks[block >>> chunkBits]!;
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
    const count = this.rows.get(list, 2);
    if (count < 2) {
      const only = this.rows.get(list, 3);
      return count === 1 && only >= bound ? only : 0;
    }
    let block = this.rows.get(list, 3);
    let start = lastBlockStart(count);
    let end = count;
    let above = 0;
    for (;;) {
      const words = this.chunks[block >>> chunkBits]!;
      const first = (block & chunkMask) + 1;
      if (words[first]! >= bound) {
        above = words[first]!;
        if (words[first - 1] === 0) return above;
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
    const count = this.rows.get(list, 2);
    if (count < 2) {
      const only = this.rows.get(list, 3);
      return count === 1 && only <= bound ? only : 0;
    }
    let block = this.rows.get(list, 3);
    let start = lastBlockStart(count);
    let end = count;
    for (;;) {
      const words = this.chunks[block >>> chunkBits]!;
      const first = (block & chunkMask) + 1;
      if (words[first]! > bound) {
        if (words[first - 1] === 0) return 0;
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
    const reused = this.#freeBlocks.get(capacity)?.pop();
    if (reused !== undefined) {
      this.#set(reused, link);
      return reused;
    }
    if ((this.#free & chunkMask) + capacity + 1 > postingChunkWords || this.chunks.length === 0) {
      if (this.chunks.length > 0) this.#free = this.chunks.length * postingChunkWords;
      this.chunks.push(new Uint32Array(postingChunkWords));
    }
    const block = this.#free;
    this.#free += capacity + 1;
    // A chunk filled to its end: the next block must open a new one, not wrap to position 0 of it.
    if ((this.#free & chunkMask) === 0) this.chunks.push(new Uint32Array(postingChunkWords));
    this.#set(block, link);
    return block;
  }

  #get(word: number): number {
    return this.chunks[word >>> chunkBits]![word & chunkMask]!;
  }

  #set(word: number, value: number): void {
    this.chunks[word >>> chunkBits]![word & chunkMask] = value;
  }
}
