/**
 * Opening a folder: which files are the log, where it ends, and what a crash has left.
 *
 * One batch is written at a time, so what is not acknowledged is the end of the last segment. The first bad frame there
 * is a torn tail iff no good frame of a *later* batch follows; then it and all behind it are cut off. Anything else is
 * `LOG_CORRUPT`. What is only in the page cache is not trusted: after an unclean end the good frames are copied into a new
 * file, which is synced before anything is read.
 */
import { join } from "node:path";
import { corruptError, LogError } from "../../errors.js";
import type { Recovered } from "../../types.js";
import type { Position } from "../loglet.js";
import type { Disk } from "./disk.js";
import { frameBatch, frameHead, frameHolds, framePosition, frameSize, frameTime, sealFrame } from "./frame.js";
import { type ScanEnd, scanFrames } from "./scan.js";
import { decodeHeader, headerBytes, type SegmentHeader, segmentName, segmentNumber } from "./header.js";
import { unfinishedError, unfinishedName } from "./copy.js";
import { createSegment, Segment, SegmentDraft, type SegmentSizes } from "./segment.js";
import { EntryTable } from "./table.js";

const chunkBytes = 1 << 20;

export interface Found {
  /** In order; the last one takes appends. */
  readonly segments: Segment[];
  readonly recovered: Recovered | undefined;
  /** The last segment ends with the mark of a clean close. */
  readonly clean: boolean;
  /** Some entries were released: what is left does not tell the whole state. */
  readonly released: boolean;
  /** Time of the last entry, ms; 0 in an empty segment. */
  readonly time: number;
}

/** Makes a log in an empty folder. */
export function createLog(
  disk: Disk,
  folder: string,
  durability: "disk" | "os",
  now: number,
  sizes: SegmentSizes,
  logId: string,
): Found {
  const header: SegmentHeader = {
    logId,
    number: 1,
    base: 1,
    size: sizes.min,
    durability,
    created: now,
    sparse: false,
  };
  const segments = [createSegment(disk, folder, header)];
  return { segments, recovered: undefined, clean: false, released: false, time: 0 };
}

/** Opens the log in a folder, or gives undefined where there is none yet. */
export function findLog(disk: Disk, folder: string): Found | undefined {
  const names = disk.list(folder);
  if (names.includes(unfinishedName)) throw unfinishedError(folder);
  for (const name of names)
    if (/^\d{10}\.log\.tmp$|^checkpoint-\d{16}\.tmp$/.test(name)) disk.remove(join(folder, name));
  const numbers = names.flatMap((name) => segmentNumber(name) ?? []).sort((a, b) => a - b);
  if (numbers.length === 0) {
    refuseForeign(folder, names);
    return undefined;
  }
  const segments: Segment[] = [];
  try {
    for (const number of numbers) {
      segments.push(openSegment(disk, folder, number, segments.at(-1)));
    }
    for (const [i, segment] of segments.entries()) segment.next = segments[i + 1]?.base ?? segment.next;
    const released = segments[0]!.header.number > 1 || segments.some(({ header }) => header.sparse);
    return { segments, released, ...openLast(disk, folder, segments) };
  } catch (error) {
    for (const segment of segments) disk.close(segment.file);
    throw error;
  }
}

function refuseForeign(folder: string, names: readonly string[]): void {
  const foreign = names.filter((name) => !name.startsWith(".") && name !== "lost+found" && !name.endsWith(".log.tmp"));
  if (foreign.length === 0) return;
  throw new LogError(
    "LOG_NOT_A_LOG",
    `${folder} has files that are no log (${foreign.slice(0, 3).join(", ")}${foreign.length > 3 ? ", ..." : ""}); give an empty or a new folder`,
  );
}

/** One segment, checked against the one before it. */
function openSegment(disk: Disk, folder: string, number: number, before: Segment | undefined): Segment {
  const path = join(folder, segmentName(number));
  const file = disk.open(path, "update");
  try {
    const page = Buffer.alloc(headerBytes);
    disk.read(file, page, headerBytes, 0);
    const header = decodeHeader(page, path);
    if (header === undefined) {
      if (before !== undefined) throw corruptError(path, 0, "its header is damaged");
      throw new LogError(
        "LOG_NOT_A_LOG",
        `${path} has no header of a log; if this was one, restore the file from a backup`,
      );
    }
    if (header.number !== number || (before !== undefined && header.logId !== before.header.logId)) {
      throw corruptError(path, 0, `it says that it is segment ${header.number} of log ${header.logId}`);
    }
    if (before !== undefined && (number !== before.header.number + 1 || header.base < before.base)) {
      throw corruptError(
        path,
        0,
        `segment ${before.header.number} from position ${before.base} comes before it, and it begins at ${header.base}`,
      );
    }
    return new Segment(path, file, header);
  } catch (error) {
    disk.close(file);
    throw error;
  }
}

function openLast(disk: Disk, folder: string, segments: Segment[]): Omit<Found, "segments" | "released"> {
  const last = segments.at(-1)!;
  const { file, header, path, seed } = last;
  const closed = readCleanEnd(disk, last);
  if (closed !== undefined) {
    disk.truncate(file, last.end);
    goOn(disk, folder, last);
    return { recovered: undefined, clean: true, time: closed.time };
  }
  const table = last.begin();
  const end = scanFrames(disk, last, {
    from: { offset: headerBytes, position: last.base },
    found: (_position, offset) => last.add(offset),
  });
  last.end = end.offset;
  last.batch = end.batch;
  const found = lastNonZero(disk, file, end.offset, header.size) - end.offset;
  // A log that was closed has its table there, of which a loss of power may have left a part.
  const behind = found > 0 && end.clean && isTable(disk, last, table, end.offset) ? 0 : found;
  // With "os" no sync came before that of the mark, and that one may have failed.
  if (end.clean && behind === 0 && header.durability === "disk") {
    disk.truncate(file, end.offset);
    syncMark(disk, last);
    goOn(disk, folder, last);
    return { recovered: undefined, clean: true, time: end.time };
  }

  // A frame inside the batch of the last good one, or the first of the next batch, is the one that is bad.
  const badBatch = end.left > 0 ? end.batch : end.batch + 1;
  if (
    behind > 0 &&
    header.durability === "disk" &&
    hasLaterFrame(disk, file, end.offset, end.offset + behind, end.position, badBatch, seed)
  ) {
    throw corruptError(path, end.offset, `position ${end.position} is damaged, and acknowledged records follow`);
  }
  const draft = new SegmentDraft(disk, folder, header);
  copyFrames(disk, last, end, draft);
  const copyEnd = draft.end;
  const copy = draft.finish();
  copy.found(table, copyEnd, end.position);
  // A mark takes a number; where none was needed, a gap would make the next torn batch look like damage.
  copy.batch = copyEnd > end.offset ? end.batch + 1 : end.batch;
  disk.close(file);
  segments[segments.length - 1] = copy;
  return {
    recovered: behind > 0 ? { bytes: behind, position: end.position } : undefined,
    clean: copyEnd > end.offset || end.clean,
    time: end.time,
  };
}

function isTable(disk: Disk, { file, header }: Segment, table: EntryTable, at: number): boolean {
  const bytes = Buffer.alloc(Math.max(0, Math.min(disk.size(file), header.size) - at));
  disk.read(file, bytes, bytes.length, at);
  return table.isIn(bytes, at);
}

/** Makes a segment that was closed in order ready for appends behind its mark. */
function goOn(disk: Disk, folder: string, { file, header }: Segment): void {
  disk.truncate(file, header.size);
  // An opening that failed or was killed behind its rename has left a whole file whose name a power loss takes back.
  disk.syncFolder(folder);
}

/**
 * A mark without a table behind it may be in the page cache only, and count as written: the sync of that close failed or
 * never came. It is written again and synced before the next batch: one that is there without the mark would be damage.
 */
function syncMark(disk: Disk, { file, end }: Segment): void {
  const mark = Buffer.alloc(frameHead);
  disk.read(file, mark, frameHead, end - frameHead);
  disk.write(file, mark, frameHead, end - frameHead);
  disk.sync(file);
}

/** What a clean close has left: the mark behind the last entry, and the table of entries behind that, written once the mark was synced. */
function readCleanEnd(disk: Disk, last: Segment): { readonly time: number } | undefined {
  const stored = EntryTable.read(disk, last.file);
  if (stored === undefined || last.header.sparse || stored.end > last.header.size) return undefined;
  const mark = Buffer.alloc(frameHead);
  const next = last.base + stored.table.count;
  disk.read(last.file, mark, frameHead, stored.end - frameHead);
  if (
    frameSize(mark, 0) !== frameHead ||
    framePosition(mark, 0) !== next ||
    !frameHolds(mark, 0, frameHead, last.seed)
  ) {
    return undefined;
  }
  last.found(stored.table, stored.end, next);
  last.batch = frameBatch(mark, 0);
  return { time: frameTime(mark, 0) };
}

/** The good frames of a segment, and the mark of a clean end, so that a cut batch is not taken for one that goes on behind it. */
function copyFrames(disk: Disk, from: Segment, end: ScanEnd, to: SegmentDraft): void {
  const buffer = Buffer.alloc(chunkBytes);
  while (to.end < end.offset) {
    const length = disk.read(from.file, buffer, Math.min(buffer.length, end.offset - to.end), to.end);
    // A file that was cut short may lack the zeros behind its last good frame.
    to.write(length > 0 ? buffer.subarray(0, length) : Buffer.alloc(end.offset - to.end));
  }
  if (end.clean || to.end + frameHead > from.header.size) return;
  const mark = Buffer.alloc(frameHead);
  sealFrame(mark, 0, 0, end.position, end.time, end.batch + 1, 0, from.seed);
  to.write(mark);
}

/** Whether a good frame of a batch after `batch` stands anywhere in a range. */
function hasLaterFrame(
  disk: Disk,
  file: number,
  from: number,
  to: number,
  position: Position,
  batch: number,
  seed: number,
): boolean {
  const rest = Buffer.alloc(to - from);
  const length = disk.read(file, rest, rest.length, from);
  for (let at = 0; at + frameHead <= length; at += 8) {
    const size = frameSize(rest, at);
    if (size < frameHead || at + size > length || frameBatch(rest, at) <= batch || framePosition(rest, at) < position)
      continue;
    if (frameHolds(rest, at, size, seed)) return true;
  }
  return false;
}

/** The offset behind the last byte that is not zero, or `from`. */
function lastNonZero(disk: Disk, file: number, from: number, to: number): number {
  const chunk = Buffer.alloc(chunkBytes);
  const zeros = Buffer.alloc(chunkBytes);
  let end = from;
  for (let at = from; at < to; at += chunk.length) {
    const length = disk.read(file, chunk, Math.min(chunk.length, to - at), at);
    if (length === 0) break;
    if (chunk.compare(zeros, 0, length, 0, length) === 0) continue;
    let last = length;
    while (chunk[last - 1] === 0) last--;
    end = at + last;
  }
  return end;
}
