/**
 * The one door to the file system, so that a test can put a disk under the log that fails, tears and forgets what was not
 * synced. Paths are absolute; positions and lengths are bytes. Errors are those of node:fs, with their `code`.
 *
 * real-disk.ts is the system's own, core/testing/fault-disk.ts the one for tests.
 */

import type { Duplex } from "node:stream";

export interface Disk {
  /**
   * Takes a folder, which exists, for this process. Rejects with `LOG_LOCKED` while another has it. `shares`: other processes may
   * use it through this one.
   */
  lock(path: string, shares?: boolean): Promise<DiskLock>;
  /** Makes a folder and those above it, durably. */
  makeFolder(path: string): void;
  list(path: string): string[];
  /** `"create"` fails if the file exists, `"update"` and `"read"` if it does not. */
  open(path: string, mode: "create" | "update" | "read"): number;
  close(file: number): void;
  size(file: number): number;
  /** Fills `target` from `position`; gives the bytes read, less only at the file's end. */
  read(file: number, target: Uint8Array, length: number, position: number): number;
  readLater(file: number, target: Uint8Array, length: number, position: number): Promise<number>;
  /** All of it, or an error. */
  write(file: number, source: Uint8Array, length: number, position: number): void;
  /** Makes the file so long: cut off, or with a hole that reads as zeros. */
  truncate(file: number, length: number): void;
  /** fdatasync. */
  sync(file: number): void;
  syncLater(file: number): Promise<void>;
  /** Makes creates, renames and removes in a folder durable. */
  syncFolder(path: string): void;
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** Gives a file a second name. Without it, or where it fails, files are copied. */
  link?(from: string, to: string): void;
  /** Removes an empty folder. Without it, one that was made in vain is left. */
  removeFolder?(path: string): void;
}

export interface DiskLock {
  /** Gives the connections of other processes to `welcome`. Only on a disk that other processes see. */
  share?(welcome: (guest: Duplex) => void): void;
  /** The path still leads to the folder that is locked. Where it is not there, it does. */
  isHeld?(): boolean;
  /** Gives the folder back. Idempotent. */
  release(): Promise<void>;
}

/** There is no room: on the disk, in a quota, or in a file, whose size the system or `ulimit -f` bounds. */
export function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
}

/** Moves up to `length` bytes between a file's `position` and the place `at` of a buffer; gives how many it moved. */
export type Transfer = (at: number, length: number, position: number) => number;

/** An operating system may write less than it was asked to: goes on until all of it is written. */
export function writeAll(write: Transfer, length: number, position: number): void {
  let done = 0;
  while (done < length) {
    const bytes = write(done, length - done, position + done);
    if (bytes === 0)
      throw Object.assign(new Error("EIO: the system wrote nothing, and gave no reason"), { code: "EIO" });
    done += bytes;
  }
}

/** The same for reading, which ends early at the end of the file. Gives the bytes read. */
export function readAll(read: Transfer, length: number, position: number): number {
  let done = 0;
  while (done < length) {
    const bytes = read(done, length - done, position + done);
    if (bytes === 0) break;
    done += bytes;
  }
  return done;
}
