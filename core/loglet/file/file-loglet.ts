/**
 * The file loglet: entries in segment files of one folder, acknowledged after fdatasync.
 *
 * F1  One batch is being written at a time: encode, write, sync. So only the last batch can be torn. Where syncs do not hold the
 *     thread, the next one is written before the last is delivered: the disk works while the engine applies.
 * F2  Nothing is delivered before it is synced (`durability: "os"`: written).
 * F3  After a failed write or sync nothing is written again: what the kernel has kept of it is unknown, and a second sync
 *     would report success without it. The log is opened again, and recovery looks at what is there.
 * F4  A segment that has a successor is whole. A successor is used only when a batch does not fit any more.
 *
 * Called by the engine; calls disk.ts and nothing else of the system.
 */
import { resolve } from "node:path";
import { closedError, corruptError, LogError } from "../../errors.js";
import { limits } from "../../limits.js";
import { drawId, systemRandom } from "../../random.js";
import type { Duplex } from "node:stream";
import type { BackedUp, Clock, Durability, LongOptions, Recovered, Verified } from "../../types.js";
import { LogClock, systemClock, wallTime } from "../log-clock.js";
import type { Entry, Follower, Loglet, LogletStats, Position, Sink, StoredEntry } from "../loglet.js";
import { Background } from "./background.js";
import { type Disk, type DiskLock, isFull } from "./disk.js";
import { frameHead, frameHolds, framePosition, frameRoom, frameSize, frameTime, sealFrame } from "./frame.js";
import { createLog, findLog, type Found } from "./recovery.js";
import { realDisk } from "./real-disk.js";
import { backupLog, type Held } from "./backup.js";
import { Checkpoints } from "./checkpoints.js";
import { compact, isMostlyDead } from "./compaction.js";
import { scanFrames } from "./scan.js";
import { headerBytes, segmentNumber } from "./header.js";
import { copyError, listFolder } from "./copy.js";
import { type CheckpointSource, openCheckpoints } from "./source.js";
import { verifySource } from "./verify.js";
import { createSegment, nextSegmentBytes, type Segment, type SegmentSizes, segmentSizes } from "./segment.js";

export interface FileLogletOptions {
  /** Default true. */
  readonly create?: boolean | undefined;
  readonly durability?: Exclude<Durability, "memory"> | undefined;
  readonly io?: "main" | "worker" | "auto" | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
  readonly disk?: Disk | undefined;
  /** Other processes may use it through this one. Default false. */
  readonly share?: boolean | undefined;
  readonly segmentSizes?: SegmentSizes | undefined;
}

/** Above this a sync leaves the calling thread, below the other it comes back; ms of the moving median. */
const slowSyncMs = 0.5;
const fastSyncMs = 0.3;
const syncStep = 0.05;
/** A batch and the frames around its entries. */
const stagingBytes = 2 * limits.batchBytes;
/** Batches kept in memory after they are written: reads of the newest entries need no disk. */
const stagingCount = 4;
/** What background work writes, of what appends write meanwhile; and a checkpoint is done when so much was appended. */
const backgroundShare = 1 / 4;
const checkpointWithinBytes = 64 << 20;
/** Above this a read leaves the calling thread. */
const largeReadBytes = 64 * 1024;

/** A batch in memory: bytes `from` to `to` of a segment. */
interface Staging {
  readonly bytes: Buffer;
  segment: Segment | undefined;
  from: number;
  to: number;
  /** Of each of its entries: where it begins in `bytes`, how long it is, its log time. */
  readonly starts: number[];
  readonly sizes: number[];
  readonly times: number[];
}

function stagingIn(bytes: Buffer): Staging {
  return { bytes, segment: undefined, from: 0, to: 0, starts: [], sizes: [], times: [] };
}

export class FileLoglet implements Loglet {
  readonly id: string;
  readonly durability: "disk" | "os";
  readonly base: Position = 1;
  readonly recovered: Recovered | undefined;
  readonly depth = 1;
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #lock: DiskLock;
  readonly #io: "main" | "worker" | "auto";
  readonly #clock: LogClock;
  readonly #segmentSizes: SegmentSizes;
  readonly #segments: Segment[];
  readonly #checkpoints: Checkpoints;
  /** Entries are gone: the state cannot be made from what is left alone. */
  readonly #released: boolean;
  #releasing: Promise<void> | undefined;
  /** A checkpoint being written. */
  #storing: Promise<void> | undefined;
  /** Who reads all files as they are now: no room is given back meanwhile. */
  #holders = 0;
  #segment: Segment;
  #sink: Sink | undefined;
  #fault: LogError | undefined;
  #writing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** The last frame on disk is the mark of a clean close. */
  #clean: boolean;

  readonly #stagings: Staging[] = [];
  #stagingNext = 0;

  #batches = 0;
  #logBytes = 0;
  #syncMs = 0;
  #syncElsewhere: boolean;

  private constructor(folder: string, lock: DiskLock, found: Found, options: FileLogletOptions) {
    this.#folder = folder;
    this.#lock = lock;
    this.#disk = options.disk ?? realDisk;
    this.#io = options.io ?? "auto";
    this.#syncElsewhere = this.#io === "worker";
    this.#clock = new LogClock(options.clock ?? systemClock, found.time);
    this.#segmentSizes = options.segmentSizes ?? segmentSizes;
    this.#segments = found.segments;
    this.#segment = found.segments.at(-1)!;
    this.#clean = found.clean;
    this.id = this.#segment.header.logId;
    this.#checkpoints = new Checkpoints(this.#disk, folder, this.id);
    this.#released = found.released;
    this.durability = options.durability ?? "disk";
    this.recovered = found.recovered;
  }

  /** Opens the log in a folder, made where there is none, unless `create` is false. */
  static async open(directory: string, options: FileLogletOptions = {}): Promise<FileLoglet> {
    const folder = resolve(directory);
    const disk = options.disk ?? realDisk;
    let lock: DiskLock | undefined;
    try {
      // Before the lock, which leaves a file of its own.
      if (options.create === false) mustBeThere(disk, folder);
      else disk.makeFolder(folder);
      lock = await disk.lock(folder, options.share);
      const now = wallTime(options.clock ?? systemClock);
      const sizes = options.segmentSizes ?? segmentSizes;
      const found =
        findLog(disk, folder) ??
        createLog(disk, folder, options.durability ?? "disk", now, sizes, drawId(options.random ?? systemRandom));
      const loglet = new FileLoglet(folder, lock, found, options);
      // What recovery may take for torn goes by the promise of the segment: one session, one segment.
      if (loglet.#segment.header.durability !== loglet.durability) loglet.#nextSegment(0);
      return loglet;
    } catch (error) {
      await lock?.release();
      throw openError(error, folder);
    }
  }

  share(welcome: (guest: Duplex) => void): void {
    this.#lock.share?.(welcome);
  }

  // Writing

  append(entries: readonly Entry[]): Promise<void> {
    if (this.#fault !== undefined) return Promise.reject(this.#refusal());
    if (this.#syncElsewhere || this.durability === "os" || !this.#fits(entries)) return this.#appendLater(entries);
    try {
      const staging = this.#write(entries);
      const start = performance.now();
      this.#disk.sync(this.#segment.file);
      this.#measure(performance.now() - start);
      this.#deliver(staging, entries, false);
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(this.#poison(error));
    }
  }

  /** The general way: over segments, and with a sync that does not hold the thread. */
  #appendLater(entries: readonly Entry[]): Promise<void> {
    const writing = this.#appendParts(entries).finally(() => {
      if (this.#writing === writing) this.#writing = undefined;
    });
    this.#writing = writing;
    return writing;
  }

  async #appendParts(entries: readonly Entry[]): Promise<void> {
    for (let from = 0; from < entries.length;) {
      let room = this.#segment.room;
      let to = from;
      while (to < entries.length && frameRoom(entries[to]!.size) <= room) room -= frameRoom(entries[to++]!.size);
      try {
        if (to === from) {
          this.#nextSegment(frameRoom(entries[from]!.size));
          continue;
        }
        const part = to - from === entries.length ? entries : entries.slice(from, to);
        const staging = this.#write(part);
        const isElsewhere = this.durability === "disk" && this.#syncElsewhere;
        if (this.durability === "disk") {
          const start = performance.now();
          if (isElsewhere) await this.#disk.syncLater(this.#segment.file);
          else this.#disk.sync(this.#segment.file);
          this.#measure(performance.now() - start);
        }
        // Not before `#writing` is this append, which the next one takes the place of.
        this.#deliver(staging, part, isElsewhere && to === entries.length);
      } catch (error) {
        throw this.#poison(error);
      }
      from = to;
    }
  }

  #fits(entries: readonly Entry[]): boolean {
    const { room } = this.#segment;
    let needed = 0;
    for (let i = 0; i < entries.length; i++) needed += frameRoom(entries[i]!.size);
    return needed <= room;
  }

  /** Encodes entries as one batch and writes it to the current segment. A full disk leaves nothing of it. */
  #write(entries: readonly Entry[]): Staging {
    const staging = this.#encode(entries);
    this.#clean = false;
    try {
      this.#segment.write(this.#disk, staging.bytes, staging.to - staging.from);
    } catch (error) {
      // It holds what is not in the log: the next batch comes to the same place, and must not be read from here.
      staging.segment = undefined;
      if (!isFull(error)) throw error;
      this.#segment.takeBack(this.#disk);
      throw fullError(`no room for ${staging.to - staging.from} more bytes in ${this.#segment.path}`, error);
    }
    return staging;
  }

  #encode(entries: readonly Entry[]): Staging {
    const segment = this.#segment;
    const batch = segment.batch + 1;
    const time = this.#clock.stamp();
    const { seed, next } = segment;
    const staging = this.#staging(entries);
    const { bytes, starts, sizes, times } = staging;
    let at = 0;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      const { size } = entry;
      entry.encode(bytes, at + frameHead);
      sealFrame(bytes, at, size, next + i, time, batch, entries.length - i - 1, seed);
      starts[i] = at + frameHead;
      sizes[i] = size;
      times[i] = time;
      at += frameRoom(size);
    }
    staging.segment = segment;
    staging.from = segment.end;
    staging.to = segment.end + at;
    return staging;
  }

  /** The staging used longest ago; a new one, not kept, for an entry that fits into none. */
  #staging(entries: readonly Entry[]): Staging {
    let needed = 0;
    for (let i = 0; i < entries.length; i++) needed += frameRoom(entries[i]!.size);
    if (needed > stagingBytes) return stagingIn(Buffer.allocUnsafe(needed));
    const place = this.#stagingNext;
    this.#stagingNext = (place + 1) % stagingCount;
    return (this.#stagings[place] ??= stagingIn(Buffer.alloc(stagingBytes)));
  }

  /** The batch is safe: it can be found, and the feed gets it. `overlaps`: the next append may be written before that. */
  #deliver(staging: Staging, entries: readonly Entry[], overlaps: boolean): void {
    const segment = this.#segment;
    const count = entries.length;
    const first = segment.next;
    const { bytes, starts, sizes, times } = staging;
    const shift = staging.from - frameHead;
    for (let i = 0; i < count; i++) segment.add(shift + starts[i]!);
    segment.end = staging.to;
    // Only now: recovery takes a gap in these numbers for damage, and a batch that a full disk refused leaves nothing.
    segment.batch++;
    this.#batches++;
    this.#logBytes += staging.to - staging.from;
    // A sync that holds the thread would deliver the next batch before this one.
    if (overlaps && this.#syncElsewhere) this.#sink?.written?.();
    this.#sink?.entries({ first, count, times, bytes, starts, sizes, own: entries });
  }

  /** Goes on to a new segment. A full disk leaves everything as it is. */
  #nextSegment(roomMin: number): void {
    this.#mustHold();
    const before = this.#segment;
    const size = nextSegmentBytes(this.#segmentSizes, this.#logBytes, roomMin);
    try {
      this.#segment = createSegment(this.#disk, this.#folder, {
        ...before.header,
        number: before.header.number + 1,
        base: before.next,
        size,
        durability: this.durability,
        created: this.#clock.wall(),
        sparse: false,
      });
    } catch (error) {
      if (!isFull(error)) throw error;
      throw fullError(`no room for the next segment in ${this.#folder}`, error);
    }
    // Without this, a loss of power could take the middle of the log and leave its end.
    if (before.header.durability === "os") this.#disk.sync(before.file);
    this.#segments.push(this.#segment);
    try {
      before.seal(this.#disk);
    } catch (error) {
      // The table behind it is only a help.
      if (!isFull(error)) throw error;
    }
  }

  /** Before files are made or removed: what the path leads to may be another log by now. */
  #mustHold(): void {
    if (this.#lock.isHeld?.() !== false) return;
    throw new LogError(
      "LOG_IO",
      `${this.#folder} is not the folder any more that was opened, or its files .lock.… were removed: it was moved or replaced while the log was open; move it back, or close the log and open it where it is`,
      { outcome: "none" },
    );
  }

  #measure(ms: number): void {
    // Steps towards each sample by its side, not its size: a moving median, which single stalls do not move.
    this.#syncMs = this.#syncMs === 0 ? ms : this.#syncMs * (ms > this.#syncMs ? 1 + syncStep : 1 - syncStep);
    if (this.#io !== "auto") return;
    if (this.#syncMs > slowSyncMs) this.#syncElsewhere = true;
    else if (this.#syncMs < fastSyncMs) this.#syncElsewhere = false;
  }

  /** The fault that ends all writing; a full disk is none, nor is a clock that gave no time: nothing was written. */
  #poison(cause: unknown): LogError {
    if (cause instanceof LogError && cause.outcome === "none") return cause;
    const what = cause instanceof Error ? cause.message : String(cause);
    this.#fault ??= new LogError("LOG_IO", `writing ${this.#segment.path} failed: ${what}; open the log again`, {
      outcome: "unknown",
      cause,
    });
    return this.#fault;
  }

  #refusal(): LogError {
    const fault = this.#fault!;
    return new LogError(fault.code, fault.message, { outcome: "none", cause: fault });
  }

  // Reading

  async subscribe(from: Position, sink: Sink, time: number): Promise<void> {
    const first = this.#segments[0]!;
    if (first.base > from) {
      const what = `it begins at position ${first.base}, and what is before it is missing from position ${from} on`;
      throw corruptError(first.path, 0, what);
    }
    this.#clock.observe(time);
    for (const segment of this.#segments) {
      if (segment.next <= from) continue;
      try {
        this.#logBytes += this.#replay(segment, from, sink);
      } catch (error) {
        throw openError(error, this.#folder);
      }
      // Opening a long log does not stop everything else in the process.
      await new Promise((done) => setImmediate(done));
    }
    this.#sink = sink;
  }

  /** Gives a segment's entries at or above a position; gives the bytes of its frames. */
  #replay(segment: Segment, from: Position, sink: Sink): number {
    const { offset, position } = scanFrames(this.#disk, segment, {
      from: segment.from(this.#disk, from),
      end: segment.next,
      // The last one was read through when it was opened.
      checked: segment === this.#segment,
      deliver: (batch) => {
        sink.entries(batch);
        this.#clock.observe(batch.times[batch.count - 1]!);
      },
    });
    if (position !== segment.next && !segment.header.sparse) {
      throw corruptError(
        segment.path,
        offset,
        `position ${position} is damaged, of those up to ${segment.next - 1} that it must hold`,
      );
    }
    return offset - headerBytes;
  }

  read(position: Position): StoredEntry | undefined | Promise<StoredEntry | undefined> {
    const segment = this.#find(position);
    const range = segment.range(this.#disk, position);
    if (range === undefined) return undefined;
    const { from, to } = range;
    const length = to - from;
    const bytes = Buffer.allocUnsafeSlow(length);
    for (const staging of this.#stagings) {
      if (staging.segment !== segment || from < staging.from || to > staging.to) continue;
      staging.bytes.copy(bytes, 0, from - staging.from, to - staging.from);
      return openFrame(bytes, position, segment, from);
    }
    try {
      if (length > largeReadBytes) {
        return segment.readLater(this.#disk, bytes, length, from).then(
          () => openFrame(bytes, position, segment, from),
          (error: unknown) => Promise.reject(readError(error, segment)),
        );
      }
      this.#disk.read(segment.file, bytes, length, from);
    } catch (error) {
      throw readError(error, segment);
    }
    return openFrame(bytes, position, segment, from);
  }

  // Checkpoints and room

  async checkpoint(position: Position, slices: readonly Uint8Array[], hurry: boolean): Promise<void> {
    // What it covers must not be less safe than itself. A sync that fails is one of the log (F3).
    if (this.durability === "os") {
      await this.#disk.syncLater(this.#segment.file).catch((error: unknown) => Promise.reject(this.#poison(error)));
    }
    this.#storing = this.#store(position, slices, hurry);
    try {
      await this.#storing;
    } catch (error) {
      const what = isFull(error) ? "there is no room for it; free some" : (error as Error).message;
      const message = `a checkpoint could not be written in ${this.#folder}: ${what}. The log goes on without it`;
      throw new LogError(isFull(error) ? "LOG_FULL" : "LOG_IO", message, { retryable: true, cause: error });
    } finally {
      this.#storing = undefined;
    }
  }

  async #store(position: Position, slices: readonly Uint8Array[], hurry: boolean): Promise<void> {
    this.#mustHold();
    // Done before much more is appended: until then nothing of the state can be given back.
    const bytes = slices.reduce((sum, slice) => sum + slice.length, 0);
    const share = Math.max(backgroundShare, bytes / checkpointWithinBytes);
    const background = new Background(
      share,
      () => this.#logBytes,
      () => this.#writing,
    );
    await this.#checkpoints.write(position, slices, hurry ? undefined : background);
  }

  async latestCheckpoint(): Promise<{ readonly position: Position; readonly state: Buffer } | undefined> {
    let found: { readonly position: Position; readonly state: Buffer } | undefined;
    try {
      found = this.#checkpoints.latest(this.#segment.next - 1);
    } catch (error) {
      throw openError(error, this.#folder);
    }
    if (found === undefined && this.#released) {
      throw corruptError(
        this.#folder,
        0,
        "no checkpoint holds, and entries that are trimmed away are needed without one; `boki repair` makes a state of what is left",
      );
    }
    return found;
  }

  async release(isNeeded: (position: Position) => boolean, signal: AbortSignal): Promise<void> {
    if (this.#releasing !== undefined || this.#holders > 0) return;
    this.#releasing = this.#giveBack(isNeeded, signal);
    try {
      await this.#releasing;
    } finally {
      this.#releasing = undefined;
    }
  }

  async #giveBack(isNeeded: (position: Position) => boolean, signal: AbortSignal): Promise<void> {
    // So that it can be given back too, once checkpoints cover it.
    if (await isMostlyDead(this.#disk, this.#segment, isNeeded)) this.#sealLast();
    const stopped = (): boolean => signal.aborted || this.#holders > 0 || this.#lock.isHeld?.() === false;
    // Makes way for a checkpoint too: the two together would take twice the share.
    const background = new Background(
      backgroundShare,
      () => this.#logBytes,
      () => this.#storing ?? this.#writing,
    );
    await compact(this.#disk, this.#folder, this.#segments, this.#checkpoints.covered, isNeeded, stopped, background);
  }

  async verify(
    follower: Follower,
    state: { readonly position: Position; readonly state: Buffer },
    options: LongOptions,
  ): Promise<Verified> {
    return this.#hold(({ source }) => {
      const states = [{ ...state, what: "the index in memory" }];
      return verifySource(this.#disk, source, follower, options, { states });
    });
  }

  async backup(
    directory: string,
    facts: () => { readonly records: number; readonly time: number },
    options: LongOptions,
  ): Promise<BackedUp> {
    return this.#hold((held) => backupLog(this.#disk, held, resolve(directory), facts(), options)).catch(
      (error: unknown) => Promise.reject(copyError(error, directory)),
    );
  }

  /** Calls `fn` with the files as they are at one position; they stay until it is done. */
  async #hold<T>(fn: (held: Held) => Promise<T>): Promise<T> {
    this.#holders++;
    let checkpoints: CheckpointSource[] = [];
    try {
      await this.#releasing?.catch(() => undefined);
      const segments = this.#segments.map((segment) => {
        const end = segment === this.#segment ? segment.end : undefined;
        return { path: segment.path, number: segment.header.number, file: segment.file, end };
      });
      checkpoints = openCheckpoints(this.#disk, this.#folder, this.#checkpoints.positions);
      const source = { folder: this.#folder, segments, checkpoints };
      return await fn({ source, id: this.id, position: this.#segment.next - 1 });
    } finally {
      for (const { file } of checkpoints) this.#disk.close(file);
      this.#holders--;
    }
  }

  /** Begins a new segment before the last one is full. Not while it is being written to: there is a next time. */
  #sealLast(): void {
    if (this.#writing !== undefined || this.#fault !== undefined || this.#closing !== undefined) return;
    if (this.#segment.end - headerBytes < this.#segmentSizes.min / 2) return;
    try {
      this.#nextSegment(0);
    } catch (error) {
      throw this.#poison(error);
    }
  }

  #find(position: Position): Segment {
    const segments = this.#segments;
    let low = 0;
    let high = segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (segments[middle]!.base <= position) low = middle;
      else high = middle - 1;
    }
    return segments[low]!;
  }

  tail(): Promise<Position> {
    return Promise.resolve(this.#segment.next);
  }

  stats(): LogletStats {
    return {
      logBytes: this.#logBytes,
      diskBytes: this.#segments.reduce((sum, segment) => sum + segment.diskBytes, this.#checkpoints.bytes),
      indexBytes: this.#segments.reduce((sum, segment) => sum + segment.indexBytes, 0),
      batches: this.#batches,
      syncMs: this.#syncMs,
    };
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#writing?.catch(() => undefined);
    try {
      this.#markClean();
    } finally {
      this.#fault ??= closedError("none");
      this.#sink = undefined;
      try {
        for (const segment of this.#segments) segment.close(this.#disk);
      } finally {
        await this.#lock.release();
      }
    }
  }

  /** Tells the next opening that nothing was cut off. Without it, it only works longer. */
  #markClean(): void {
    const segment = this.#segment;
    if (this.#clean || this.#fault !== undefined || segment.room < frameHead) return;
    const mark = Buffer.alloc(frameHead);
    sealFrame(mark, 0, 0, segment.next, this.#clock.last, segment.batch + 1, 0, segment.seed);
    try {
      this.#disk.write(segment.file, mark, frameHead, segment.end);
      this.#disk.sync(segment.file);
      segment.cut(this.#disk, segment.end + frameHead);
    } catch (error) {
      throw this.#poison(error);
    }
  }
}

function mustBeThere(disk: Disk, folder: string): void {
  if (listFolder(disk, folder)?.some((name) => segmentNumber(name) !== undefined) === true) return;
  throw new LogError(
    "LOG_NOT_A_LOG",
    `there is no log in ${folder}, and none was to be made; mind the spelling, or begin one first`,
  );
}

function fullError(what: string, cause: unknown): LogError {
  return new LogError("LOG_FULL", `${what}; free some space and append again`, {
    outcome: "none",
    retryable: true,
    cause,
  });
}

function openFrame(bytes: Buffer, position: Position, segment: Segment, offset: number): StoredEntry {
  const size = frameSize(bytes, 0);
  if (
    size < frameHead ||
    size > bytes.length ||
    framePosition(bytes, 0) !== position ||
    !frameHolds(bytes, 0, size, segment.seed)
  ) {
    throw corruptError(segment.path, offset, `the record at position ${position} does not match its checksum`);
  }
  return { bytes: bytes.subarray(frameHead, size), time: frameTime(bytes, 0) };
}

function readError(error: unknown, segment: Segment): LogError {
  return new LogError("LOG_IO", `reading ${segment.path} failed: ${(error as Error).message}`, {
    retryable: true,
    cause: error,
  });
}

function openError(error: unknown, folder: string): unknown {
  if (error instanceof LogError || error instanceof TypeError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOTDIR" || code === "EEXIST") {
    return new LogError("LOG_NOT_A_LOG", `${folder} is a file; a log is a folder: give an empty or a new one`, {
      cause: error,
    });
  }
  if (isFull(error)) {
    return new LogError("LOG_FULL", `no room to open the log in ${folder}; free some space`, {
      retryable: true,
      cause: error,
    });
  }
  const remedy =
    code === "EACCES" || code === "EPERM" || code === "EROFS" ? "; the folder must be writable for this process" : "";
  return new LogError("LOG_IO", `opening the log in ${folder} failed: ${message}${remedy}`, { cause: error });
}
