/** The ways to look after the folder of a log that is not open: verify, repair, restore. */
import { resolve } from "node:path";
import { checkOptions, checkSeqNum, checkSignal, show } from "./check.js";
import { Audit } from "./engine/audit.js";
import { LogError } from "./errors.js";
import { backupName } from "./loglet/file/backup.js";
import { copyError, listFolder } from "./loglet/file/copy.js";
import type { Disk, DiskLock } from "./loglet/file/disk.js";
import { realDisk } from "./loglet/file/real-disk.js";
import { repairLog } from "./loglet/file/repair.js";
import { restoreLog } from "./loglet/file/restore.js";
import { closeSource, openSource } from "./loglet/file/source.js";
import { verifySource } from "./loglet/file/verify.js";
import type { LongOptions, Repaired, Restored, RestoreOptions, Verified } from "./types.js";
import { folderOf } from "./url.js";

const longOptions = new Set(["signal", "onProgress", "disk"]);
const restoreOptions = new Set([...longOptions, "at"]);

/** A disk in the place of the real one, for tests. */
interface OnDisk {
  readonly disk?: Disk | undefined;
}

/**
 * Reads the whole log in a folder that nobody has open, and checks it: checksums, order, and that the checkpoints say what the
 * records say. Changes nothing. Lists all damage that it finds.
 *
 * `url` is `file:DIR`, or the path of a folder; a backup can be verified too. Rejects with `LOG_LOCKED` when somebody has it open
 * (`log.verify()` is for that), `LOG_NOT_A_LOG`, `LOG_VERSION`, `LOG_ABORTED`, `LOG_IO`.
 */
export async function verify(url: string, options: LongOptions & OnDisk = {}): Promise<Verified> {
  checkLong("verify", options, longOptions);
  const { disk = realDisk } = options;
  return locked(disk, folderOf(url), async (folder) => {
    const source = openSource(disk, folder);
    try {
      return await verifySource(disk, source, new Audit(), options);
    } finally {
      closeSource(disk, source);
    }
  });
}

/**
 * Makes the log in a folder open again after `LOG_CORRUPT`, as far as that can be: leaves out what does not hold, and says what
 * is lost. The old files stay beside the new ones as `NAME.before-repair`. Changes nothing when nothing is wrong.
 *
 * Go back to a backup where there is one. Rejects as `verify` does, and with `LOG_FULL`.
 */
export async function repair(url: string, options: LongOptions & OnDisk = {}): Promise<Repaired> {
  checkLong("repair", options, longOptions);
  const { disk = realDisk } = options;
  return locked(disk, folderOf(url), (folder) => repairLog(disk, folder, () => new Audit(), options));
}

/**
 * Makes a new log in `to`, an empty or absent folder, of a backup or of the folder of a log that nobody has open; with `at`, as it
 * was at a seqnum or a log time. Seqnums, times and conditions stay; the log's id is a new one, so that sessions of the old one are
 * not taken for its own.
 *
 * Rejects with `LOG_CORRUPT` where `from` is damaged, `LOG_TRIMMED` where what is asked for was given back, `LOG_NOT_A_LOG` where
 * `from` is none or `to` is not empty, RangeError for a seqnum behind the end, `LOG_LOCKED`, `LOG_ABORTED`, `LOG_FULL`, `LOG_IO`.
 */
export async function restore(from: string, to: string, options: RestoreOptions & OnDisk = {}): Promise<Restored> {
  checkLong("restore", options, restoreOptions);
  checkAt(options.at);
  const { disk = realDisk, ...rest } = options;
  const target = resolve(folderOf(to));
  const work = (folder: string): Promise<Restored> => restoreLog(disk, folder, target, new Audit(), rest);
  const folder = folderOf(from);
  // A backup is written by nobody, and may lie where no lock can.
  const isBackup = listFolder(disk, resolve(folder))?.includes(backupName) === true;
  return isBackup
    ? work(resolve(folder)).catch((error: unknown) => Promise.reject(copyError(error, target)))
    : locked(disk, folder, work);
}

/** Calls `work` while nobody else can open the folder. */
async function locked<T>(disk: Disk, directory: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = resolve(directory);
  if (listFolder(disk, folder) === undefined)
    throw new LogError("LOG_NOT_A_LOG", `there is no folder ${folder}; give the folder of a log`);
  let lock: DiskLock | undefined;
  try {
    lock = await disk.lock(folder);
    return await work(folder);
  } catch (error) {
    throw copyError(error, folder);
  } finally {
    await lock?.release();
  }
}

function checkLong(what: string, options: LongOptions, allowed: ReadonlySet<string>): void {
  checkOptions(what, options ?? null, allowed);
  checkSignal("signal", options.signal);
  if (options.onProgress !== undefined && typeof options.onProgress !== "function")
    throw new TypeError(`onProgress must be a function, not ${show(options.onProgress)}`);
}

function checkAt(at: unknown): void {
  if (at === undefined) return;
  if (typeof at === "object" && at !== null) {
    const { seqnum, time } = at as { seqnum?: unknown; time?: unknown };
    if (seqnum !== undefined && time === undefined) return checkSeqNum("at.seqnum", seqnum);
    if (typeof time === "number" && seqnum === undefined && Number.isFinite(time)) return;
  }
  throw new TypeError(`at must be { seqnum } or { time } (ms since 1970), not ${show(at)}`);
}
