/** What an examination of a log's files gives, and what may be asked of it. */
import type { Damage, Recovered } from "../../types.js";
import type { Position } from "../loglet.js";
import type { SegmentHeader } from "./header.js";
import type { Walked } from "./salvage.js";
import type { CheckpointSource, SegmentSource } from "./source.js";

/** Tells of a place that is not as it was written. */
export type Report = (
  file: string,
  offset: number,
  position: Position | undefined,
  what: string,
  harmless?: boolean,
) => void;

/** Positions that are in no file, both inclusive. */
export interface Gap {
  readonly from: Position;
  readonly to: Position;
  readonly path: string;
  readonly offset: number;
}

/** A segment as it was found. */
export interface SegmentFound extends Walked {
  readonly source: SegmentSource;
  /** What its header says; where that is damaged, what it must have said. */
  readonly header: SegmentHeader;
  /** Behind its last good frame. */
  readonly end: number;
  /** The position behind its last. */
  readonly next: Position;
  readonly damaged: boolean;
  readonly isLast: boolean;
  /** Something in it was left away, with all behind it. */
  readonly isCut: boolean;
}

export interface Findings {
  readonly logId: string;
  readonly durability: "disk" | "os";
  readonly damage: Damage[];
  readonly torn: Recovered | undefined;
  /** Entries were given back; the state begins with a checkpoint. */
  readonly released: boolean;
  /** The position of the state that the follower began with; 0 for none. */
  readonly start: Position;
  /** Log time of that state. */
  readonly startTime: number;
  /** `keep` has left something away. */
  readonly cut: boolean;
  /** The last position there is, and its time. */
  readonly position: Position;
  readonly time: number;
  readonly gaps: readonly Gap[];
  /** Checkpoints that hold. */
  readonly whole: readonly CheckpointSource[];
  /** Needed, and not there. */
  readonly missing: number;
  /** The states that were found say more than the entries that are there. */
  readonly isLess: boolean;
  /** Files behind the last one are missing. */
  readonly isCutOff: boolean;
}

export interface ExamineOptions {
  readonly start?: "oldest" | "newest";
  /** States to compare with beside those in files. */
  readonly states?: readonly { readonly what: string; readonly position: Position; readonly state: Buffer }[];
  /** False for the first entry that is left away with all behind it. */
  readonly keep?: (position: Position, time: number) => boolean;
  /** Called with each segment when it was walked over; its bytes may be changed then. */
  readonly each?: (found: SegmentFound) => void | Promise<void>;
}
