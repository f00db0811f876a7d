/** The words of BokiStore that its collections and the transaction share. Durations are ms or strings such as "30s". */
import type { Draft } from "immer";
import type { Duration } from "./duration.js";

/** What an index computes from a value, and what is looked up in it. Told apart by type: 1, 1n and "1" are three. */
export type IndexValue = string | number | bigint | boolean | Date;

/**
 * An immer recipe: changes the draft, or gives a new value, not both. It may run several times, so it has no other effects.
 */
export type Recipe<T> = (draft: Mutable<T>) => Mutable<T> | T | undefined | void;

/** A value as a draft: all in it may be changed, also what its type calls readonly. */
export type Mutable<T> = Draft<T>;

export interface PutOptions {
  /** The object is gone so long after the log time of this change. Default: it stays. */
  readonly expiresIn?: Duration | undefined;
}

/** Of what is done outside a transaction. */
export interface Waiting {
  /** Ends the waiting with `LOG_ABORTED`; the change may still take place. */
  readonly signal?: AbortSignal | undefined;
}

export interface UpdateOptions<T> {
  /** What the recipe begins with where there is no object. */
  readonly initial?: T | undefined;
  /** Default: as before. `null`: the object expires no more. */
  readonly expiresIn?: Duration | null | undefined;
}

export interface ScanOptions {
  /** Only keys that begin so. */
  readonly prefix?: string | undefined;
  /** Only keys behind this one. */
  readonly after?: string | undefined;
  /** At most so many. */
  readonly limit?: number | undefined;
}

/** An object that was found. */
export interface Found<T> {
  readonly key: string;
  /** Frozen. */
  readonly value: T;
}
