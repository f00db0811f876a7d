/**
 * Giving room back: segments at the beginning of which nothing is needed any more are removed, those of which less than seven tenths are
 * needed are written again without the rest, under the same positions. Only whole segments that both checkpoints cover are touched,
 * so no follower ever reads one again from its beginning. One that is being read stays open until that is over.
 */
import type { Position } from "../loglet.js";
import { type Background, turn } from "./background.js";
import type { Disk } from "./disk.js";
import { frameHead, frameHolds, frameRoom, frameSize } from "./frame.js";
import { headerBytes } from "./header.js";
import { type Segment, SegmentDraft } from "./segment.js";
import { EntryTable } from "./table.js";

/** A segment is rewritten when it shrinks to this part at least: so a log settles at less than 1.5 times what it holds. */
const keepMax = 0.7;
/** Entries looked at between two turns of the event loop. */
const turnEntries = 8192;
/** Bytes read at once, and written at most. */
const readBytes = 64 * 1024;
/** Bytes synced at once. */
const syncBytes = 8 * 1024 * 1024;

/** `segments` is changed in place; its last one takes appends and is left alone. */
export async function compact(
  disk: Disk,
  folder: string,
  segments: Segment[],
  covered: Position,
  isNeeded: (position: Position) => boolean,
  stopped: () => boolean,
  background: Background,
): Promise<void> {
  for (let i = 0; i < segments.length - 1 && !stopped();) {
    const segment = segments[i]!;
    if (segment.next - 1 > covered) return;
    const { needed, bytes, all } = await weigh(disk, segment, isNeeded);
    if (stopped()) return;
    if (needed === 0 && i === 0) {
      // One after the other, each for good: after a crash there is no gap between those that are left.
      disk.remove(segment.path);
      disk.syncFolder(folder);
      segments.shift();
      segment.close(disk);
      continue;
    }
    if (bytes < all * keepMax) {
      const rewritten = await rewrite(disk, folder, segment, bytes, isNeeded, stopped, background);
      if (rewritten !== undefined) {
        segments[i] = rewritten;
        segment.close(disk);
      }
    }
    i++;
  }
}

export async function isMostlyDead(
  disk: Disk,
  segment: Segment,
  isNeeded: (position: Position) => boolean,
): Promise<boolean> {
  const { bytes, all } = await weigh(disk, segment, isNeeded);
  return bytes < all * keepMax;
}

async function weigh(
  disk: Disk,
  segment: Segment,
  isNeeded: (position: Position) => boolean,
): Promise<{ needed: number; bytes: number; all: number }> {
  let needed = 0;
  for (let position = segment.base; position < segment.next; position++) {
    if ((position - segment.base) % turnEntries === turnEntries - 1) await turn();
    if (isNeeded(position)) needed++;
  }
  // Only now, so that a segment of which nothing is needed may be damaged.
  if (needed === 0)
    return { needed, bytes: 0, all: segment.next === segment.base ? 0 : segment.header.size - headerBytes };
  const table = segment.table(disk);
  let bytes = 0;
  for (let place = 0; place < table.count; place++) {
    if (place % turnEntries === turnEntries - 1) await turn();
    if (!isNeeded(segment.base + table.above(place))) continue;
    bytes += table.offset(place + 1, segment.end) - table.offset(place, segment.end);
  }
  return { needed, bytes, all: segment.end - headerBytes };
}

/** The same segment without its dead entries; undefined if it was stopped, or is damaged and better left for a look at it. */
async function rewrite(
  disk: Disk,
  folder: string,
  segment: Segment,
  bytesMax: number,
  isNeeded: (position: Position) => boolean,
  stopped: () => boolean,
  background: Background,
): Promise<Segment | undefined> {
  const table = bytesMax === 0 ? new EntryTable(true) : segment.table(disk);
  const kept = new EntryTable(true);
  // What is needed can only become less meanwhile.
  const draft = new SegmentDraft(disk, folder, { ...segment.header, sparse: true, size: headerBytes + bytesMax });
  let buffer = Buffer.allocUnsafeSlow(readBytes);
  const offset = (place: number): number => table.offset(place, segment.end);
  const isKept = (place: number): boolean => isNeeded(segment.base + table.above(place));
  let unsynced = 0;
  let place = 0;
  for (;;) {
    while (place < table.count && !isKept(place)) place++;
    if (place === table.count) break;
    // As many frames as are read at once; what is kept of them moves together in the buffer.
    const first = place;
    const from = offset(first);
    if (offset(first + 1) - from > buffer.length) buffer = Buffer.allocUnsafeSlow(offset(first + 1) - from);
    const length = disk.read(segment.file, buffer, Math.min(buffer.length, segment.end - from), from);
    let bytes = 0;
    let isGood = true;
    for (; isGood && place < table.count && offset(place + 1) - from <= length; place++) {
      if (!isKept(place)) continue;
      const at = offset(place) - from;
      const size = frameSize(buffer, at);
      isGood = size >= frameHead && at + size <= length && frameHolds(buffer, at, size, segment.seed);
      kept.add(table.above(place), draft.end + bytes);
      buffer.copyWithin(bytes, at, at + frameRoom(size - frameHead));
      bytes += frameRoom(size - frameHead);
    }
    if (!isGood || place === first) {
      draft.discard();
      return undefined;
    }
    draft.write(buffer.subarray(0, bytes));
    unsynced += bytes;
    if (unsynced >= syncBytes) {
      unsynced = 0;
      await disk.syncLater(draft.file);
    }
    await background.take(bytes);
    if (!stopped()) continue;
    draft.discard();
    return undefined;
  }
  await disk.syncLater(draft.file);
  const end = draft.end;
  const rewritten = draft.finish();
  rewritten.found(kept, end, segment.next);
  rewritten.seal(disk);
  return rewritten;
}
