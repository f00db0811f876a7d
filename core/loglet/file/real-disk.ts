/** The file system of the operating system. */
import fs from "node:fs";
import { dirname } from "node:path";
import { readAll, writeAll, type Disk } from "./disk.js";
import { FolderLock } from "./lock.js";

const flags = { create: "wx+", update: "r+", read: "r" } as const;

export const realDisk: Disk = Object.freeze({
  lock: (path: string, shares?: boolean) => FolderLock.acquire(path, shares),
  makeFolder(path: string): void {
    const made = fs.mkdirSync(path, { recursive: true });
    if (made === undefined) return;
    for (let folder = path; folder.length >= made.length; folder = dirname(folder)) this.syncFolder(dirname(folder));
  },
  list: (path: string) => fs.readdirSync(path),
  open: (path: string, mode: keyof typeof flags) => fs.openSync(path, flags[mode], 0o644),
  close: (file: number) => fs.closeSync(file),
  size: (file: number) => fs.fstatSync(file).size,
  read: (file: number, target: Uint8Array, length: number, position: number) =>
    readAll((at, count, from) => fs.readSync(file, target, at, count, from), length, position),
  readLater(file: number, target: Uint8Array, length: number, position: number): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      const goOn = (done: number): void =>
        fs.read(file, target, done, length - done, position + done, (error, bytes) => {
          if (error !== null) reject(error);
          else if (bytes === 0 || done + bytes === length) resolve(done + bytes);
          else goOn(done + bytes);
        });
      goOn(0);
    });
  },
  write: (file: number, source: Uint8Array, length: number, position: number) =>
    writeAll((at, count, to) => fs.writeSync(file, source, at, count, to), length, position),
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
