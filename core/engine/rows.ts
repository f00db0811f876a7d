/** A growing table of rows of four u32 outside the JavaScript heap; a row lies in one cache line, and growing never copies. */

const chunkBits = 12;
const chunkRows = 1 << chunkBits;
const chunkMask = chunkRows - 1;
export const rowChunkWords = chunkRows * 4;

export class Rows {
  readonly chunks: Uint32Array[] = [];
  #length = 0;

  /** Rows given out so far, also those given back. */
  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.chunks.length * rowChunkWords * 4;
  }

  /** Adds a row of zeros and gives its number: 0, 1, 2, ... */
  add(): number {
    const row = this.#length++;
    if ((row & chunkMask) === 0) this.chunks.push(new Uint32Array(rowChunkWords));
    return row;
  }

  get(row: number, word: 0 | 1 | 2 | 3): number {
    return this.chunks[row >>> chunkBits]![((row & chunkMask) << 2) | word]!;
  }

  set(row: number, word: 0 | 1 | 2 | 3, value: number): void {
    this.chunks[row >>> chunkBits]![((row & chunkMask) << 2) | word] = value;
  }

  /** Takes over rows that were stored. */
  restore(chunks: readonly Uint32Array[], length: number): void {
    for (const chunk of chunks) this.chunks.push(chunk);
    this.#length = length;
  }
}
