/**
 * Makes a log that can be opened of one that is damaged: frames that do not hold are left out, their positions stay taken; the state
 * is made from the newest checkpoint that holds and the entries behind it, or from what entries there are, and stored as a checkpoint.
 *
 * Nothing is changed in place: a file is written anew beside the old one, which stays as `NAME.before-repair`. What is lost is
 * said in sentences; what conditions cannot know any more is refused rather than accepted (L3).
 *
 * A repair may be cut short at any place and begun again: the new state comes first, so that what is opened in between already knows
 * what is lost, then segment after segment, and the old states go last.
 */
import { basename, join } from "node:path";
import { Pace } from "../../pace.js";
import type { LongOptions, Repaired } from "../../types.js";
import type { Position } from "../loglet.js";
import { checkpointName, Checkpoints } from "./checkpoints.js";
import { copyFile } from "./copy.js";
import type { Disk } from "./disk.js";
import { examine } from "./examine.js";
import type { Findings, SegmentFound } from "./findings.js";
import { frameHead, frameRoom } from "./frame.js";
import { headerBytes, type SegmentHeader } from "./header.js";
import { type RepairFollower, takeLosses } from "./losses.js";
import { type Notes, readNotes, removeNotes, writeNotes } from "./repair-notes.js";
import { walk } from "./salvage.js";
import { createSegment, SegmentDraft, segmentSizes } from "./segment.js";
import { type CheckpointSource, closeSource, type LogSource, openSource, sourceBytes } from "./source.js";
import { EntryTable } from "./table.js";

export async function repairLog(
  disk: Disk,
  folder: string,
  makeFollower: () => RepairFollower,
  options: LongOptions,
): Promise<Repaired> {
  const source = openSource(disk, folder);
  try {
    const pace = new Pace(3 * sourceBytes(disk, source), options);
    const looker = makeFollower();
    const looked = await examine(disk, source, looker, pace);
    const before = readNotes(disk, folder);
    let repaired: Repaired;
    if (looked.damage.length > 0) repaired = await new Repair(disk, source, looked, makeFollower(), pace, before).run();
    else repaired = { kept: looker.records, ...before };
    if (repaired.changed.length > 0) removeNotes(disk, folder);
    pace.end();
    return repaired;
  } finally {
    closeSource(disk, source);
  }
}

/** A segment to be written again. */
interface Rewrite {
  readonly segment: Omit<SegmentFound, "bytes">;
  readonly sparse: boolean;
}

class Repair {
  readonly #disk: Disk;
  readonly #source: LogSource;
  readonly #follower: RepairFollower;
  readonly #pace: Pace;
  readonly #looked: Findings;
  readonly #bad: ReadonlySet<string>;
  readonly #segments: Omit<SegmentFound, "bytes">[] = [];
  readonly #changed: string[];
  readonly #lost: string[];

  constructor(
    disk: Disk,
    source: LogSource,
    looked: Findings,
    follower: RepairFollower,
    pace: Pace,
    { lost, changed }: Notes,
  ) {
    this.#disk = disk;
    this.#source = source;
    this.#follower = follower;
    this.#pace = pace;
    this.#looked = looked;
    this.#lost = [...lost];
    this.#changed = [...changed];
    this.#bad = new Set(looked.damage.map(({ file }) => file));
  }

  async run(): Promise<Repaired> {
    const { folder, segments, checkpoints } = this.#source;
    const good = checkpoints.filter(({ path }) => !this.#bad.has(path));
    const found = await examine(this.#disk, { folder, segments, checkpoints: good }, this.#follower, this.#pace, {
      start: "newest",
      each: ({ bytes: _, ...segment }) => void this.#segments.push(segment),
    });
    const last = this.#lastKnown(found);
    const { lost, isLess } = takeLosses(found, last, segments.at(-1)!.path, this.#follower);
    for (const what of lost) if (!this.#lost.includes(what)) this.#lost.push(what);
    this.#pace.check();
    writeNotes(this.#disk, folder, { lost: this.#lost, changed: [...this.#bad] });
    const old = await this.#writeState(found, last, isLess || this.#looked.isLess);
    await this.#writeSegments(last);
    for (const { path } of old) this.#disk.remove(path);
    this.#disk.syncFolder(folder);
    return { kept: this.#follower.records, lost: this.#lost, changed: this.#changed };
  }

  /** The last position that was given out: that of the last entry, or of a checkpoint of what is lost. */
  #lastKnown(found: Findings): Position {
    if (found.durability === "os") return found.position;
    return Math.max(found.position, ...this.#source.checkpoints.map(({ position }) => position));
  }

  // Files

  /** Stores the state, if that is needed; gives the checkpoints that are to go when all is done. */
  async #writeState(found: Findings, last: Position, isLess: boolean): Promise<CheckpointSource[]> {
    const { folder, checkpoints } = this.#source;
    const path = join(folder, checkpointName(last));
    const whole = found.whole.map((checkpoint) => checkpoint.path);
    // What holds and says what is true stays: without lost entries, the states from before are as good as a new one.
    const drop = checkpoints.filter((checkpoint) => isLess || !whole.includes(checkpoint.path));
    if (drop.length === 0 && !isLess) return [];
    for (const checkpoint of drop) await this.#keepCopy(checkpoint.path, checkpoint.file);
    if (isLess || !whole.includes(path)) {
      await new Checkpoints(this.#disk, folder, found.logId).write(last, this.#follower.dump(last));
      if (!this.#changed.includes(path)) this.#changed.push(path);
    }
    return drop.filter((checkpoint) => checkpoint.path !== path);
  }

  async #writeSegments(last: Position): Promise<void> {
    let before: Omit<SegmentFound, "bytes"> | undefined;
    for (const segment of this.#segments) {
      if (before !== undefined) this.#fillIn(before, segment);
      before = segment;
      const { count } = await this.#count(segment);
      // Positions that a checkpoint knows of, behind the last entry, are missing in the last one.
      const next = segment.isLast ? Math.max(segment.next, last + 1) : segment.next;
      const sparse = segment.header.sparse || count < next - segment.base;
      if (segment.damaged || this.#bad.has(segment.source.path) || sparse !== segment.header.sparse)
        await this.#rewrite({ segment, sparse });
      if (segment.isLast && sparse) this.#addLast(segment.header, next);
    }
  }

  async #count({ source, end, ...walked }: Omit<SegmentFound, "bytes">): Promise<{ count: number; bytes: Buffer }> {
    const bytes = Buffer.allocUnsafeSlow(end);
    this.#disk.read(source.file, bytes, end, 0);
    let count = 0;
    for (const part of walk({ ...walked, bytes, to: end })) {
      if (part.kind === "entry") count++;
      await this.#pace.add(part.kind === "hole" ? 0 : frameRoom(part.size - frameHead));
    }
    return { count, bytes };
  }

  /** Only the frames that hold, under the same name. */
  async #rewrite({ segment, sparse }: Rewrite): Promise<void> {
    const { source, end, next, isLast } = segment;
    const { bytes } = await this.#count(segment);
    const header: SegmentHeader = { ...segment.header, sparse, size: Math.max(segment.header.size, headerBytes) };
    await this.#keepCopy(source.path, source.file);
    const table = new EntryTable(sparse);
    const draft = new SegmentDraft(this.#disk, this.#source.folder, header);
    for (const part of walk({ ...segment, bytes, to: end })) {
      if (part.kind !== "entry") continue;
      table.add(part.position - header.base, draft.end);
      const frame = Buffer.alloc(frameRoom(part.size - frameHead));
      bytes.copy(frame, 0, part.offset, part.offset + part.size);
      draft.write(frame);
    }
    const framesEnd = draft.end;
    const written = draft.finish();
    written.found(table, framesEnd, next);
    if (!isLast || sparse) written.seal(this.#disk);
    written.close(this.#disk);
  }

  /** Empty segments where files are missing. */
  #fillIn(before: Omit<SegmentFound, "bytes">, segment: Omit<SegmentFound, "bytes">): void {
    for (let number = before.source.number + 1; number < segment.source.number; number++) {
      const header = { ...before.header, number, base: before.next, size: headerBytes, sparse: true };
      const written = createSegment(this.#disk, this.#source.folder, header);
      written.seal(this.#disk);
      written.close(this.#disk);
      this.#changed.push(written.path);
    }
  }

  /** Takes the next appends. */
  #addLast(before: SegmentHeader, base: Position): void {
    const header = { ...before, number: before.number + 1, base, size: segmentSizes.min, sparse: false };
    const written = createSegment(this.#disk, this.#source.folder, header);
    written.close(this.#disk);
    this.#changed.push(written.path);
  }

  /** The file as it is, under another name; it is a new file that takes its place. */
  async #keepCopy(path: string, file: number): Promise<void> {
    const disk = this.#disk;
    const names = new Set(disk.list(this.#source.folder));
    let kept = `${path}.before-repair`;
    for (let i = 2; names.has(basename(kept)); i++) kept = `${path}.before-repair.${i}`;
    const size = disk.size(file);
    try {
      if (disk.link === undefined) await copyFile(disk, file, kept, size, size, undefined);
      else disk.link(path, kept);
    } catch {
      disk.remove(kept);
      await copyFile(disk, file, kept, size, size, undefined);
    }
    disk.syncFolder(this.#source.folder);
    if (!this.#changed.includes(path)) this.#changed.push(path);
  }
}
