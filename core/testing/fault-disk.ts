/**
 * A disk in memory that does to a log what real ones do on bad days: it loses what was not synced when the power goes, fails
 * calls, is full, and moves less than it was asked to. All its choices come from a seed.
 *
 *      const disk = new FaultDisk({ seed: 7 });
 *      const log = await openLog("file:/log", { disk });
 *      ...
 *      const next = disk.powerLoss();                       the disk as the next boot finds it
 *      const again = await openLog("file:/log", { disk: next });
 *
 * D1  What a sync of a file reported durable is there after every power loss, and so is every name whose folder was synced.
 * D2  What was not synced is kept or lost by chance: each page of 4 KiB (or some of its sectors), each size, each name.
 * D3  The same seed and the same calls give the same disk. A call is one call of the operating system.
 *
 * Files are in fault-file.ts, names in fault-names.ts, what is to fail in fault-plan.ts.
 */
import { basename, dirname } from "node:path";
import { LogError } from "../errors.js";
import { readAll, writeAll, type Disk, type DiskLock } from "../loglet/file/disk.js";
import { pageBytes, type FaultFile } from "./fault-file.js";
import { FaultNames } from "./fault-names.js";
import { FaultPlan, systemError, type DiskOperation } from "./fault-plan.js";
import { randomSource } from "./random.js";

export interface FaultDiskOptions {
  /** Where all chance comes from. Default 0. */
  readonly seed?: number | undefined;
  /** Room for so many bytes, in pages of 4 KiB. Default: no bound. */
  readonly capacityBytes?: number | undefined;
  /** Reads and writes move less than asked for, as an operating system may; who calls goes on with the rest. */
  readonly shortTransfers?: boolean | undefined;
  /** Syncs report success and make nothing durable: a test of the test that is done with this disk. */
  readonly lies?: boolean | undefined;
}

interface OpenFile {
  readonly path: string;
  readonly file: FaultFile;
  readonly writable: boolean;
}

export class FaultDisk implements Disk {
  /** Bytes that there is room for; may be changed at any time. */
  capacityBytes: number;
  readonly #options: FaultDiskOptions;
  readonly #random: () => number;
  #names = new FaultNames();
  #folders = new Set<string>(["/"]);
  readonly #open = new Map<number, OpenFile>();
  readonly #locks = new Set<string>();
  #lastFile = 2;
  #plan = new FaultPlan(0);

  constructor(options: FaultDiskOptions = {}) {
    this.#options = options;
    this.#random = randomSource(options.seed ?? 0);
    this.capacityBytes = options.capacityBytes ?? Infinity;
  }

  /** Calls so far. */
  get operations(): number {
    return this.#plan.operations;
  }

  /** False once the power is gone: every call fails. */
  get powered(): boolean {
    return this.#plan.powered;
  }

  /** Bytes that files take, in whole pages. Holes take none. */
  get usedBytes(): number {
    const files = new Set(this.#names.files());
    for (const { file } of this.#open.values()) files.add(file);
    let pages = 0;
    for (const file of files) pages += file.pages;
    return pages * pageBytes;
  }

  // What to do to it

  /** The next call of an operation fails with a code such as "EIO", or the one after so many that succeed. */
  failNext(
    operation: DiskOperation,
    code: string,
    options: { readonly after?: number | undefined; readonly times?: number | undefined } = {},
  ): void {
    this.#plan.order(operation, code, options.after ?? 0, options.times ?? 1);
  }

  /** The power goes in the middle of the call after so many more: it and all others fail. */
  cutPowerAfter(operations: number): void {
    this.#plan.cutPowerAfter(operations);
  }

  /**
   * The power is gone: every call of this disk fails from now on. Gives the disk as the next boot finds it; called again,
   * what it might have found as well.
   */
  powerLoss(): FaultDisk {
    const next = this.#successor();
    next.#names = this.#names.afterPowerLoss(this.#random);
    return next;
  }

  /**
   * The process is gone, the system goes on: every call of this disk fails from now on. Gives the disk as the next process
   * finds it, with all that was written, of which a later power loss may still take what was not synced.
   */
  kill(): FaultDisk {
    const next = this.#successor();
    next.#names = this.#names;
    return next;
  }

  #successor(): FaultDisk {
    this.#plan.powered = false;
    const seed = Math.floor(this.#random() * 2 ** 32);
    const next = new FaultDisk({ ...this.#options, seed, capacityBytes: this.capacityBytes });
    next.#folders = new Set(this.#folders);
    // Versions of files go by the count of calls.
    next.#plan = new FaultPlan(this.#plan.operations);
    return next;
  }

  // Disk

  async lock(path: string): Promise<DiskLock> {
    return this.#call("lock", path, () => {
      if (this.#locks.has(path)) {
        throw new LogError("LOG_LOCKED", `${path} is open in this process by another way`, { retryable: true });
      }
      this.#locks.add(path);
      return { release: async () => void this.#locks.delete(path) };
    });
  }

  makeFolder(path: string): void {
    this.#call("makeFolder", path, () => {
      for (let folder = path; !this.#folders.has(folder); folder = dirname(folder)) {
        if (this.#names.get(folder) !== undefined) throw systemError("EEXIST", "makeFolder", folder);
        this.#folders.add(folder);
      }
    });
  }

  list(path: string): string[] {
    return this.#call("list", path, () => {
      this.#checkFolder("list", path);
      const inside = [...this.#names.paths(), ...this.#folders].filter(
        (name) => dirname(name) === path && name !== path,
      );
      return inside.map((name) => basename(name)).sort();
    });
  }

  open(path: string, mode: "create" | "update" | "read"): number {
    const open = (): number => {
      this.#checkFolder("open", dirname(path));
      const found = this.#names.get(path);
      if (mode === "create" && found !== undefined) throw systemError("EEXIST", "open", path);
      if (mode !== "create" && found === undefined) throw systemError("ENOENT", "open", path);
      const file = found ?? this.#names.create(path);
      this.#open.set(++this.#lastFile, { path, file, writable: mode !== "read" });
      return this.#lastFile;
    };
    return this.#call("open", path, open);
  }

  close(file: number): void {
    this.#call("close", this.#path(file), () => {
      this.#opened("close", file);
      this.#open.delete(file);
    });
  }

  size(file: number): number {
    return this.#call("size", this.#path(file), () => this.#opened("size", file).file.size);
  }

  read(file: number, target: Uint8Array, length: number, position: number): number {
    const read = (at: number, count: number, from: number): number =>
      this.#call("read", this.#path(file), () =>
        this.#opened("read", file).file.read(target, at, this.#some(count), from),
      );
    return readAll(read, length, position);
  }

  async readLater(file: number, target: Uint8Array, length: number, position: number): Promise<number> {
    await nextTurn();
    return this.read(file, target, length, position);
  }

  write(file: number, source: Uint8Array, length: number, position: number): void {
    const write = (at: number, count: number, to: number): number => {
      const put = (bytes: number): number => {
        const { path, file: opened } = this.#opened("write", file, true);
        const free = Math.max(0, Math.floor((this.capacityBytes - this.#usedIfBounded()) / pageBytes));
        const written = opened.write(source.subarray(at), bytes, to, free, this.#plan.operations);
        if (written === 0) throw systemError("ENOSPC", "write", path);
        return written;
      };
      // A write that fails may have written a part.
      const part = (): void => {
        const bytes = Math.floor(Math.max(0, this.#random() * 2 - 1) * (count + 1));
        if (bytes > 0) put(bytes);
      };
      return this.#call("write", this.#path(file), () => put(this.#some(count)), part);
    };
    writeAll(write, length, position);
  }

  truncate(file: number, length: number): void {
    const truncate = (): void => this.#opened("truncate", file, true).file.truncate(length, this.#plan.operations);
    this.#call("truncate", this.#path(file), truncate);
  }

  sync(file: number): void {
    this.#sync(file, Infinity);
  }

  async syncLater(file: number): Promise<void> {
    // What is written while it runs is not in it.
    const upTo = this.#plan.operations;
    await nextTurn();
    this.#sync(file, upTo);
  }

  syncFolder(path: string): void {
    this.#call("syncFolder", path, () => {
      this.#checkFolder("syncFolder", path);
      if (this.#options.lies !== true) this.#names.sync(path);
    });
  }

  rename(from: string, to: string): void {
    const rename = (): void => {
      const file = this.#names.get(from);
      if (file === undefined) throw systemError("ENOENT", "rename", from);
      this.#checkFolder("rename", dirname(to));
      this.#names.rename(from, to, file);
    };
    this.#call("rename", from, rename);
  }

  remove(path: string): void {
    const remove = (): void => {
      if (this.#names.get(path) !== undefined) this.#names.remove(path);
    };
    this.#call("remove", path, remove);
  }

  link(from: string, to: string): void {
    const link = (): void => {
      const file = this.#names.get(from);
      if (file === undefined) throw systemError("ENOENT", "link", from);
      if (this.#names.get(to) !== undefined) throw systemError("EEXIST", "link", to);
      this.#checkFolder("link", dirname(to));
      this.#names.link(to, file);
    };
    this.#call("link", from, link);
  }

  #sync(file: number, upTo: number): void {
    const sync = (): void => {
      const { file: opened } = this.#opened("sync", file);
      if (this.#options.lies !== true) opened.sync(upTo);
    };
    const fail = (): void => {
      // When the power goes, any part of it may have been written, which powerLoss() decides.
      if (this.#plan.powered) this.#opened("sync", file).file.failSync(this.#random);
    };
    this.#call("sync", this.#path(file), sync, fail);
  }

  /**
   * One call. `failing` is what one that fails has done all the same, in part; without it, a call that was under way when
   * the power went has happened or not, and one that was ordered to fail has not.
   */
  #call<T>(operation: DiskOperation, path: string, act: () => T, failing?: () => unknown): T {
    const failure = this.#plan.next(operation, path);
    if (failure === undefined) return act();
    const { error, underWay } = failure;
    try {
      if (underWay && failing !== undefined) failing();
      else if (underWay && !this.#plan.powered && this.#random() < 0.5) act();
    } catch {
      // It would have failed anyhow.
    }
    throw error;
  }

  /** How much of a transfer one call does. */
  #some(count: number): number {
    return this.#options.shortTransfers === true ? 1 + Math.floor(this.#random() ** 0.3 * count) : count;
  }

  #usedIfBounded(): number {
    return this.capacityBytes === Infinity ? 0 : this.usedBytes;
  }

  #opened(operation: DiskOperation, file: number, writing = false): OpenFile {
    const open = this.#open.get(file);
    if (open === undefined || (writing && !open.writable)) throw systemError("EBADF", operation, this.#path(file));
    return open;
  }

  #path(file: number): string {
    return this.#open.get(file)?.path ?? `file ${file}`;
  }

  #checkFolder(operation: DiskOperation, path: string): void {
    if (this.#folders.has(path)) return;
    throw systemError(this.#names.get(path) === undefined ? "ENOENT" : "ENOTDIR", operation, path);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
