/**
 * The one door to the file system, so that a test can put a disk under the log that fails, tears and forgets what was not
 * synced. Paths are absolute; positions and lengths are bytes. Errors are those of node:fs, with their `code`.
 */
import fs from "node:fs";
import { dirname } from "node:path";

export interface Disk {
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

const flags = { create: "wx+", update: "r+", read: "r" } as const;

export const realDisk: Disk = Object.freeze({
  makeFolder(path: string): void {
    const made = fs.mkdirSync(path, { recursive: true });
    if (made === undefined) return;
    for (let folder = path; folder.length >= made.length; folder = dirname(folder)) this.syncFolder(dirname(folder));
  },
  list: (path: string) => fs.readdirSync(path),
  open: (path: string, mode: keyof typeof flags) => fs.openSync(path, flags[mode], 0o644),
  close: (file: number) => fs.closeSync(file),
  size: (file: number) => fs.fstatSync(file).size,
  read(file: number, target: Uint8Array, length: number, position: number): number {
    let done = 0;
    while (done < length) {
      const bytes = fs.readSync(file, target, done, length - done, position + done);
      if (bytes === 0) break;
      done += bytes;
    }
    return done;
  },
  readLater: (file: number, target: Uint8Array, length: number, position: number) =>
    new Promise<number>((resolve, reject) => {
      fs.read(file, target, 0, length, position, (error, bytes) => (error === null ? resolve(bytes) : reject(error)));
    }),
  write(file: number, source: Uint8Array, length: number, position: number): void {
    let done = 0;
    while (done < length) done += fs.writeSync(file, source, done, length - done, position + done);
  },
  truncate: (file: number, length: number) => fs.ftruncateSync(file, length),
  sync: (file: number) => fs.fdatasyncSync(file),
  syncLater: (file: number) =>
    new Promise<void>((resolve, reject) => fs.fdatasync(file, (error) => (error === null ? resolve() : reject(error)))),
  syncFolder(path: string): void {
    // Windows cannot open a folder; its file systems journal names by themselves.
    if (process.platform === "win32") return;
    const folder = fs.openSync(path, "r");
    try {
      fs.fsyncSync(folder);
    } finally {
      fs.closeSync(folder);
    }
  },
  rename: (from: string, to: string) => fs.renameSync(from, to),
  remove: (path: string) => fs.rmSync(path, { force: true }),
  link: (from: string, to: string) => fs.linkSync(from, to),
  removeFolder: (path: string) => fs.rmdirSync(path),
});
