/** What is written on a command line, turned into values. A bad one is refused with the remedy. */
import { InvalidArgumentError, Option } from "commander";
import type { Condition, SeqNum } from "../core/index.js";

export function seqnum(text: string): SeqNum {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError("A seqnum is an integer from 0 to 2^53-1; boki read shows those of the records.");
  return value;
}

export function count(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError("Give an integer of 0 or more.");
  return value;
}

/** TAG@SEQNUM; the tag may have an @ itself. */
function condition(text: string, before: readonly Condition[] = []): Condition[] {
  const at = text.lastIndexOf("@");
  if (at < 1 || !/^\d+$/.test(text.slice(at + 1)))
    throw new InvalidArgumentError("Write TAG@SEQNUM, such as order:7@0 for: unless there is any record of order:7.");
  return [...before, { tag: text.slice(0, at), after: seqnum(text.slice(at + 1)) }];
}

/** A seqnum, or a time in ISO 8601. */
export function moment(text: string): { seqnum: SeqNum } | { time: number } {
  if (/^\d+$/.test(text)) return { seqnum: seqnum(text) };
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time))
    throw new InvalidArgumentError("Give a seqnum such as 4711, or a time such as 2026-01-31T09:30:00Z.");
  return { time };
}

/** Adds one more to a repeatable option. */
export function another(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

// Options that several commands have; each call makes one, because commander marks them.

export const bookOption = (): Option => new Option("-b, --book <name>", "name of the book").makeOptionMandatory();
export const tagOption = (): Option => new Option("-t, --tag <tag>", "only records with this tag");
export const jsonOption = (what: string): Option => new Option("--json", `print ${what} as JSON`);
export const unlessOption = (): Option =>
  new Option("-u, --unless <tag@seqnum>", "refuse if the tag has a record above the seqnum; may be repeated").argParser(
    condition,
  );
