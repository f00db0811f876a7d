/**
 * Checkpoint files: the state of a follower at a position, the last two of them. Room of entries is given back only below
 * the older one, so that a damaged one costs time and nothing else.
 *
 *     "BOKICKPT", u32 version, u32 0, log id (16 bytes), u64 position, the state, u64 bytes of state, u32 CRC-32 of all before, u32 0
 */
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { corruptError } from "../../errors.js";
import type { Position } from "../loglet.js";
import type { Background } from "./background.js";
import type { Disk } from "./disk.js";

const magic = Buffer.from("BOKICKPT");
const version = 1;
const headBytes = 40;
const tailBytes = 16;
/** Written at once. */
const sliceBytes = 64 * 1024;
/** Synced at once: seldom enough that far less than one flush in a hundred meets such a sync. */
const syncBytes = 8 * 1024 * 1024;

export interface StoredState {
  readonly position: Position;
  readonly state: Buffer;
}

export class Checkpoints {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #logId: string;
  /** Positions of those whose files are there, ascending. */
  #positions: Position[];
  #sizes = new Map<Position, number>();

  constructor(disk: Disk, folder: string, logId: string) {
    this.#disk = disk;
    this.#folder = folder;
    this.#logId = logId;
    this.#positions = disk
      .list(folder)
      .flatMap((name) => checkpointPosition(name) ?? [])
      .sort((a, b) => a - b);
  }

  /** What both cover: entries at or below it are not read again. 0 while there are not two. */
  get covered(): Position {
    return this.#positions.length < 2 ? 0 : this.#positions.at(-2)!;
  }

  /** Of those whose files are there, ascending. */
  get positions(): readonly Position[] {
    return this.#positions;
  }

  get bytes(): number {
    return [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  /** Without `background` it is written as quickly as possible. */
  async write(position: Position, slices: Iterable<Uint8Array>, background?: Background): Promise<void> {
    const disk = this.#disk;
    const path = join(this.#folder, checkpointName(position));
    const temporary = path.replace(/ckpt$/, "tmp");
    disk.remove(temporary);
    const file = disk.open(temporary, "create");
    let at = 0;
    let checksum = 0;
    const write = (bytes: Uint8Array): void => {
      disk.write(file, bytes, bytes.length, at);
      checksum = crc32(bytes, checksum);
      at += bytes.length;
    };
    try {
      write(encodeHead(this.#logId, position));
      let unsynced = 0;
      for (const slice of slices) {
        for (let from = 0; from < slice.length; from += sliceBytes) {
          const part = slice.subarray(from, from + sliceBytes);
          write(part);
          if (background === undefined) continue;
          unsynced += part.length;
          if (unsynced >= syncBytes) {
            unsynced = 0;
            await disk.syncLater(file);
          }
          await background.take(part.length);
        }
      }
      const tail = Buffer.alloc(tailBytes);
      tail.writeBigUInt64LE(BigInt(at - headBytes), 0);
      tail.writeUInt32LE(crc32(tail.subarray(0, 8), checksum), 8);
      disk.write(file, tail, tailBytes, at);
      at += tailBytes;
      if (background === undefined) disk.sync(file);
      else await disk.syncLater(file);
    } catch (error) {
      disk.close(file);
      disk.remove(temporary);
      throw error;
    }
    disk.close(file);
    disk.rename(temporary, path);
    disk.syncFolder(this.#folder);
    this.#sizes.set(position, at);
    this.#positions = [...this.#positions.filter((other) => other !== position), position];
    this.#positions = this.#positions.slice(-2);
    this.#removeOthers();
  }

  /** Only now, when there is a newer one: damaged ones may be looked at until then. */
  #removeOthers(): void {
    for (const name of this.#disk.list(this.#folder)) {
      const position = checkpointPosition(name);
      if (position === undefined || this.#positions.includes(position)) continue;
      this.#disk.remove(join(this.#folder, name));
      this.#sizes.delete(position);
    }
  }

  /** The newest one that is whole and of a position up to `last`: what is in the log. Others are damaged, or of what was lost. */
  latest(last: Position): StoredState | undefined {
    for (const position of this.#positions.toReversed()) {
      const state = position <= last ? this.#read(position) : undefined;
      if (state !== undefined) return { position, state };
      this.#positions = this.#positions.filter((other) => other !== position);
    }
    return undefined;
  }

  #read(position: Position): Buffer | undefined {
    const path = join(this.#folder, checkpointName(position));
    const file = this.#disk.open(path, "read");
    try {
      const state = readCheckpoint(this.#disk, file, path, this.#logId, position);
      if (state !== undefined) this.#sizes.set(position, this.#disk.size(file));
      return state;
    } finally {
      this.#disk.close(file);
    }
  }
}

/** The state in a checkpoint's file; undefined if that is not whole. */
export function readCheckpoint(
  disk: Disk,
  file: number,
  path: string,
  logId: string,
  position: Position,
): Buffer | undefined {
  const size = disk.size(file);
  const head = Buffer.alloc(headBytes);
  const tail = Buffer.alloc(tailBytes);
  if (size < headBytes + tailBytes) return undefined;
  disk.read(file, head, headBytes, 0);
  disk.read(file, tail, tailBytes, size - tailBytes);
  const bytes = Buffer.allocUnsafeSlow(size - headBytes - tailBytes);
  disk.read(file, bytes, bytes.length, headBytes);
  const checksum = crc32(tail.subarray(0, 8), crc32(bytes, crc32(head)));
  if (checksum !== tail.readUInt32LE(8) || Number(tail.readBigUInt64LE(0)) !== bytes.length) return undefined;
  if (!head.equals(encodeHead(logId, position)))
    throw corruptError(path, 0, "it is a checkpoint of another log, or of another version");
  return bytes;
}

export function checkpointName(position: Position): string {
  return `checkpoint-${String(position).padStart(16, "0")}.ckpt`;
}

export function checkpointPosition(name: string): Position | undefined {
  const found = /^checkpoint-(\d{16})\.ckpt$/.exec(name);
  return found === null ? undefined : Number(found[1]);
}

function encodeHead(logId: string, position: Position): Buffer {
  const head = Buffer.alloc(headBytes);
  magic.copy(head, 0);
  head.writeUInt32LE(version, 8);
  Buffer.from(logId, "hex").copy(head, 16);
  head.writeBigUInt64LE(BigInt(position), 32);
  return head;
}
