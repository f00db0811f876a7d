/** The only door of the core. */
export { openLog } from "./open.js";
export { repair, restore, verify } from "./maintenance.js";
export { LogError } from "./errors.js";
export type { LogErrorCode, LogErrorOptions, Outcome } from "./errors.js";
export type { Disk, DiskLock } from "./loglet/file/disk.js";
export type * from "./types.js";

// For what is built on the log, not exported from the package.
export { onAbort, orAborted } from "./abort.js";
export {
  checkBoolean,
  checkBytes,
  checkName,
  checkOptions,
  checkSeqNum,
  checkSignal,
  checkTimeout,
  show,
} from "./check.js";
export { abortedError, closedError } from "./errors.js";
