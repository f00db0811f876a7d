/** A growing table of rows of four u32 outside the JavaScript heap; a row lies in one cache line, and growing never copies. */

const chunkBits = 12;
const chunkRows = 1 << chunkBits;
const chunkMask = chunkRows - 1;

export class Rows {
  readonly #chunks: Uint32Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#chunks.length * chunkRows * 16;
  }

  /** Adds a row of zeros and gives its number: 0, 1, 2, ... */
  add(): number {
    const row = this.#length++;
    if ((row & chunkMask) === 0) this.#chunks.push(new Uint32Array(chunkRows * 4));
    return row;
  }

  get(row: number, word: 0 | 1 | 2 | 3): number {
    return this.#chunks[row >>> chunkBits]![((row & chunkMask) << 2) | word]!;
  }

  set(row: number, word: 0 | 1 | 2 | 3, value: number): void {
    this.#chunks[row >>> chunkBits]![((row & chunkMask) << 2) | word] = value;
  }
}
