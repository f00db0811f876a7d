/** Reads a segment from its first frame on, checking every one, in large sequential reads. */
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
import { headerBytes, type Segment } from "./segment.js";

const chunkBytes = 1 << 20;

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

/**
 * Scans until the first frame that is not good, or until the entry before `end` has been read. Fills the segment's
 * offsets, and gives entries to `deliver` in batches whose bytes are reused.
 */
export function scanSegment(
  disk: Disk,
  segment: Segment,
  end: Position | undefined,
  deliver?: (batch: Batch) => void,
): ScanEnd {
  const { file, header, seed } = segment;
  let chunk = Buffer.allocUnsafe(chunkBytes);
  let chunkAt = headerBytes;
  let chunkLength = disk.read(file, chunk, chunk.length, chunkAt);
  const starts: number[] = [];
  const sizes: number[] = [];
  const times: number[] = [];
  let position = header.base;
  let batch = 0;
  let left = 0;
  let time = 0;
  let clean = false;
  let at = 0;

  const flush = (): void => {
    const count = starts.length;
    if (count > 0) deliver?.({ first: position - count, count, times, bytes: chunk, starts, sizes, own: undefined });
    starts.length = sizes.length = times.length = 0;
  };

  segment.clearOffsets();
  while (position !== end) {
    if (at + frameHead > chunkLength || at + frameSize(chunk, at) > chunkLength) {
      // The next frame is not all here: go on reading from its beginning, with room for all of it.
      const size = at + frameHead > chunkLength ? frameHead : frameSize(chunk, at);
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
    const size = frameSize(chunk, at);
    if (size < frameHead || framePosition(chunk, at) !== position || frameBatch(chunk, at) < batch) break;
    if (!frameHolds(chunk, at, size, seed)) break;
    batch = frameBatch(chunk, at);
    left = frameLeft(chunk, at);
    time = frameTime(chunk, at);
    clean = size === frameHead;
    if (!clean) {
      segment.addOffset(chunkAt + at);
      starts.push(at + frameHead);
      sizes.push(size - frameHead);
      times.push(time);
      position++;
    }
    at += frameRoom(size - frameHead);
  }
  flush();
  const offset = chunkAt + at;
  segment.end = offset;
  segment.batch = batch;
  return { offset, position, batch, left, time, clean };
}
