/**
 * Checks a history of transactions that append numbers to lists and read them. A list tells in which order it was written, so that the
 * order of versions is what the longest read shows, whatever the store says; the log must agree with it.
 */
import { addTo, Check } from "./check.js";
import type { Versions } from "./check.js";
import { show } from "./history.js";
import type { CheckOptions, Txn } from "./history.js";
import type { Write } from "./writes.js";

/** What a transaction saw of others: the first `length` elements of a list; its own follow. */
interface Read {
  readonly txn: number;
  readonly list: readonly number[];
  readonly length: number;
}

type Version = Versions["chain"][number];

interface Latest {
  readonly txn: number;
  readonly seqnum: number;
}

/** What is wrong with a history: sentences that name the transactions; none when it is serializable in the order of its sessions. */
export function checkListAppend(history: readonly Txn[], options: CheckOptions = {}): string[] {
  const check = new Check(history, listIn);
  const reads = outsideReads(check);
  for (const key of new Set([...check.writes.keys(), ...reads.keys()])) checkKey(check, key, reads.get(key) ?? []);
  return check.end(options);
}

/** A list that does not exist is an empty one. */
function listIn(seen: unknown): readonly number[] {
  return (seen ?? []) as readonly number[];
}

/** By key, one for each transaction; and whether transactions see their own appends, and see the same whenever they look. */
function outsideReads(check: Check): Map<string, Read[]> {
  const reads = new Map<string, Read[]>();
  check.history.forEach(({ ops }, txn) => {
    if (!check.happened[txn]) return;
    const own = new Map<string, number[]>();
    const seen = new Map<string, Read>();
    for (const op of ops) {
      const appended = own.get(op.key) ?? [];
      if (op.f !== "read") {
        own.set(op.key, [...appended, op.value as number]);
        continue;
      }
      const list = listIn(op.value);
      const length = list.length - appended.length;
      const read = seen.get(op.key) ?? { txn, list, length };
      if (!appended.every((value, i) => list[length + i] === value)) {
        check.fault(`internal: T${txn} read ${op.key}=${show(list)} after it had appended ${show(appended)}.`, txn);
      } else if (read.length !== length || !isPrefix({ txn, list, length }, read)) {
        check.fault(`internal: T${txn} read ${op.key}=${show(read.list)} and then ${show(list)}.`, txn);
      } else if (!seen.has(op.key)) {
        seen.set(op.key, read);
        addTo(reads, op.key, read);
      }
    }
  });
  return reads;
}

function isPrefix(read: Read, of: Read): boolean {
  for (let i = 0; i < read.length; i++) if (read.list[i] !== of.list[i]) return false;
  return read.length <= of.length;
}

function checkKey(check: Check, key: string, reads: readonly Read[]): void {
  const longest = reads.reduce<Read | undefined>(
    (best, read) => (read.length > (best?.length ?? -1) ? read : best),
    undefined,
  );
  const placed: { txn: number; version: number }[] = [];
  if (longest !== undefined) checkElements(check, key, longest);
  for (const read of reads) {
    const { txn, list, length } = read;
    const last = list[length - 1];
    if (!isPrefix(read, longest!)) {
      const other = `T${longest!.txn} read ${show(longest!.list)}`;
      check.fault(`incompatible order: T${txn} read ${key}=${show(list)}, and ${other}.`, txn, longest!.txn);
      checkElements(check, key, read);
    } else if (check.writes.of(key, last) === undefined || check.complete(txn, key, last)) {
      placed.push({ txn, version: length });
    }
  }
  const { chain, latest } = readVersions(check, key, longest);
  const { behind, loose } = unreadVersions(check, key, longest, latest);
  check.add({ key, chain: [...chain, ...behind], reads: placed, loose });
}

/** Every element was appended, by one that took place, and is there once. */
function checkElements(check: Check, key: string, { txn, list, length }: Read): void {
  const values = new Set<number>();
  for (const value of list.slice(0, length)) {
    check.exists(txn, key, value);
    if (values.has(value)) check.fault(`duplicate: T${txn} read ${key}=${show(list)}, with ${value} twice.`, txn);
    values.add(value);
  }
}

/** What the longest read shows, and the latest in the log among those who wrote it. */
function readVersions(check: Check, key: string, longest: Read | undefined): { chain: Version[]; latest: Latest } {
  const chain: Version[] = [];
  let latest: Latest = { txn: -1, seqnum: -Infinity };
  let before: Write | undefined;
  for (const value of longest?.list.slice(0, longest.length) ?? []) {
    const write = check.writes.of(key, value);
    const happened = write !== undefined && check.happened[write.txn];
    chain.push({ txn: happened ? write.txn : undefined, value });
    if (!happened) continue;
    const { txn, n } = write;
    const reader = longest!.txn;
    const sentence = `in ${key} as T${reader} read it, ${value} of T${txn}`;
    if (before?.txn === txn && before.n > n) {
      check.fault(`internal order: ${sentence} is behind ${show(before.value)}, appended later.`, reader, txn);
    }
    before = write;
    const seqnum = check.seqnumOf(txn) ?? latest.seqnum;
    if (seqnum < latest.seqnum) {
      const other = `T${latest.txn} wrote at ${latest.seqnum}`;
      check.fault(`log order: ${sentence} at ${seqnum} is behind what ${other}.`, reader, txn, latest.txn);
    } else if (seqnum > latest.seqnum) latest = { txn, seqnum };
  }
  return { chain, latest };
}

/** What the longest read does not show: behind it, in the order of the log, or in no order that is known. */
function unreadVersions(
  check: Check,
  key: string,
  longest: Read | undefined,
  latest: Latest,
): { behind: Version[]; loose: Versions["loose"] } {
  const read = longest === undefined ? [] : longest.list.slice(0, longest.length);
  const inRead = new Set<unknown>(read);
  const behind: (Version & { readonly seqnum: number })[] = [];
  const loose: Versions["loose"][number][] = [];
  for (const { txn, value } of check.writes.to(key)) {
    if (!check.happened[txn] || inRead.has(value)) continue;
    const seqnum = check.seqnumOf(txn);
    if (seqnum !== undefined && seqnum >= latest.seqnum) {
      behind.push({ txn, value, seqnum });
      continue;
    }
    loose.push({ txn, value, after: read.length });
    if (seqnum === undefined) continue;
    const reader = longest!.txn;
    const lost = `lost append: T${txn} appended ${show(value)} to ${key} at ${seqnum}, and T${reader} read ${show(read)}`;
    check.fault(`${lost}, with what T${latest.txn} wrote at ${latest.seqnum}.`, txn, reader, latest.txn);
  }
  behind.sort((a, b) => a.seqnum - b.seqnum);
  return { behind, loose };
}
