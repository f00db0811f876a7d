/** Histories of transactions as those who ran them saw them: what the checkers beside this file take. */
import { inspect } from "node:util";

export type Op =
  | { readonly f: "read"; readonly key: string; readonly value: unknown }
  | { readonly f: "write"; readonly key: string; readonly value: unknown }
  | { readonly f: "append"; readonly key: string; readonly value: number };

/**
 * One transaction. Reads carry what was seen: a number or `undefined` in a register, an array of numbers in a list. No two writes to a
 * key have the same value, so that a value tells who wrote it.
 */
export interface Txn {
  /** The session that ran it. The transactions of a session stand in the history in the order in which it ran them, one at a time. */
  readonly process: number;
  readonly ops: readonly Op[];
  /** "unknown" may have happened or not; when somebody reads what it wrote, it did. */
  readonly status: "ok" | "failed" | "unknown";
  /** Of its record, when it wrote. Transactions that share a record took place in the order of the history. */
  readonly seqnum?: number;
  /** All that is at or below it was visible to the reads, and nothing else. */
  readonly position?: number;
  /** When it was called and answered, by any clock or counter that all sessions share. */
  readonly start: number;
  readonly end: number;
}

export interface CheckOptions {
  /** Also demand that a transaction sees all that ended before it began (strict serializability). */
  readonly realtime?: boolean;
}

/** A sentence about transactions, followed by what each of them did. */
export function tell(history: readonly Txn[], sentence: string, txns: readonly number[]): string {
  return [sentence, ...[...new Set(txns)].map((i) => `  ${describe(history, i)}`)].join("\n");
}

function describe(history: readonly Txn[], i: number): string {
  const { process, status, seqnum, position, ops } = history[i]!;
  const facts = [`session ${process}`];
  if (status !== "ok") facts.push(status);
  if (position !== undefined) facts.push(`position ${position}`);
  if (seqnum !== undefined) facts.push(`seqnum ${seqnum}`);
  const verbs = { read: "read", write: "wrote", append: "appended" };
  return `T${i} (${facts.join(", ")}): ${ops.map(({ f, key, value }) => `${verbs[f]} ${key}=${show(value)}`).join(", ")}`;
}

/** A value for people. Of a long list the beginning and the end. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (!Array.isArray(value)) return inspect(value);
  const parts = value.map((one) => inspect(one));
  if (parts.length > 10) parts.splice(3, parts.length - 8, "…");
  return `[${parts.join(" ")}]`;
}
