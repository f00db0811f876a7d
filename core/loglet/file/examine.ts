/**
 * One pass over all bytes of a log that mean something: headers, the checksum and position of each frame, tables, and whether the
 * files follow each other. What entries mean is a follower's matter: it is given them in order, from the state in the oldest
 * checkpoint where entries were released, else from the first; at each later checkpoint its state must say the same as that.
 *
 * Verify, restore and repair are this pass with different ends.
 */
import { join } from "node:path";
import { LogError } from "../../errors.js";
import type { Pace } from "../../pace.js";
import type { Damage, Recovered } from "../../types.js";
import type { Follower, Position } from "../loglet.js";
import type { Disk } from "./disk.js";
import type { ExamineOptions, Findings, Report } from "./findings.js";
import { frameHead, frameRoom, frameSeed } from "./frame.js";
import { Gaps } from "./gaps.js";
import { decodeHeader, headerBytes, type SegmentHeader, segmentName } from "./header.js";
import { endOfBytes, findFrame, walk, type Walked } from "./salvage.js";
import type { LogSource, SegmentSource } from "./source.js";
import { StoredStates } from "./stored-states.js";
import { EntryTable, type StoredTable } from "./table.js";

const readBytes = 1 << 20;
const headerUsed = 76;

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
  readonly #states: StoredStates;
  #gaps: Gaps;
  readonly #report: Report = (file, offset, position, what, harmless = false) => {
    this.#damage.push({ file, offset, position, what, harmless });
  };
  #start: Position = 0;
  #startTime = 0;
  #torn: Recovered | undefined;
  #time = 0;
  #ended = false;
  /** Files behind the last are missing: nobody knows how much was in them. */
  #isCutOff = false;

  constructor(disk: Disk, source: LogSource, follower: Follower, pace: Pace, options: ExamineOptions) {
    this.#disk = disk;
    this.#source = source;
    this.#follower = follower;
    this.#pace = pace;
    this.#options = options;
    this.#states = new StoredStates(disk, source, follower, this.#report);
    this.#gaps = new Gaps(0, follower, this.#report);
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
    const missing = this.#gaps.lookForMissing(this.#damage);
    return {
      logId: this.#logId,
      durability: this.#durability,
      damage: this.#damage,
      torn: this.#torn,
      released: this.#released,
      start: this.#start,
      startTime: this.#startTime,
      cut: this.#ended,
      position: this.#gaps.next - 1,
      time: Math.max(this.#time, this.#follower.time),
      gaps: this.#gaps.all,
      whole: this.#states.whole,
      missing,
      isLess: missing > 0 || this.#gaps.broken,
      isCutOff: this.#isCutOff,
    };
  }

  /** The state to begin with; without one that is needed, what follows cannot be compared. */
  async #begin(): Promise<void> {
    this.#start = await this.#states.begin(this.#logId, this.#released, this.#pace, this.#options);
    this.#startTime = this.#follower.time;
    this.#gaps = new Gaps(this.#start, this.#follower, this.#report);
    if (!this.#released || this.#start > 0) return;
    this.#gaps.broken = true;
    this.#follower.gap();
    const what = "entries were given back, and no checkpoint holds that says what they said";
    this.#report(this.#source.folder, 0, undefined, what);
  }

  /** Compares with the states that lie before `position`, which is applied next. */
  #compareUpTo(position: Position): void {
    for (const state of this.#states.before(position)) {
      if (this.#gaps.broken) continue;
      if (state.position < this.#gaps.next) {
        this.#states.compare(state);
      } else if (this.#torn === undefined && this.#durability !== "os" && !this.#ended) {
        this.#report(state.path, 0, state.position, `${state.what} is of a position behind the end of the log`);
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
    this.#gaps.upTo(header.base, source.path, 0, told);
    this.#gaps.next = header.base;

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
        this.#gaps.hole(source.path, part, header.sparse);
        continue;
      }
      const { kind, offset, size, position, time, batch, left } = part;
      badBatch = left > 0 ? batch : batch + 1;
      clean = kind === "mark";
      if (kind === "entry") {
        this.#gaps.upTo(position, source.path, offset);
        if (this.#options.keep?.(position, time) === false) {
          this.#ended = true;
          break;
        }
        this.#compareUpTo(position);
        const wrong = this.#follower.entry(bytes, offset + frameHead, size - frameHead, position, time);
        if (wrong !== undefined) this.#report(source.path, offset, position, wrong);
        table.add(position - header.base, offset);
        this.#gaps.next = position + 1;
        this.#time = time;
      }
      framesEnd = offset + frameRoom(size - frameHead);
      if (endOfBytes(bytes, offset + size, framesEnd) > offset + size)
        this.#report(source.path, offset + size, position, "bytes between two records are not zero");
      await this.#pace.add(frameRoom(size - frameHead));
    }
    const last = this.#gaps.next;
    if (!this.#ended && isFollowed && below !== undefined && last < below) {
      if (!header.sparse && holes === 0) {
        this.#report(source.path, framesEnd, last, `positions ${last} to ${below - 1} are missing at its end`);
      }
      this.#gaps.upTo(below, source.path, framesEnd, !header.sparse);
    }
    if (!this.#ended && source.end === undefined)
      this.#checkTable(source, header, bytes, stored, table, framesEnd, isClosed, holes);
    // The table of a full segment is written when it has a successor.
    this.#isCutOff = isLast && fits && !this.#ended && stored.at === header.size && stored.at !== stored.end;
    if (this.#isCutOff)
      this.#report(source.path, framesEnd, this.#gaps.next, "it is full, and the files behind it are missing");
    const damaged = this.#damage.length > damages;
    await this.#options.each?.({
      ...walked,
      source,
      header,
      end: framesEnd,
      next: this.#gaps.next,
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
      base: this.#gaps.next,
      size: bytes.length,
      durability: this.#durability,
      created: 0,
      sparse: this.#released,
    };
    if (header === undefined) {
      this.#report(path, 0, this.#gaps.next, "its header is damaged");
      return guess;
    }
    if (header.number !== number || header.logId !== this.#logId) {
      this.#report(path, 0, undefined, `it says that it is segment ${header.number} of log ${header.logId}`);
      return { ...header, number };
    }
    if (endOfBytes(bytes, headerUsed, Math.min(headerBytes, bytes.length)) > headerUsed)
      this.#report(path, headerUsed, undefined, "bytes behind its header are not zero");
    if (header.base < this.#gaps.next)
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
      this.#report(join(folder, segmentName(lost)), 0, this.#gaps.next, "the file is missing");
    return this.#damage.length > damages;
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
}
