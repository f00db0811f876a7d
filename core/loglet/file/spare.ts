/**
 * The next segment, filled with zeros and synced in the background while the current one is in use: writing into space
 * that is there already costs half of growing a file, and zeroing inside a flush would stall it. It has its final name
 * but no header, which comes with the first batch; so going on to it costs no rename and no sync of the folder.
 */
import { join } from "node:path";
import { LogError } from "../../errors.js";
import type { Disk } from "./disk.js";
import { headerBytes, segmentName } from "./segment.js";

const MiB = 1 << 20;
/** Small logs take little room; large ones few files. */
export const segmentBytesMin = 4 * MiB;
export const segmentBytesMax = 64 * MiB;
/** Written at once, by a thread of the pool. */
export const zeroStepBytes = 1 * MiB;
/** Synced at once: seldom enough that the flushes that meet such a sync are far fewer than one in a hundred. */
const zeroSyncBytes = 8 * MiB;

/** A file full of zeros. */
export interface ZeroedFile {
  readonly path: string;
  readonly file: number;
  readonly number: number;
  readonly size: number;
}

/** The size of the segment after so many bytes of log. */
export function nextSegmentBytes(logBytes: number): number {
  return Math.min(segmentBytesMax, Math.max(segmentBytesMin, Math.ceil(logBytes / MiB) * MiB));
}

export class Spare {
  readonly #disk: Disk;
  readonly #folder: string;
  #ready: Promise<ZeroedFile> | undefined;
  /** How much of the file should be zeroed by now, 0 to 1, and who waits for more to do. */
  #due = 0;
  #proceed: (() => void) | undefined;
  #cancelled = false;

  constructor(disk: Disk, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
  }

  get preparing(): boolean {
    return this.#ready !== undefined;
  }

  /** Begins to prepare a file, in the background, as far as `advance` says. */
  prepare(number: number, size: number): void {
    if (this.#ready !== undefined) return;
    this.#due = 0;
    this.#ready = this.#make(number, size);
    // Whoever takes it learns of a failure.
    this.#ready.catch(() => undefined);
  }

  /**
   * Lets the preparation go on until this part of the file, 0 to 1, is zeroed and synced. Called as the current segment
   * fills, so that zeros reach the disk no faster than they are needed and never queue up before a flush.
   */
  advance(due: number): void {
    if (due <= this.#due) return;
    this.#due = due;
    this.#proceed?.();
  }

  /** The file with this number, of at least so many bytes behind its header. A full disk gives `LOG_FULL`. */
  async take(number: number, size: number, roomMin: number): Promise<ZeroedFile> {
    this.prepare(number, size);
    this.advance(1);
    const ready = this.#ready!;
    try {
      let made = await ready;
      if (made.size - headerBytes < roomMin) {
        this.#remove(made);
        made = await this.#make(number, Math.ceil((roomMin + headerBytes) / MiB) * MiB);
      }
      return made;
    } finally {
      this.#ready = undefined;
    }
  }

  /** Removes what was prepared and not taken. */
  async discard(): Promise<void> {
    this.#cancelled = true;
    this.advance(1);
    const made = await this.#ready?.catch(() => undefined);
    if (made !== undefined) this.#remove(made);
    this.#ready = undefined;
  }

  async #make(number: number, size: number): Promise<ZeroedFile> {
    const disk = this.#disk;
    const path = join(this.#folder, segmentName(number));
    let file: number | undefined;
    try {
      file = disk.open(path, "create");
      const zeros = Buffer.alloc(zeroStepBytes);
      for (let at = 0; at < size && !this.#cancelled; at += zeroStepBytes) {
        while (at >= this.#due * size) await new Promise<void>((resolve) => (this.#proceed = resolve));
        await disk.writeLater(file, zeros, Math.min(zeroStepBytes, size - at), at);
        const done = at + zeroStepBytes;
        if (done % zeroSyncBytes === 0 || done >= size) await disk.syncLater(file);
      }
      disk.syncFolder(this.#folder);
      return { path, file, number, size };
    } catch (error) {
      if (file !== undefined) disk.close(file);
      disk.remove(path);
      throw spareError(error, path, size);
    }
  }

  #remove(made: ZeroedFile): void {
    this.#disk.close(made.file);
    this.#disk.remove(made.path);
  }
}

function spareError(error: unknown, path: string, size: number): LogError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new LogError(
      "LOG_FULL",
      `no room for the next ${size / MiB} MiB of the log (${path}); free some space and append again`,
      {
        outcome: "none",
        retryable: true,
        cause: error,
      },
    );
  }
  return new LogError("LOG_IO", `could not prepare ${path}: ${(error as Error).message}`, {
    outcome: "none",
    cause: error,
  });
}
