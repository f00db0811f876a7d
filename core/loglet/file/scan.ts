/** Reads a segment's frames one after the other, checking every one, in large sequential reads. */
import type { Batch, Position } from "../loglet.js";
import type { Disk } from "./disk.js";
import {
  frameBatch,
  frameHead,
  frameHolds,
  frameLeft,
  framePosition,
  frameRoom,
  frameSize,
  frameTime,
} from "./frame.js";
import type { SegmentHeader } from "./header.js";

/** Read at once: little enough to be in the processor's cache still when it is checked and applied. */
const chunkBytes = 256 * 1024;

/** How far a scan came: everything before `offset` is good. */
export interface ScanEnd {
  readonly offset: number;
  /** The position that the next entry has. */
  readonly position: Position;
  /** Of the last good frame; 0 where there is none. */
  readonly batch: number;
  readonly left: number;
  readonly time: number;
  /** The last frame is the mark of a clean close. */
  readonly clean: boolean;
}

/** What a scan needs to know of a segment. */
export interface Scanned {
  readonly file: number;
  readonly header: SegmentHeader;
  readonly seed: number;
}

export interface ScanOptions {
  /** Where to begin: the offset of a frame, and its position. */
  readonly from: { readonly offset: number; readonly position: Position };
  /** Stop before this position; without it, at the first frame that is not good. */
  readonly end?: Position | undefined;
  /** The frames were checked a moment ago. */
  readonly checked?: boolean | undefined;
  /** Called with every entry's position and offset. */
  readonly found?: ((position: Position, offset: number) => void) | undefined;
  /** Called with the entries in batches, whose bytes are reused. */
  readonly deliver?: ((batch: Batch) => void) | undefined;
}

export function scanFrames(disk: Disk, segment: Scanned, options: ScanOptions): ScanEnd {
  const { file, header, seed } = segment;
  const { from, end, checked, found, deliver } = options;
  let chunk = Buffer.allocUnsafe(chunkBytes);
  let chunkAt = from.offset;
  let chunkLength = disk.read(file, chunk, chunk.length, chunkAt);
  const starts: number[] = [];
  const sizes: number[] = [];
  const times: number[] = [];
  let { position } = from;
  let first = position;
  let batch = 0;
  let left = 0;
  let time = 0;
  let clean = false;
  let at = 0;

  const flush = (): void => {
    const count = starts.length;
    if (count > 0) deliver?.({ first, count, times, bytes: chunk, starts, sizes, own: undefined });
    starts.length = sizes.length = times.length = 0;
  };

  while (position !== end) {
    const size = at + frameHead > chunkLength ? frameHead : frameSize(chunk, at);
    if (at + size > chunkLength) {
      // The next frame is not all here: go on reading from its beginning, with room for all of it.
      const offset = chunkAt + at;
      if (offset + size > header.size) break;
      flush();
      if (frameRoom(size) > chunk.length) chunk = Buffer.allocUnsafe(frameRoom(size));
      const length = disk.read(file, chunk, chunk.length, offset);
      chunkAt = offset;
      chunkLength = length;
      at = 0;
      if (length < size) break;
      continue;
    }
    const here = framePosition(chunk, at);
    const itsBatch = frameBatch(chunk, at);
    if (size < frameHead || itsBatch < batch) break;
    // In a segment that was rewritten, positions have gaps.
    if (here !== position && (!header.sparse || here < position || (end !== undefined && here >= end))) break;
    if (checked !== true && !frameHolds(chunk, at, size, seed)) break;
    batch = itsBatch;
    left = frameLeft(chunk, at);
    time = frameTime(chunk, at);
    clean = size === frameHead;
    if (!clean) {
      if (here !== position) flush();
      if (starts.length === 0) first = here;
      found?.(here, chunkAt + at);
      starts.push(at + frameHead);
      sizes.push(size - frameHead);
      times.push(time);
      position = here + 1;
    }
    at += frameRoom(size - frameHead);
  }
  flush();
  return { offset: chunkAt + at, position, batch, left, time, clean };
}
