/**
 * Where the entries of a segment lie: 4 bytes an entry, 8 in a segment that was rewritten without its dead ones. It is also
 * written behind the frames of a segment, when that is full or the log is closed, to be read instead of scanning all frames;
 * what is damaged there is only slower.
 *
 *     u32 offsets, then (rewritten only) u32 positions above the base | "BKIX", u32 flags, u32 count, u32 end of frames, u32 CRC-32
 */
import { crc32 } from "node:zlib";
import type { Disk } from "./disk.js";

const magic = 0x58494b42;
const tailBytes = 20;

export interface StoredTable {
  readonly table: EntryTable;
  readonly at: number;
  readonly end: number;
}

export class EntryTable {
  #offsets: Uint32Array;
  /** Positions above the base; undefined where they are 0, 1, 2, ... */
  #positions: Uint32Array | undefined;
  #count = 0;

  constructor(sparse: boolean) {
    this.#offsets = new Uint32Array(1024);
    if (sparse) this.#positions = new Uint32Array(1024);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#offsets.byteLength + (this.#positions?.byteLength ?? 0);
  }

  /** Remembers where the next entry's frame lies; `above` is its position above the base. */
  add(above: number, offset: number): void {
    if (this.#count === this.#offsets.length) this.#resize(Math.max(1024, this.#count * 2));
    if (this.#positions !== undefined) this.#positions[this.#count] = above;
    this.#offsets[this.#count++] = offset;
  }

  /** The place of an entry in the table, or -1; with `orNext` that of the first at or above. */
  find(above: number, orNext = false): number {
    const positions = this.#positions;
    if (positions === undefined) return above < this.#count || orNext ? Math.min(above, this.#count) : -1;
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (positions[middle]! < above) low = middle + 1;
      else high = middle;
    }
    return orNext || (low < this.#count && positions[low] === above) ? low : -1;
  }

  /** Where the frame in a place begins; `end` behind the last. */
  offset(place: number, end: number): number {
    return place < this.#count ? this.#offsets[place]! : end;
  }

  above(place: number): number {
    return this.#positions === undefined ? place : this.#positions[place]!;
  }

  /** No more entries come: gives the spare room back. */
  seal(): void {
    this.#resize(this.#count);
  }

  #resize(length: number): void {
    const resized = (array: Uint32Array): Uint32Array => {
      const copy = new Uint32Array(length);
      copy.set(array.subarray(0, this.#count));
      return copy;
    };
    this.#offsets = resized(this.#offsets);
    if (this.#positions !== undefined) this.#positions = resized(this.#positions);
  }

  /** Writes it at `at`, the end of a file whose frames end at `end`. */
  write(disk: Disk, file: number, at: number, end: number): void {
    const bytes = this.#encode(end);
    disk.write(file, bytes, bytes.length, at);
  }

  /**
   * Whether the bytes at the end of a file, behind the last frame, are this table or what a loss of power has left of it: written
   * last and not synced, any of it may be zeros. Of bytes that are as many as it has, some may be damaged.
   */
  isIn(bytes: Buffer, end: number): boolean {
    const whole = this.#encode(end);
    return bytes.length === whole.length || bytes.every((byte, i) => byte === 0 || byte === whole[i]);
  }

  #encode(end: number): Buffer {
    const columns = this.#positions === undefined ? [this.#offsets] : [this.#offsets, this.#positions];
    const parts = columns.map((column) => Buffer.from(column.buffer, column.byteOffset, this.#count * 4));
    const tail = Buffer.alloc(tailBytes);
    tail.writeUInt32LE(magic, 0);
    tail.writeUInt32LE(columns.length, 4);
    tail.writeUInt32LE(this.#count, 8);
    tail.writeUInt32LE(end, 12);
    const bytes = Buffer.concat([...parts, tail]);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
    return bytes;
  }

  /** The table at the end of a file, where it begins, and where the frames end; undefined where there is none that holds. */
  static read(disk: Disk, file: number): StoredTable | undefined {
    const size = disk.size(file);
    const tail = Buffer.alloc(tailBytes);
    if (size < tailBytes || disk.read(file, tail, tailBytes, size - tailBytes) < tailBytes) return undefined;
    const [mark, columns, count, end] = [0, 4, 8, 12].map((at) => tail.readUInt32LE(at)) as [
      number,
      number,
      number,
      number,
    ];
    const bytes = columns * count * 4 + tailBytes;
    if (mark !== magic || columns < 1 || columns > 2 || bytes > size || end > size) return undefined;
    const all = Buffer.allocUnsafeSlow(bytes);
    if (disk.read(file, all, bytes, size - bytes) < bytes) return undefined;
    if (crc32(all.subarray(0, -4)) !== all.readUInt32LE(bytes - 4)) return undefined;
    const table = new EntryTable(columns === 2);
    table.#offsets = new Uint32Array(all.buffer, 0, count);
    if (columns === 2) table.#positions = new Uint32Array(all.buffer, count * 4, count);
    table.#count = count;
    return { table, at: size - bytes, end };
  }
}
