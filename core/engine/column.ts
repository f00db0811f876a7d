/** A growing array of u32 outside the JavaScript heap, in chunks: growing never copies and wastes less than one chunk. */

const chunkBits = 14;
const chunkSize = 1 << chunkBits;
const chunkMask = chunkSize - 1;

export class Column {
  readonly #chunks: Uint32Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#chunks.length * chunkSize * 4;
  }

  get(index: number): number {
    return this.#chunks[index >>> chunkBits]![index & chunkMask]!;
  }

  set(index: number, value: number): void {
    this.#chunks[index >>> chunkBits]![index & chunkMask] = value;
  }

  push(value: number): void {
    const index = this.#length++;
    if ((index & chunkMask) === 0) this.#chunks.push(new Uint32Array(chunkSize));
    this.set(index, value);
  }
}
