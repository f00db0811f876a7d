/**
 * A copy of a log as of one position, made while it goes on. Segments are never changed in place once they are full, so those are
 * linked: no bytes are copied, and room that the log gives back stays where the backup holds it. What is copied is the last
 * segment up to the position, and the checkpoints. The file `backup.json` comes last: without it, it is no backup.
 */
import { basename, join } from "node:path";
import { corruptError, LogError } from "../../errors.js";
import { Pace } from "../../pace.js";
import type { BackedUp, LongOptions } from "../../types.js";
import type { Position } from "../loglet.js";
import { CopyFolder } from "./copy.js";
import type { Disk } from "./disk.js";
import { decodeHeader, headerBytes } from "./header.js";
import { type LogSource, sourceBytes } from "./source.js";

export const backupName = "backup.json";
const kind = "boki backup";
const version = 1;
/** With these a link cannot be made, and a copy can. */
const noLink = new Set(["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EACCES", "ENOENT"]);

/** The files of an open log at one position; they stay as they are. */
export interface Held {
  readonly source: LogSource;
  readonly id: string;
  readonly position: Position;
}

/** What a backup says of itself. */
export interface BackupFacts {
  readonly id: string;
  readonly position: Position;
  /** Log time of its last entry. */
  readonly time: number;
  readonly records: number;
  readonly bytes: number;
}

export async function backupLog(
  disk: Disk,
  { source, id, position }: Held,
  directory: string,
  facts: { readonly records: number; readonly time: number },
  options: LongOptions,
): Promise<BackedUp> {
  const bytes = sourceBytes(disk, source);
  const pace = new Pace(bytes, options);
  const folder = CopyFolder.begin(disk, directory);
  try {
    for (const { path, file, end } of source.segments) {
      const name = basename(path);
      if (end === undefined) {
        const size = disk.size(file);
        if (link(disk, path, join(directory, name))) await pace.add(size);
        else await folder.copy(file, name, size, size, pace);
      } else {
        const page = Buffer.alloc(headerBytes);
        disk.read(file, page, headerBytes, 0);
        const header = decodeHeader(page, path);
        if (header === undefined) throw corruptError(path, 0, "its header is damaged");
        await folder.copy(file, name, end, header.size, pace);
      }
      pace.check();
    }
    for (const { path, file } of source.checkpoints) {
      const size = disk.size(file);
      await folder.copy(file, basename(path), size, size, pace);
    }
    pace.check();
    const { records, time } = facts;
    folder.finish(
      backupName,
      `${JSON.stringify({ kind, version, id, position, time, records, bytes }, undefined, 2)}\n`,
    );
    pace.end();
    return { records, bytes, position };
  } catch (error) {
    folder.discard();
    throw error;
  }
}

function link(disk: Disk, from: string, to: string): boolean {
  if (disk.link === undefined) return false;
  try {
    disk.link(from, to);
    return true;
  } catch (error) {
    if (noLink.has((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

/** What the backup in a folder says of itself; undefined where it is no backup, but perhaps a log. */
export function readBackup(disk: Disk, folder: string, names: readonly string[]): BackupFacts | undefined {
  if (!names.includes(backupName)) return undefined;
  const path = join(folder, backupName);
  const file = disk.open(path, "read");
  try {
    const bytes = Buffer.alloc(disk.size(file));
    disk.read(file, bytes, bytes.length, 0);
    const facts = JSON.parse(bytes.toString("utf8")) as BackupFacts & { kind: unknown; version: unknown };
    if (facts.kind === kind && facts.version === version && Number.isSafeInteger(facts.position)) return facts;
    if (facts.kind === kind && typeof facts.version === "number" && facts.version > version)
      throw new LogError("LOG_VERSION", `${path} has format ${facts.version}; use a newer boki`);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  } finally {
    disk.close(file);
  }
  throw corruptError(path, 0, "it is not what a backup says of itself");
}
