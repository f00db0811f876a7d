/**
 * How many tags of each record are not trimmed yet (L6): a record whose count is 0 is gone. Four bits a record outside the
 * JavaScript heap; the few records with more tags than that are counted in a map.
 */

const chunkBits = 16;
/** Records in a chunk; a byte holds two. */
const chunkRecords = 1 << chunkBits;
const chunkMask = chunkRecords - 1;
export const liveChunkBytes = chunkRecords / 2;
const many = 15;
/** Stands for every chunk without a live record. */
const dead = new Uint8Array(liveChunkBytes);

export class Live {
  readonly chunks: Uint8Array[] = [];
  readonly many = new Map<number, number>();

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + (chunk === dead ? 0 : liveChunkBytes), 0);
  }

  /** Tags of a record that are not trimmed; 0 for what is gone or never was a record. */
  get(ordinal: number): number {
    const nibble = this.#get(ordinal);
    return nibble < many ? nibble : this.many.get(ordinal)!;
  }

  set(ordinal: number, count: number): void {
    while (ordinal >>> chunkBits >= this.chunks.length) this.chunks.push(new Uint8Array(liveChunkBytes));
    this.#set(ordinal, Math.min(count, many));
    if (count >= many) this.many.set(ordinal, count);
  }

  /** One tag fewer. True when that was the last. */
  release(ordinal: number): boolean {
    const count = this.get(ordinal);
    if (count === 0) return false;
    if (count >= many) this.many.delete(ordinal);
    this.set(ordinal, count - 1);
    return count === 1;
  }

  /** None at all. True when there were some. */
  clear(ordinal: number): boolean {
    if (this.#get(ordinal) === 0) return false;
    this.many.delete(ordinal);
    this.#set(ordinal, 0);
    return true;
  }

  /** Gives back chunks that have no live record, up to `last`; those behind it are still written to. */
  dropDead(last: number): void {
    for (let i = 0; i < last >>> chunkBits; i++) {
      if (this.chunks[i] !== dead && Buffer.compare(this.chunks[i]!, dead) === 0) this.chunks[i] = dead;
    }
  }

  /** Numbers of the chunks that were given back. */
  get dead(): number[] {
    return this.chunks.flatMap((chunk, i) => (chunk === dead ? [i] : []));
  }

  /** Takes over chunks that were stored, with those given back between them. */
  restore(count: number, stored: readonly Uint8Array[], given: readonly number[]): void {
    const gone = new Set(given);
    for (let i = 0, next = 0; i < count; i++) this.chunks.push(gone.has(i) ? dead : stored[next++]!);
  }

  #get(ordinal: number): number {
    const chunk = this.chunks[ordinal >>> chunkBits];
    if (chunk === undefined) return 0;
    const byte = chunk[(ordinal & chunkMask) >>> 1]!;
    return (ordinal & 1) === 0 ? byte & 15 : byte >>> 4;
  }

  #set(ordinal: number, nibble: number): void {
    const chunk = this.chunks[ordinal >>> chunkBits]!;
    const at = (ordinal & chunkMask) >>> 1;
    const byte = chunk[at]!;
    chunk[at] = (ordinal & 1) === 0 ? (byte & 240) | nibble : (byte & 15) | (nibble << 4);
  }
}
