/** Every bound of the log, with unit and reason. Shown to users as `log.limits`. */
import type { Limits } from "./types.js";

const KiB = 1024;
const MiB = 1024 * KiB;

export const limits: Limits = Object.freeze({
  /** Bytes of one record's data: larger values belong in a file or in several records. */
  recordBytes: 16 * MiB,
  /** UTF-8 bytes of a tag: its length is one byte on disk. */
  tagBytes: 255,
  /** Tags of one record. */
  tagsPerRecord: 1024,
  /** Conditions of one record. */
  conditionsPerRecord: 1024,
  /** UTF-8 bytes of all tags and conditions of one record, so that headers stay cheap to read. */
  headerBytes: 64 * KiB,
  /** UTF-8 bytes of a book's name. */
  bookNameBytes: 255,
  /** Encoded bytes in flight: handed to the loglet at once. The others wait in call order (one large record may exceed it). */
  batchBytes: 1 * MiB,
  /** Entries in flight. */
  batchEntries: 16_384,
  /** Records in one `appendAll`. */
  appendAllEntries: 65_536,
});

/** Default bytes of the record cache. */
export const defaultCacheBytes = 32 * MiB;
/** Default bytes of the aux cache. */
export const defaultAuxBytes = 16 * MiB;
/** How long a call to a server may take, ms: longer than it needs to come back after a crash. */
export const defaultTimeoutMs = 30_000;
/** Positions that one engine can index: postings are u32 ordinals. */
export const ordinalsMax = 2 ** 32 - 2;
