/**
 * Checks a history of transactions that write and read registers. A register shows only the last value, so that the order of versions is
 * taken from the log: the seqnums of those who wrote.
 */
import { addTo, Check } from "./check.js";
import { show } from "./history.js";
import type { CheckOptions, Txn } from "./history.js";

interface Read {
  readonly txn: number;
  readonly value: unknown;
}

/** What is wrong with a history: sentences that name the transactions; none when it is serializable in the order of its sessions. */
export function checkRegisters(history: readonly Txn[], options: CheckOptions = {}): string[] {
  const check = new Check(history, (value) => [value]);
  const reads = outsideReads(check);
  for (const key of new Set([...check.writes.keys(), ...reads.keys()])) checkKey(check, key, reads.get(key) ?? []);
  return check.end(options);
}

/** By key, one for each transaction; and whether transactions see their own writes, and see the same whenever they look. */
function outsideReads(check: Check): Map<string, Read[]> {
  const reads = new Map<string, Read[]>();
  check.history.forEach(({ ops }, txn) => {
    if (!check.happened[txn]) return;
    const known = new Map<string, { readonly verb: string; readonly value: unknown }>();
    for (const { f, key, value } of ops) {
      const before = known.get(key);
      if (f === "read" && before !== undefined) {
        if (before.value === value) continue;
        const sentence = `T${txn} read ${key}=${show(value)} after it had ${before.verb} ${show(before.value)}`;
        check.fault(`internal: ${sentence}.`, txn);
        continue;
      }
      known.set(key, { verb: f === "read" ? "read" : "written", value });
      if (f !== "read") continue;
      addTo(reads, key, { txn, value });
    }
  });
  return reads;
}

function checkKey(check: Check, key: string, reads: readonly Read[]): void {
  const writes = check.writes.to(key).filter(({ txn, last }) => last && check.happened[txn]);
  const chain = writes.filter(({ txn }) => check.seqnumOf(txn) !== undefined);
  chain.sort((a, b) => check.seqnumOf(a.txn)! - check.seqnumOf(b.txn)!);
  const versions = new Map<unknown, number>([[undefined, 0]]);
  chain.forEach(({ value }, i) => versions.set(value, i + 1));

  const placed: { txn: number; version: number }[] = [];
  const seenBy = new Map<number, unknown>();
  for (const { txn, value } of reads) {
    seenBy.set(txn, value);
    const version = versions.get(value);
    if (value !== undefined && !(check.exists(txn, key, value) && check.complete(txn, key, value))) continue;
    if (version !== undefined) placed.push({ txn, version });
    else check.graph.add({ from: check.writes.of(key, value)!.txn, to: txn, kind: "wr", key, before: value });
  }

  // Who wrote without a seqnum that is known wrote later than what it had read itself, if it had.
  const loose = writes
    .filter(({ txn }) => check.seqnumOf(txn) === undefined)
    .map(({ txn, value }) => ({ txn, value, after: versions.get(seenBy.get(txn)) ?? 0 }));
  check.add({ key, chain, reads: placed, loose });
}
