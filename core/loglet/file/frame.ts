/**
 * Frames: how entries lie in a segment. Little endian, each at a multiple of 8 bytes, zeros between and behind.
 *
 *      0 u32 size: this header and the entry      16 u32, u32 log time in ms, low and high
 *      4 u32 CRC-32 of all behind it              24 u32 batch: 1, 2, ... in this segment
 *      8 u32, u32 position, low and high          28 u32 left: frames of this batch behind this one
 *     32 the entry's bytes
 *
 * The checksum starts from log id and segment number, so that a frame of another log or segment is never taken for one of
 * this. `batch` and `left` tell a torn last batch from damage (recovery.ts). A frame without an entry is the mark of a
 * clean close; it takes no position.
 */
import { crc32 } from "node:zlib";

export const frameHead = 32;
const two32 = 2 ** 32;

/** Room that an entry of so many bytes takes in a segment. */
export function frameRoom(entryBytes: number): number {
  return (frameHead + entryBytes + 7) & ~7;
}

export function frameSeed(logId: string, segment: number): number {
  return crc32(`${logId}/${segment}`);
}

/** Writes the header of a frame whose entry is in place already, and zeros up to the next frame. */
export function sealFrame(
  bytes: Buffer,
  at: number,
  entryBytes: number,
  position: number,
  time: number,
  batch: number,
  left: number,
  seed: number,
): void {
  const size = frameHead + entryBytes;
  writeU32(bytes, at, size);
  writeU32(bytes, at + 8, position);
  writeU32(bytes, at + 12, position / two32);
  writeU32(bytes, at + 16, time);
  writeU32(bytes, at + 20, time / two32);
  writeU32(bytes, at + 24, batch);
  writeU32(bytes, at + 28, left);
  writeU32(bytes, at + 4, crc32(bytes.subarray(at + 8, at + size), seed));
  for (let i = at + size, end = at + frameRoom(entryBytes); i < end; i++) bytes[i] = 0;
}

export function frameSize(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at);
}

export function framePosition(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 8) + readU32(bytes, at + 12) * two32;
}

export function frameTime(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 16) + readU32(bytes, at + 20) * two32;
}

export function frameBatch(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 24);
}

export function frameLeft(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 28);
}

/** Whether the checksum of a frame of `size` bytes, all there, holds. */
export function frameHolds(bytes: Buffer, at: number, size: number, seed: number): boolean {
  return crc32(bytes.subarray(at + 8, at + size), seed) === readU32(bytes, at + 4);
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
