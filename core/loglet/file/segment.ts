/**
 * A segment: one file of a fixed size, named by its number. Its first page is the header, frames follow; behind the fixed
 * size may lie a table of where its entries are. A segment that was rewritten without its dead entries keeps number, base
 * and the positions of the others.
 */
import { join } from "node:path";
import { corruptError } from "../../errors.js";
import type { Position } from "../loglet.js";
import type { Disk } from "./disk.js";
import { frameSeed } from "./frame.js";
import { encodeHeader, headerBytes, type SegmentHeader, segmentName } from "./header.js";
import { scanFrames } from "./scan.js";
import { EntryTable } from "./table.js";

const MiB = 1 << 20;

/** Small logs have small files, whose room can be given back soon; large ones have few. */
export interface SegmentSizes {
  readonly min: number;
  readonly max: number;
}
export const segmentSizes: SegmentSizes = { min: 4 * MiB, max: 64 * MiB };

/**
 * Syncing what was written into new room costs about 1.6 times a sync inside room that has been written before, since the
 * file system has to record where it lies. So a small batch that reaches new room writes zeros ahead with it, for the
 * batches behind it: a step small enough to be no stall. A large batch would pay more for the zeros than for the record.
 */
const zeroAheadBytes = 128 * 1024;
const zeroAheadBatchBytes = 64 * 1024;
const pageBytes = 4096;
const zeros = Buffer.alloc(zeroAheadBytes + pageBytes);

/** The size of the segment after so many bytes of log, with room for at least one frame of `roomMin` bytes. */
export function nextSegmentBytes({ min, max }: SegmentSizes, logBytes: number, roomMin: number): number {
  const size = Math.max(Math.min(max, Math.max(min, logBytes)), headerBytes + roomMin);
  return Math.ceil(size / pageBytes) * pageBytes;
}

/** A segment that is being made, under another name: all or nothing of it is there after a crash. */
export class SegmentDraft {
  readonly file: number;
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #header: SegmentHeader;
  readonly #path: string;
  /** Where what is written next goes. */
  end = headerBytes;

  constructor(disk: Disk, folder: string, header: SegmentHeader) {
    this.#disk = disk;
    this.#folder = folder;
    this.#header = header;
    this.#path = join(folder, segmentName(header.number));
    disk.remove(`${this.#path}.tmp`);
    this.file = disk.open(`${this.#path}.tmp`, "create");
    this.write(encodeHeader(header), 0);
  }

  /** Frames behind those that are there, or bytes at another place. A failure discards the draft. */
  write(bytes: Uint8Array, at = this.end): void {
    try {
      this.#disk.write(this.file, bytes, bytes.length, at);
    } catch (error) {
      this.discard();
      throw error;
    }
    if (at === this.end) this.end += bytes.length;
  }

  /** Gives it its name, durably. Its entries are the caller's to tell. */
  finish(): Segment {
    try {
      this.#disk.truncate(this.file, this.#header.size);
      this.#disk.sync(this.file);
      this.#disk.rename(`${this.#path}.tmp`, this.#path);
    } catch (error) {
      this.discard();
      throw error;
    }
    try {
      this.#disk.syncFolder(this.#folder);
    } catch (error) {
      this.#disk.close(this.file);
      // The file is there, perhaps for good: this is no full disk, after which the segment before could be gone on with.
      throw new Error(`the folder could not be synced: ${(error as Error).message}`, { cause: error });
    }
    const segment = new Segment(this.#path, this.file, this.#header);
    segment.begin();
    return segment;
  }

  discard(): void {
    this.#disk.close(this.file);
    this.#disk.remove(`${this.#path}.tmp`);
  }
}

export function createSegment(disk: Disk, folder: string, header: SegmentHeader): Segment {
  return new SegmentDraft(disk, folder, header).finish();
}

/** An open segment. The last one takes batches; the others are sealed and hold the positions up to the next one's base. */
export class Segment {
  readonly path: string;
  readonly file: number;
  readonly header: SegmentHeader;
  readonly seed: number;
  /** Read when it is asked for first. */
  #table: EntryTable | undefined;
  /** The position behind its last. */
  next: Position;
  /** Where the next frame goes. */
  end = headerBytes;
  /** Behind this nothing was written yet. */
  #written = headerBytes;
  /** The last batch in it. */
  batch = 0;
  /** Reads under way that do not hold the thread; closing waits for them. */
  #readers = 0;
  #closed = false;

  constructor(path: string, file: number, header: SegmentHeader) {
    this.path = path;
    this.file = file;
    this.header = header;
    this.next = header.base;
    this.seed = frameSeed(header.logId, header.number);
  }

  get base(): Position {
    return this.header.base;
  }

  get room(): number {
    return this.header.size - this.end;
  }

  get indexBytes(): number {
    return this.#table?.bytes ?? 0;
  }

  /** Bytes that it takes on the disk. */
  get diskBytes(): number {
    return Math.max(this.#written, this.end);
  }

  /** Begins with no entries: for a new segment, or before a scan adds them. */
  begin(): EntryTable {
    return (this.#table = new EntryTable(this.header.sparse));
  }

  /** Takes over what was found about it. */
  found(table: EntryTable, end: number, next: Position): void {
    this.#table = table;
    this.end = end;
    this.next = next;
  }

  /** Remembers where the frame of the next position lies. */
  add(offset: number): void {
    this.#table!.add(this.next++ - this.base, offset);
  }

  /** Its table, read from its end or, where there is none, from all its frames. */
  table(disk: Disk): EntryTable {
    if (this.#table !== undefined) return this.#table;
    const stored = EntryTable.read(disk, this.file);
    if (stored !== undefined) {
      this.end = stored.end;
      return (this.#table = stored.table);
    }
    const table = new EntryTable(this.header.sparse);
    const end = scanFrames(disk, this, {
      from: { offset: headerBytes, position: this.base },
      end: this.next,
      found: (position, offset) => table.add(position - this.base, offset),
    });
    this.end = end.offset;
    if (end.position !== this.next && !this.header.sparse) {
      throw corruptError(
        this.path,
        end.offset,
        `position ${end.position} is damaged, of those up to ${this.next - 1} that it must hold`,
      );
    }
    table.seal();
    return (this.#table = table);
  }

  /** Where the frame of a position begins, and where the next one or the end is; undefined if it is not there. */
  range(disk: Disk, position: Position): { readonly from: number; readonly to: number } | undefined {
    const table = this.#table ?? this.table(disk);
    const place = table.find(position - this.base);
    return place < 0 ? undefined : { from: table.offset(place, this.end), to: table.offset(place + 1, this.end) };
  }

  /** Where to begin reading for entries at or above a position. */
  from(disk: Disk, position: Position): { readonly offset: number; readonly position: Position } {
    if (position <= this.base) return { offset: headerBytes, position: this.base };
    const table = this.table(disk);
    return { offset: table.offset(table.find(position - this.base, true), this.end), position };
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

  /** No more entries come. The table is only a help, so nothing waits until it is safe. */
  seal(disk: Disk): void {
    const table = this.table(disk);
    table.seal();
    table.write(disk, this.file, this.header.size, this.end);
  }

  /** Cuts the file behind its frames, which end at `end`, and writes the table there: for a log that is closed. */
  cut(disk: Disk, end: number): void {
    disk.truncate(this.file, end);
    this.table(disk).write(disk, this.file, end, end);
  }

  /** Reads without holding the thread; the file stays open until the last such read is over. */
  async readLater(disk: Disk, target: Uint8Array, length: number, offset: number): Promise<void> {
    this.#readers++;
    try {
      await disk.readLater(this.file, target, length, offset);
    } finally {
      if (--this.#readers === 0 && this.#closed) disk.close(this.file);
    }
  }

  close(disk: Disk): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#readers === 0) disk.close(this.file);
  }
}
