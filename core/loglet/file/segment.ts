/**
 * A segment: one file of a fixed size, named by its number. Its first page is the header (JSON would do, but a reader in
 * another language should need no parser), frames follow.
 *
 *       0 magic "BOKILOG\n"     32 u32 segment number          64 u32 key id        (room for encryption, 0 now)
 *       8 u32 format version    36 u32 durability: 1 disk, 2 os  68 u32 key algorithm (0 now)
 *      12 u32 0                 40 u64 base position           72 u32 CRC-32 of bytes 0 to 71
 *      16 log id (16 bytes)     48 u64 created, ms; 56 u64 size
 */
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { LogError } from "../../errors.js";
import type { Position } from "../loglet.js";
import type { Disk } from "./disk.js";
import { frameSeed } from "./frame.js";

export const headerBytes = 4096;
export const formatVersion = 1;
const magic = Buffer.from("BOKILOG\n");
const checksumAt = 72;

const MiB = 1 << 20;
/** Small logs have small files, whose room can be given back soon; large ones have few. */
export const segmentBytesMin = 4 * MiB;
export const segmentBytesMax = 64 * MiB;

/**
 * Syncing what was written into new room costs about 1.6 times a sync inside room that has been written before, since the
 * file system has to record where it lies. So a small batch that reaches new room writes zeros ahead with it, for the
 * batches behind it: a step small enough to be no stall. A large batch would pay more for the zeros than for the record.
 */
const zeroAheadBytes = 128 * 1024;
const zeroAheadBatchBytes = 64 * 1024;
const pageBytes = 4096;
const zeros = Buffer.alloc(zeroAheadBytes + pageBytes);

export interface SegmentHeader {
  readonly logId: string;
  readonly number: number;
  readonly base: Position;
  readonly size: number;
  readonly durability: "disk" | "os";
  readonly created: number;
}

export function segmentName(number: number): string {
  return `${String(number).padStart(10, "0")}.log`;
}

/** The number in a segment's name, or undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  return /^\d{10}\.log$/.test(name) ? Number.parseInt(name, 10) : undefined;
}

export function encodeHeader(header: SegmentHeader): Buffer {
  const page = Buffer.alloc(headerBytes);
  magic.copy(page, 0);
  page.writeUInt32LE(formatVersion, 8);
  Buffer.from(header.logId, "hex").copy(page, 16);
  page.writeUInt32LE(header.number, 32);
  page.writeUInt32LE(header.durability === "disk" ? 1 : 2, 36);
  page.writeBigUInt64LE(BigInt(header.base), 40);
  page.writeBigUInt64LE(BigInt(header.created), 48);
  page.writeBigUInt64LE(BigInt(header.size), 56);
  page.writeUInt32LE(crc32(page.subarray(0, checksumAt)), checksumAt);
  return page;
}

/** The header, or undefined where there is none that holds. Throws `LOG_VERSION` for a newer format. */
export function decodeHeader(page: Buffer, path: string): SegmentHeader | undefined {
  if (page.length < headerBytes || !page.subarray(0, magic.length).equals(magic)) return undefined;
  const version = page.readUInt32LE(8);
  if (version > formatVersion) {
    throw new LogError(
      "LOG_VERSION",
      `${path} has format ${version}; this version of boki reads up to ${formatVersion}. Open it with a newer boki`,
    );
  }
  if (crc32(page.subarray(0, checksumAt)) !== page.readUInt32LE(checksumAt)) return undefined;
  return {
    logId: page.toString("hex", 16, 32),
    number: page.readUInt32LE(32),
    durability: page.readUInt32LE(36) === 1 ? "disk" : "os",
    base: Number(page.readBigUInt64LE(40)),
    created: Number(page.readBigUInt64LE(48)),
    size: Number(page.readBigUInt64LE(56)),
  };
}

/** The size of the segment after so many bytes of log, with room for at least one frame of `roomMin` bytes. */
export function nextSegmentBytes(logBytes: number, roomMin: number): number {
  const wanted = Math.min(segmentBytesMax, Math.max(segmentBytesMin, logBytes));
  return Math.ceil(Math.max(wanted, headerBytes + roomMin) / MiB) * MiB;
}

/**
 * Makes the file of a segment: all or nothing of it is there after a crash. `fill` writes what it shall hold behind its
 * header.
 */
export function createSegment(
  disk: Disk,
  folder: string,
  header: SegmentHeader,
  fill?: (file: number) => void,
): Segment {
  const path = join(folder, segmentName(header.number));
  const temporary = `${path}.tmp`;
  disk.remove(temporary);
  const file = disk.open(temporary, "create");
  try {
    disk.write(file, encodeHeader(header), headerBytes, 0);
    fill?.(file);
    disk.truncate(file, header.size);
    disk.sync(file);
    disk.rename(temporary, path);
  } catch (error) {
    disk.close(file);
    disk.remove(temporary);
    throw error;
  }
  try {
    disk.syncFolder(folder);
  } catch (error) {
    disk.close(file);
    // The file is there, perhaps for good: this is no full disk, after which the segment before could be gone on with.
    throw new Error(`the folder could not be synced: ${(error as Error).message}`, { cause: error });
  }
  return new Segment(path, file, header);
}

/** An open segment, and where its entries lie: 4 bytes an entry. */
export class Segment {
  readonly path: string;
  readonly file: number;
  readonly header: SegmentHeader;
  readonly seed: number;
  #offsets = new Uint32Array(1024);
  #count = 0;
  /** Where the next frame goes. */
  end = headerBytes;
  /** Behind this nothing was written yet. */
  #written = headerBytes;
  /** The last batch in it. */
  batch = 0;

  constructor(path: string, file: number, header: SegmentHeader) {
    this.path = path;
    this.file = file;
    this.header = header;
    this.seed = frameSeed(header.logId, header.number);
  }

  get base(): Position {
    return this.header.base;
  }

  /** The position behind its last entry. */
  get next(): Position {
    return this.header.base + this.#count;
  }

  get room(): number {
    return this.header.size - this.end;
  }

  get indexBytes(): number {
    return this.#offsets.byteLength;
  }

  /** Bytes that it takes on the disk. */
  get diskBytes(): number {
    return Math.max(this.#written, this.end);
  }

  /** Writes `length` bytes of frames, which must fit, at its end; the end stays until they are safe. */
  write(disk: Disk, bytes: Uint8Array, length: number): void {
    disk.write(this.file, bytes, length, this.end);
    const to = this.end + length;
    if (to <= this.#written) return;
    this.#written = to;
    if (length > zeroAheadBatchBytes) return;
    const ahead = Math.min(zeroAheadBytes + (pageBytes - (to % pageBytes)), this.header.size - to);
    disk.write(this.file, zeros, ahead, to);
    this.#written = to + ahead;
  }

  /** Takes back what was written behind its end, also after a crash. */
  takeBack(disk: Disk): void {
    disk.truncate(this.file, this.end);
    disk.truncate(this.file, this.header.size);
    disk.sync(this.file);
    this.#written = this.end;
  }

  /** Remembers where the next entry's frame lies. */
  addOffset(offset: number): void {
    if (this.#count === this.#offsets.length) this.#resize(this.#count * 2);
    this.#offsets[this.#count++] = offset;
  }

  /** Where the frame of a position begins, and where the next one or the end is. */
  range(position: Position): { readonly from: number; readonly to: number } {
    const place = position - this.base;
    return { from: this.#offsets[place]!, to: place + 1 < this.#count ? this.#offsets[place + 1]! : this.end };
  }

  /** Forgets its entries, to be filled by a scan. */
  clearOffsets(): void {
    this.#count = 0;
  }

  /** No more entries come: gives the spare room of the offsets back. */
  seal(): void {
    this.#resize(this.#count);
  }

  #resize(length: number): void {
    const offsets = new Uint32Array(length);
    offsets.set(this.#offsets.subarray(0, this.#count));
    this.#offsets = offsets;
  }
}
