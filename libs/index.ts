/** The door of the package. */
export { LogError, openLog, repair, restore, verify } from "../core/index.js";
export type {
  AppendInput,
  AppendOptions,
  AppendResult,
  Appended,
  BackedUp,
  Clock,
  Condition,
  ConditionalAppendOptions,
  Damage,
  Disk,
  DiskLock,
  Durability,
  HeadOnly,
  Limits,
  Log,
  LogBook,
  LogErrorCode,
  LogErrorOptions,
  LogRecord,
  LogStats,
  LongOptions,
  OpenOptions,
  Outcome,
  Progress,
  ReadNextOptions,
  ReadOptions,
  ReadPrevOptions,
  RecordHead,
  Recovered,
  Refused,
  Repaired,
  RestoreOptions,
  Restored,
  SeqNum,
  Subscriber,
  Subscription,
  TrimOptions,
  Verified,
} from "../core/index.js";
export { jsonCodec, messagePackCodec, type Codec } from "./codec.js";
export type { Duration } from "./duration.js";
export {
  StoreConflictError,
  StoreDamagedError,
  StoreError,
  StoreInvalidError,
  StoreNotFoundError,
  StoreUniqueError,
  type StoreErrorCode,
} from "./errors.js";
export type { Found, IndexValue, Mutable, PutOptions, Recipe, ScanOptions, UpdateOptions, Waiting } from "./objects.js";
export { transaction, type Transaction, type TransactionOptions } from "./transaction.js";
export type { Collection, CollectionOptions } from "./store/collection.js";
export type { BuildOptions, BuildProgress } from "./store/index-build.js";
export type { IndexBy, IndexOption } from "./store/indexes.js";
export type { Change, HistoryOptions, ObjectVersion, WatchOptions } from "./store/past.js";
export type { Migrate } from "./store/schema.js";
export { BokiStore, type Snapshot, type StoreOptions } from "./store/store.js";
