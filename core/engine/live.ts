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

export class Live {
  readonly chunks: Uint8Array[] = [];
  readonly many = new Map<number, number>();

  get bytes(): number {
    return this.chunks.length * liveChunkBytes;
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
