/**
 * Histories as text, for tests. A line is a transaction: its session, what is known of it, and what it did.
 *
 *     1 failed #7 @5 10-20: r x=1, w y=2         session 1, seqnum 7, read at position 5, from 10 to 20
 *     2: r x=[1 2], a x=3                        r, w and a are read, write and append; "-" is nothing
 */
import assert from "node:assert/strict";
import type { Op, Txn } from "./history.js";

const line =
  /^(?<process>\d+)( (?<status>failed|unknown))?( #(?<seqnum>\d+))?( @(?<position>\d+))?( (?<start>\d+)-(?<end>\d+))?: (?<ops>.*)$/;
const names = { r: "read", w: "write", a: "append" } as const;

export function parse(text: string): Txn[] {
  return text
    .split("\n")
    .map((one) => one.trim())
    .filter((one) => one !== "")
    .map(parseLine);
}

function parseLine(text: string): Txn {
  const parts = line.exec(text)?.groups;
  assert.ok(parts !== undefined, `not a transaction: ${text}`);
  const { process, status = "ok", seqnum, position, start = "0", end = "0", ops } = parts;
  return {
    process: Number(process),
    status: status as Txn["status"],
    ...(seqnum === undefined ? {} : { seqnum: Number(seqnum) }),
    ...(position === undefined ? {} : { position: Number(position) }),
    start: Number(start),
    end: Number(end),
    ops: ops!.split(", ").map(parseOp),
  };
}

function parseOp(text: string): Op {
  const [, f, key, value] = /^([rwa]) (\w+)=(\S+|\[.*\])$/.exec(text) ?? [];
  assert.ok(key !== undefined && value !== undefined, `not an operation: ${text}`);
  return { f: names[f as keyof typeof names], key, value: parseValue(value) as number };
}

function parseValue(text: string): unknown {
  if (text === "-") return undefined;
  if (text.startsWith("[")) return text.match(/\d+/g)?.map(Number) ?? [];
  return Number(text);
}
