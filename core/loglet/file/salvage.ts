/**
 * Walks over the frames of a segment, also behind damage: what a scan stops at, this tells as a hole and goes on behind it,
 * at the next place where a frame holds. A checksum that starts from log id and segment number, and positions that ascend,
 * leave no room for a frame that never was one.
 */
import type { Position } from "../loglet.js";
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
import { headerBytes } from "./header.js";

/** A whole segment in memory, and what is known of it. */
export interface Walked {
  readonly bytes: Buffer;
  /** Where its frames end at the latest. */
  readonly to: number;
  readonly seed: number;
  readonly base: Position;
  /** Its positions are below this, where that is known. */
  readonly below: Position | undefined;
  /** Positions may have gaps. */
  readonly sparse: boolean;
}

/** A frame that holds. One without an entry is the mark of a clean close; it has the position of what follows it. */
export interface Frame {
  readonly kind: "entry" | "mark";
  readonly offset: number;
  /** With its header. */
  readonly size: number;
  readonly position: Position;
  readonly time: number;
  readonly batch: number;
  readonly left: number;
}

/** Bytes `offset` to `to` that are no frame, or nothing where a frame should be. */
export interface Hole {
  readonly kind: "hole";
  readonly offset: number;
  readonly to: number;
  /** The first position that is not there, and that of the frame behind; undefined where there is none. */
  readonly position: Position;
  readonly next: Position | undefined;
}

export function* walk(segment: Walked): Generator<Frame | Hole> {
  const { bytes, to, sparse } = segment;
  let at = headerBytes;
  let next = segment.base;
  let batch = 0;
  for (;;) {
    if (isFrame(segment, at, next, batch)) {
      const position = framePosition(bytes, at);
      const size = frameSize(bytes, at);
      if (position > next && !sparse) yield { kind: "hole", offset: at, to: at, position: next, next: position };
      batch = frameBatch(bytes, at);
      const kind = size === frameHead ? "mark" : "entry";
      yield { kind, offset: at, size, position, time: frameTime(bytes, at), batch, left: frameLeft(bytes, at) };
      next = kind === "mark" ? position : position + 1;
      at += frameRoom(size - frameHead);
      continue;
    }
    const found = findFrame(segment, at + 8, next, batch);
    const end = found ?? endOfBytes(bytes, at, to);
    if (end === at) return;
    const behind = found === undefined ? undefined : framePosition(bytes, found);
    yield { kind: "hole", offset: at, to: end, position: next, next: behind };
    if (found === undefined || behind === undefined) return;
    at = found;
    next = behind;
  }
}

/** Where the first frame at or behind `from` is, of a position and a batch at or above these. */
export function findFrame(segment: Walked, from: number, position: Position, batch: number): number | undefined {
  for (let at = from; at + frameHead <= segment.to; at += 8) if (isFrame(segment, at, position, batch)) return at;
  return undefined;
}

function isFrame({ bytes, to, below, seed }: Walked, at: number, least: Position, batch: number): boolean {
  if (at + frameHead > to) return false;
  const size = frameSize(bytes, at);
  if (size < frameHead || at + size > to || frameBatch(bytes, at) < batch) return false;
  const position = framePosition(bytes, at);
  if (position < least) return false;
  if (below !== undefined && position >= below && !(position === below && size === frameHead)) return false;
  return frameHolds(bytes, at, size, seed);
}

/** Behind the last byte that is not zero, or `from`. */
export function endOfBytes(bytes: Buffer, from: number, to: number): number {
  let end = to;
  while (end > from && bytes[end - 1] === 0) end--;
  return end;
}
