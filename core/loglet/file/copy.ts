/**
 * A folder that is being filled with a copy of a log. While it is not whole, a file says so, and nobody opens it; when it fails,
 * what was made is removed again.
 */
import { dirname, join } from "node:path";
import { LogError } from "../../errors.js";
import type { Pace } from "../../pace.js";
import { type Disk, isFull } from "./disk.js";

/** Is there as long as a copy is not whole. */
export const unfinishedName = "unfinished.json";
const copyBytes = 1 << 20;

export class CopyFolder {
  readonly path: string;
  readonly #disk: Disk;
  readonly #wasThere: boolean;

  private constructor(disk: Disk, path: string, wasThere: boolean) {
    this.#disk = disk;
    this.path = path;
    this.#wasThere = wasThere;
  }

  /** Takes an absent or empty folder; `LOG_NOT_A_LOG` for any other. */
  static begin(disk: Disk, path: string): CopyFolder {
    const names = listFolder(disk, path)?.filter((name) => name !== "lost+found");
    if (names !== undefined && names.length > 0) {
      const some = names.slice(0, 3).join(", ") + (names.length > 3 ? ", ..." : "");
      throw new LogError("LOG_NOT_A_LOG", `${path} is not empty (${some}); give an empty or a new folder`);
    }
    if (names === undefined) disk.makeFolder(path);
    const folder = new CopyFolder(disk, path, names !== undefined);
    try {
      folder.write(unfinishedName, Buffer.from("{}\n"));
      disk.syncFolder(path);
    } catch (error) {
      folder.discard();
      throw error;
    }
    return folder;
  }

  /** A small file, synced. */
  write(name: string, bytes: Uint8Array): void {
    const disk = this.#disk;
    const file = disk.open(join(this.path, name), "create");
    try {
      disk.write(file, bytes, bytes.length, 0);
      disk.sync(file);
    } finally {
      disk.close(file);
    }
  }

  /** The first `length` bytes of an open file as a file that is `size` long, synced. */
  async copy(from: number, name: string, length: number, size: number, pace: Pace): Promise<void> {
    await copyFile(this.#disk, from, join(this.path, name), length, size, pace);
  }

  /** The copy is whole. With `text`, the file that says so is left. */
  finish(name?: string, text?: string): void {
    const disk = this.#disk;
    // All that is in it first.
    disk.syncFolder(this.path);
    if (name !== undefined && text !== undefined) {
      this.write(`${name}.tmp`, Buffer.from(text));
      disk.rename(join(this.path, `${name}.tmp`), join(this.path, name));
    }
    disk.remove(join(this.path, unfinishedName));
    disk.syncFolder(this.path);
  }

  /** Removes what was made; the mark of what is not whole last. */
  discard(): void {
    const disk = this.#disk;
    try {
      const names = disk.list(this.path).filter((name) => name !== "lost+found");
      for (const name of names) if (name !== unfinishedName) disk.remove(join(this.path, name));
      disk.remove(join(this.path, unfinishedName));
      if (!this.#wasThere) disk.removeFolder?.(this.path);
      disk.syncFolder(this.#wasThere ? this.path : dirname(this.path));
    } catch {
      // What made the copy fail is told, and what is left says of itself that it is not whole.
    }
  }
}

export async function copyFile(
  disk: Disk,
  from: number,
  to: string,
  length: number,
  size: number,
  pace: Pace | undefined,
): Promise<void> {
  const file = disk.open(to, "create");
  try {
    const chunk = Buffer.allocUnsafe(copyBytes);
    for (let at = 0; at < length;) {
      const bytes = disk.read(from, chunk, Math.min(chunk.length, length - at), at);
      if (bytes === 0) break;
      disk.write(file, chunk, bytes, at);
      at += bytes;
      await disk.syncLater(file);
      await pace?.add(bytes);
    }
    if (size > length) disk.truncate(file, size);
    await disk.syncLater(file);
  } finally {
    disk.close(file);
  }
}

/** What is in a folder; undefined where there is none. */
export function listFolder(disk: Disk, folder: string): string[] | undefined {
  try {
    return disk.list(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code !== "ENOTDIR") throw error;
    throw new LogError("LOG_NOT_A_LOG", `${folder} is a file; give a folder`, { cause: error });
  }
}

export function unfinishedError(folder: string): LogError {
  return new LogError(
    "LOG_NOT_A_LOG",
    `${folder} is a backup or a restored log that was not finished (it has ${unfinishedName}); remove it and make it again`,
  );
}

/** A fault of the operating system in the words of the log. */
export function copyError(error: unknown, folder: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  // Errors of the system are named so; others of Node have an underscore.
  if (error instanceof LogError || !/^E[A-Z0-9]+$/.test(code ?? "")) return error;
  if (isFull(error))
    return new LogError("LOG_FULL", `no room in ${folder}; free some space`, { retryable: true, cause: error });
  return new LogError("LOG_IO", `reading or writing ${folder} failed: ${message}`, { cause: error });
}
