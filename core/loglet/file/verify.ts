/**
 * Looks at every byte of a log that means something, and lists all that is not as it was written: headers, the checksum and
 * position of each frame, tables, checkpoints, and whether the files follow each other. What entries mean is a follower's
 * matter: it is given them in order, from the state in the oldest checkpoint where entries were released, else from the first;
 * at each later checkpoint its state must say the same as that.
 *
 * Verify, restore and repair are this one pass with different ends.
 */
import { join } from "node:path";
import { LogError } from "../../errors.js";
import { Pace } from "../../pace.js";
import type { Damage, LongOptions, Recovered, Verified } from "../../types.js";
import type { Follower, Position } from "../loglet.js";
import { readCheckpoint } from "./checkpoints.js";
import type { Disk } from "./disk.js";
import { frameHead, frameRoom, frameSeed } from "./frame.js";
import { decodeHeader, headerBytes, type SegmentHeader, segmentName } from "./header.js";
import { endOfBytes, findFrame, type Hole, walk, type Walked } from "./salvage.js";
import { EntryTable, type StoredTable } from "./table.js";
import { type CheckpointSource, type LogSource, type SegmentSource, sourceBytes } from "./source.js";

const readBytes = 1 << 20;
const headerUsed = 76;

/** Positions that are in no file, both inclusive. */
export interface Gap {
  readonly from: Position;
  readonly to: Position;
  readonly path: string;
  readonly offset: number;
}

/** A segment as it was found. */
export interface SegmentFound extends Walked {
  readonly source: SegmentSource;
  /** What its header says; where that is damaged, what it must have said. */
  readonly header: SegmentHeader;
  /** Behind its last good frame. */
  readonly end: number;
  /** The position behind its last. */
  readonly next: Position;
  readonly damaged: boolean;
  readonly isLast: boolean;
  /** Something in it was left away, with all behind it. */
  readonly isCut: boolean;
}

export interface Findings {
  readonly logId: string;
  readonly durability: "disk" | "os";
  readonly damage: Damage[];
  readonly torn: Recovered | undefined;
  /** Entries were given back; the state begins with a checkpoint. */
  readonly released: boolean;
  /** The position of the state that the follower began with; 0 for none. */
  readonly start: Position;
  /** Log time of that state. */
  readonly startTime: number;
  /** `keep` has left something away. */
  readonly cut: boolean;
  /** The last position there is, and its time. */
  readonly position: Position;
  readonly time: number;
  readonly gaps: readonly Gap[];
  /** Checkpoints that hold. */
  readonly whole: readonly CheckpointSource[];
  /** Needed, and not there. */
  readonly missing: number;
  /** The states that were found say more than the entries that are there. */
  readonly isLess: boolean;
  /** Files behind the last one are missing. */
  readonly isCutOff: boolean;
}

export interface ExamineOptions {
  readonly start?: "oldest" | "newest";
  /** States to compare with beside those in files. */
  readonly states?: readonly { readonly what: string; readonly position: Position; readonly state: Buffer }[];
  /** False for the first entry that is left away with all behind it. */
  readonly keep?: (position: Position, time: number) => boolean;
  /** Called with each segment when it was walked over; its bytes may be changed then. */
  readonly each?: (found: SegmentFound) => void | Promise<void>;
}

interface State {
  readonly what: string;
  readonly path: string;
  readonly position: Position;
  read(): Buffer | undefined;
}

/** What a user is told. */
export async function verifySource(
  disk: Disk,
  source: LogSource,
  follower: Follower,
  options: LongOptions,
  examineOptions: ExamineOptions = {},
): Promise<Verified> {
  const bytes = sourceBytes(disk, source);
  const pace = new Pace(bytes, options);
  const { damage, torn, missing } = await examine(disk, source, follower, pace, examineOptions);
  pace.end();
  return { ok: damage.every(({ harmless }) => harmless), records: follower.records - missing, bytes, damage, torn };
}

export async function examine(
  disk: Disk,
  source: LogSource,
  follower: Follower,
  pace: Pace,
  options: ExamineOptions = {},
): Promise<Findings> {
  const examination = new Examination(disk, source, follower, pace, options);
  return examination.run();
}

class Examination {
  readonly #disk: Disk;
  readonly #source: LogSource;
  readonly #follower: Follower;
  readonly #pace: Pace;
  readonly #options: ExamineOptions;
  readonly #headers: (SegmentHeader | undefined)[];
  readonly #logId: string;
  readonly #durability: "disk" | "os";
  readonly #released: boolean;
  readonly #damage: Damage[] = [];
  readonly #gaps: Gap[] = [];
  readonly #whole: CheckpointSource[] = [];
  /** States still to compare with, ascending. */
  #states: State[] = [];
  #start: Position = 0;
  #startTime = 0;
  #torn: Recovered | undefined;
  /** The position that comes next. */
  #next: Position = 1;
  #time = 0;
  #ended = false;
  /** Files behind the last are missing: nobody knows how much was in them. */
  #isCutOff = false;
  /** Something behind the first state is missing: what follows cannot be compared. */
  #broken = false;

  constructor(disk: Disk, source: LogSource, follower: Follower, pace: Pace, options: ExamineOptions) {
    this.#disk = disk;
    this.#source = source;
    this.#follower = follower;
    this.#pace = pace;
    this.#options = options;
    this.#headers = source.segments.map(({ file, path }) => {
      const page = Buffer.alloc(headerBytes);
      disk.read(file, page, headerBytes, 0);
      return decodeHeader(page, path);
    });
    const known = this.#headers.find((header) => header !== undefined);
    if (known === undefined) {
      throw new LogError(
        "LOG_NOT_A_LOG",
        `no file in ${source.folder} has a header of a log; if this was one, restore it from a backup`,
      );
    }
    this.#logId = known.logId;
    this.#durability = this.#headers.at(-1)?.durability ?? known.durability;
    this.#released = source.segments[0]!.number > 1 || this.#headers.some((header) => header?.sparse === true);
  }

  async run(): Promise<Findings> {
    await this.#begin();
    for (let i = 0; i < this.#source.segments.length && !this.#ended; i++) await this.#segment(i);
    this.#compareUpTo(Number.MAX_SAFE_INTEGER);
    const missing = this.#lookForMissing();
    return {
      logId: this.#logId,
      durability: this.#durability,
      damage: this.#damage,
      torn: this.#torn,
      released: this.#released,
      start: this.#start,
      startTime: this.#startTime,
      cut: this.#ended,
      position: this.#next - 1,
      time: Math.max(this.#time, this.#follower.time),
      gaps: this.#gaps,
      whole: this.#whole,
      missing,
      isLess: missing > 0 || this.#broken,
      isCutOff: this.#isCutOff,
    };
  }

  // Checkpoints

  /** Finds out which checkpoints hold, and with which state to begin. */
  async #begin(): Promise<void> {
    const { checkpoints, folder } = this.#source;
    const states: State[] = [];
    for (const checkpoint of checkpoints) {
      const { path, position, file } = checkpoint;
      const read = (): Buffer | undefined => readCheckpoint(this.#disk, file, path, this.#logId, position);
      try {
        if (read() === undefined) this.#report(path, 0, position, "the checkpoint does not match its checksum");
        else {
          states.push({ what: "the checkpoint", path, position, read });
          this.#whole.push(checkpoint);
        }
      } catch (error) {
        this.#report(path, 0, position, (error as Error).message);
      }
      await this.#pace.add(this.#disk.size(file));
    }
    const newest = this.#options.start === "newest";
    let first: State | undefined;
    while ((this.#released || newest) && first === undefined && states.length > 0) {
      first = newest ? states.pop() : states.shift();
      try {
        this.#follower.load(first!.read()!, first!.position);
      } catch (error) {
        this.#report(first!.path, 0, first!.position, `its state cannot be read: ${(error as Error).message}`);
        first = undefined;
      }
    }
    this.#start = first?.position ?? 0;
    this.#startTime = this.#follower.time;
    if (this.#released && first === undefined) {
      this.#broken = true;
      this.#follower.gap();
      this.#report(folder, 0, undefined, "entries were given back, and no checkpoint holds that says what they said");
    }
    const others = (this.#options.states ?? []).map(({ what, position, state }) => ({
      what,
      position,
      path: folder,
      read: () => state,
    }));
    this.#states = newest ? [] : [...states, ...others];
  }

  /** Compares with the states that lie before `position`, which is applied next. */
  #compareUpTo(position: Position): void {
    while (this.#states.length > 0 && this.#states[0]!.position < position) {
      const state = this.#states.shift()!;
      if (this.#broken || state.position <= this.#start) continue;
      if (state.position >= this.#next) {
        const excused = this.#torn !== undefined || this.#durability === "os" || this.#ended;
        if (!excused)
          this.#report(state.path, 0, state.position, `${state.what} is of a position behind the end of the log`);
        continue;
      }
      try {
        const differences = this.#follower.compare(state.read()!, state.position);
        for (const what of differences)
          this.#report(state.path, 0, state.position, `${state.what} says something else than the records: ${what}`);
      } catch (error) {
        this.#report(state.path, 0, state.position, `its state cannot be read: ${(error as Error).message}`);
      }
    }
  }

  // Segments

  async #segment(i: number): Promise<void> {
    const source = this.#source.segments[i]!;
    const isLast = i === this.#source.segments.length - 1;
    const told = this.#lookForLostFiles(i);
    const bytes = await this.#read(source);
    const known = this.#headers[i];
    const damages = this.#damage.length;
    const header = this.#checkHeader(source, known, bytes);
    const stored = source.end === undefined ? EntryTable.read(this.#disk, source.file) : undefined;
    const fits = stored !== undefined && stored.end >= headerBytes && stored.end <= bytes.length;
    // A log that was closed ends with the mark of it, and the table directly behind.
    const isClosed =
      isLast && source.end === undefined && (fits ? stored.at === stored.end : bytes.length !== header.size);
    const end = fits && (isClosed || known === undefined) ? stored.end : Math.min(bytes.length, header.size);
    const below = this.#headers.slice(i + 1).find((other) => other !== undefined)?.base;
    const isFollowed = this.#headers[i + 1] !== undefined && this.#source.segments[i + 1]!.number === source.number + 1;
    const seed = frameSeed(header.logId, source.number);
    const walked: Walked = { bytes, to: end, seed, base: header.base, below, sparse: header.sparse };
    this.#gap(header.base, source.path, 0, told);
    this.#next = header.base;

    const table = new EntryTable(header.sparse);
    let framesEnd = headerBytes;
    let clean = false;
    let holes = 0;
    let badBatch = 1;
    for (const part of walk(walked)) {
      if (part.kind === "hole") {
        // The table of a log that was closed, or what a loss of power has left of it.
        const isBehind = clean && part.next === undefined && part.offset === framesEnd;
        if (isBehind && (isClosed || table.isIn(bytes.subarray(framesEnd, end), framesEnd))) break;
        if (isLast && source.end === undefined) {
          if (header.durability === "os" || findFrame(walked, part.offset, part.position, badBatch + 1) === undefined) {
            this.#torn = { bytes: endOfBytes(bytes, part.offset, end) - part.offset, position: part.position };
            break;
          }
        }
        holes++;
        this.#hole(source.path, part, header.sparse);
        continue;
      }
      const { kind, offset, size, position, time, batch, left } = part;
      badBatch = left > 0 ? batch : batch + 1;
      clean = kind === "mark";
      if (kind === "entry") {
        this.#gap(position, source.path, offset);
        if (this.#options.keep?.(position, time) === false) {
          this.#ended = true;
          break;
        }
        this.#compareUpTo(position);
        const wrong = this.#follower.entry(bytes, offset + frameHead, size - frameHead, position, time);
        if (wrong !== undefined) this.#report(source.path, offset, position, wrong);
        table.add(position - header.base, offset);
        this.#next = position + 1;
        this.#time = time;
      }
      framesEnd = offset + frameRoom(size - frameHead);
      if (endOfBytes(bytes, offset + size, framesEnd) > offset + size)
        this.#report(source.path, offset + size, position, "bytes between two records are not zero");
      await this.#pace.add(frameRoom(size - frameHead));
    }
    const last = this.#next;
    if (!this.#ended && isFollowed && below !== undefined && last < below) {
      if (!header.sparse && holes === 0) {
        this.#report(source.path, framesEnd, last, `positions ${last} to ${below - 1} are missing at its end`);
      }
      this.#gap(below, source.path, framesEnd, !header.sparse);
    }
    if (!this.#ended && source.end === undefined)
      this.#checkTable(source, header, bytes, stored, table, framesEnd, isClosed, holes);
    // The table of a full segment is written when it has a successor.
    this.#isCutOff = isLast && fits && !this.#ended && stored.at === header.size && stored.at !== stored.end;
    if (this.#isCutOff)
      this.#report(source.path, framesEnd, this.#next, "it is full, and the files behind it are missing");
    const damaged = this.#damage.length > damages;
    await this.#options.each?.({
      ...walked,
      source,
      header,
      end: framesEnd,
      next: this.#next,
      damaged,
      isLast,
      isCut: this.#ended,
    });
  }

  async #read({ file, end }: SegmentSource): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(end ?? this.#disk.size(file));
    for (let at = 0; at < bytes.length; at += readBytes) {
      const length = Math.min(readBytes, bytes.length - at);
      const read = this.#disk.read(file, bytes.subarray(at), length, at);
      if (read < length) bytes.fill(0, at + read);
      await this.#pace.turn();
    }
    return bytes;
  }

  #checkHeader(source: SegmentSource, header: SegmentHeader | undefined, bytes: Buffer): SegmentHeader {
    const { path, number } = source;
    const guess: SegmentHeader = {
      logId: this.#logId,
      number,
      base: this.#next,
      size: bytes.length,
      durability: this.#durability,
      created: 0,
      sparse: this.#released,
    };
    if (header === undefined) {
      this.#report(path, 0, this.#next, "its header is damaged");
      return guess;
    }
    if (header.number !== number || header.logId !== this.#logId) {
      this.#report(path, 0, undefined, `it says that it is segment ${header.number} of log ${header.logId}`);
      return { ...header, number };
    }
    if (endOfBytes(bytes, headerUsed, Math.min(headerBytes, bytes.length)) > headerUsed)
      this.#report(path, headerUsed, undefined, "bytes behind its header are not zero");
    if (header.base < this.#next)
      this.#report(path, 0, header.base, `it begins at position ${header.base}, which is in the one before it`);
    return header;
  }

  /** Files that must lie between the one before and this. */
  #lookForLostFiles(i: number): boolean {
    const { segments, folder } = this.#source;
    const { number, path } = segments[i]!;
    if (i === 0) {
      const base = this.#headers[0]?.base ?? 1;
      if (number > 1 && base > this.#start + 1 && this.#start > 0)
        this.#report(path, 0, this.#start + 1, `the files before it are missing, from position ${this.#start + 1} on`);
      return true;
    }
    const damages = this.#damage.length;
    for (let lost = segments[i - 1]!.number + 1; lost < number; lost++)
      this.#report(join(folder, segmentName(lost)), 0, this.#next, "the file is missing");
    return this.#damage.length > damages;
  }

  #hole(path: string, { offset, to, position, next }: Hole, sparse: boolean): void {
    const last = next === undefined ? undefined : next - 1;
    const range = last === undefined ? `position ${position} and what follows it` : `positions ${position} to ${last}`;
    const what =
      last === position
        ? `position ${position} does not match its checksum`
        : last !== undefined && last < position
          ? `${to - offset} bytes before position ${next} are no record`
          : to === offset
            ? `${range} are missing`
            : `${sparse ? "some of " : ""}${range} do not match their checksum`;
    this.#report(path, offset, position, what);
    if (next !== undefined) this.#gap(next, path, offset, true);
    else this.#follower.gap();
    this.#broken ||= position > this.#start;
  }

  /** Positions from the next one to below `position` are not there. */
  #gap(position: Position, path: string, offset: number, told = false): void {
    if (position <= this.#next) return;
    const from = this.#next;
    this.#gaps.push({ from, to: position - 1, path, offset });
    this.#next = position;
    if (position - 1 <= this.#start) return;
    if (!told && !this.#broken)
      this.#report(path, offset, Math.max(from, this.#start + 1), "positions that no checkpoint covers are missing");
    this.#broken = true;
    this.#follower.gap();
  }

  #checkTable(
    { path }: SegmentSource,
    header: SegmentHeader,
    bytes: Buffer,
    stored: StoredTable | undefined,
    found: EntryTable,
    end: number,
    isClosed: boolean,
    holes: number,
  ): void {
    const from = isClosed ? end : header.size;
    if (stored === undefined) {
      if (this.#torn === undefined && bytes.length > from && endOfBytes(bytes, from, bytes.length) > from)
        this.#report(
          path,
          from,
          undefined,
          "the table of its entries is damaged; reading it takes longer, nothing else",
          true,
        );
      return;
    }
    if (holes > 0) return;
    const { table } = stored;
    let same = table.count === found.count && stored.end === end;
    for (let place = 0; same && place < table.count; place++)
      same = table.offset(place, 0) === found.offset(place, 0) && table.above(place) === found.above(place);
    if (!same) this.#report(path, from, undefined, "the table of its entries does not agree with them");
  }

  // The end

  /** Positions that the state needs and no file has. */
  #lookForMissing(): number {
    let missing = 0;
    for (const { from, to, path, offset } of this.#gaps) {
      for (let position = from; position <= Math.min(to, this.#start); position++) {
        if (!this.#follower.isNeeded(position)) continue;
        const first = position;
        while (position < Math.min(to, this.#start) && this.#follower.isNeeded(position + 1)) position++;
        missing += position - first + 1;
        const told = this.#damage.some((damage) => damage.file === path && damage.offset === offset);
        if (told) continue;
        const range = first === position ? `position ${first} is` : `positions ${first} to ${position} are`;
        this.#report(path, offset, first, `${range} missing, and not trimmed`);
      }
    }
    return missing;
  }

  #report(file: string, offset: number, position: Position | undefined, what: string, harmless = false): void {
    this.#damage.push({ file, offset, position, what, harmless });
  }
}
