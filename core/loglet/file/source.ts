/** The files of a log to be read, nothing else: those of a folder, or what an open log shows of itself. */
import { join } from "node:path";
import { LogError } from "../../errors.js";
import type { Position } from "../loglet.js";
import { checkpointName, checkpointPosition } from "./checkpoints.js";
import { listFolder, unfinishedError, unfinishedName } from "./copy.js";
import type { Disk } from "./disk.js";
import { segmentName, segmentNumber } from "./header.js";

export interface SegmentSource {
  readonly path: string;
  readonly number: number;
  readonly file: number;
  /** It takes appends and is good up to here; undefined for a file that nobody writes. */
  readonly end: number | undefined;
}

export interface CheckpointSource {
  readonly path: string;
  readonly position: Position;
  readonly file: number;
}

export interface LogSource {
  readonly folder: string;
  /** In order. */
  readonly segments: readonly SegmentSource[];
  /** Ascending. */
  readonly checkpoints: readonly CheckpointSource[];
}

/** Opens the files of a folder for reading. `LOG_NOT_A_LOG` where there is no log. */
export function openSource(disk: Disk, folder: string): LogSource {
  const names = listFolder(disk, folder) ?? [];
  if (names.includes(unfinishedName)) throw unfinishedError(folder);
  const numbers = names.flatMap((name) => segmentNumber(name) ?? []).sort((a, b) => a - b);
  if (numbers.length === 0)
    throw new LogError("LOG_NOT_A_LOG", `there is no log in ${folder}; give the folder of a log, or of a backup`);
  const positions = names.flatMap((name) => checkpointPosition(name) ?? []).sort((a, b) => a - b);
  const files: number[] = [];
  const open = (path: string): number => {
    const file = disk.open(path, "read");
    files.push(file);
    return file;
  };
  try {
    const segments = numbers.map((number) => {
      const path = join(folder, segmentName(number));
      return { path, number, file: open(path), end: undefined };
    });
    return { folder, segments, checkpoints: openCheckpoints(disk, folder, positions) };
  } catch (error) {
    for (const file of files) disk.close(file);
    throw error;
  }
}

export function openCheckpoints(disk: Disk, folder: string, positions: readonly Position[]): CheckpointSource[] {
  return positions.map((position) => {
    const path = join(folder, checkpointName(position));
    return { path, position, file: disk.open(path, "read") };
  });
}

export function closeSource(disk: Disk, { segments, checkpoints }: LogSource): void {
  for (const { file } of [...segments, ...checkpoints]) disk.close(file);
}

/** Bytes to be read. */
export function sourceBytes(disk: Disk, { segments, checkpoints }: LogSource): number {
  return (
    segments.reduce((sum, { file, end }) => sum + (end ?? disk.size(file)), 0) +
    checkpoints.reduce((sum, { file }) => sum + disk.size(file), 0)
  );
}
