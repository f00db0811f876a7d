/**
 * What a repair is about to leave out, in a file, so that it is told even when the repair is cut short: the next one may find nothing
 * of it any more. The file goes when all is done.
 */
import { join } from "node:path";
import type { Disk } from "./disk.js";

const name = "repair-unfinished.json";

export interface Notes {
  readonly lost: readonly string[];
  readonly changed: readonly string[];
}

/** Notes of a repair that was cut short; empty where there was none. */
export function readNotes(disk: Disk, folder: string): Notes {
  if (!disk.list(folder).includes(name)) return { lost: [], changed: [] };
  const file = disk.open(join(folder, name), "read");
  try {
    const bytes = Buffer.alloc(disk.size(file));
    disk.read(file, bytes, bytes.length, 0);
    return JSON.parse(bytes.toString()) as Notes;
  } finally {
    disk.close(file);
  }
}

/** Durable when it returns. */
export function writeNotes(disk: Disk, folder: string, notes: Notes): void {
  const path = join(folder, name);
  disk.remove(`${path}.tmp`);
  const bytes = Buffer.from(JSON.stringify(notes));
  const file = disk.open(`${path}.tmp`, "create");
  try {
    disk.write(file, bytes, bytes.length, 0);
    disk.sync(file);
  } finally {
    disk.close(file);
  }
  disk.rename(`${path}.tmp`, path);
  disk.syncFolder(folder);
}

export function removeNotes(disk: Disk, folder: string): void {
  disk.remove(join(folder, name));
  disk.syncFolder(folder);
}
