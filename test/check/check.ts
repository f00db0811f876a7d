/** What the checkers of lists and of registers share: what is known of a history, and how versions become dependencies. */
import { findCycles } from "./cycles.js";
import { Graph } from "./graph.js";
import { show, tell } from "./history.js";
import type { CheckOptions, Txn } from "./history.js";
import { addRealTime, addSessionOrder } from "./order.js";
import { tookPlace, Writes } from "./writes.js";

/** The versions of one key, and who read which. Version n is what the first n writes of the chain left; version 0 is nothing. */
export interface Versions {
  readonly key: string;
  /** In the order in which they took place. Without a transaction: nobody wrote it, or one that failed. */
  readonly chain: readonly { readonly txn: number | undefined; readonly value: unknown }[];
  readonly reads: readonly { readonly txn: number; readonly version: number }[];
  /** Writes of which no more is known than that they came after a version. */
  readonly loose: readonly { readonly txn: number; readonly value: unknown; readonly after: number }[];
}

/** Adds to the list that a map has for a key. */
export function addTo<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

export class Check {
  readonly history: readonly Txn[];
  readonly writes: Writes;
  readonly happened: readonly boolean[];
  readonly graph: Graph;
  readonly #faults: string[] = [];

  /** `valuesIn` gives the written values that what was read consists of. */
  constructor(history: readonly Txn[], valuesIn: (seen: unknown) => readonly unknown[]) {
    this.history = history;
    this.writes = new Writes(history);
    this.happened = tookPlace(history, this.writes, valuesIn);
    this.graph = new Graph(history.length);
    history.forEach(({ seqnum, position }, i) => {
      if (seqnum === undefined || position === undefined || seqnum > position) return;
      this.fault(`position: T${i} read at position ${position}, which is not before its own record at ${seqnum}.`, i);
    });
  }

  fault(sentence: string, ...txns: number[]): void {
    this.#faults.push(tell(this.history, sentence, txns));
  }

  /** Ends the check: all that was found. */
  end({ realtime = false }: CheckOptions): string[] {
    addSessionOrder(this.graph, this.history, this.happened);
    if (realtime) addRealTime(this.graph, this.history, this.happened);
    return [...this.#faults, ...findCycles(this.graph, this.history)];
  }

  seqnumOf(txn: number | undefined): number | undefined {
    return txn === undefined ? undefined : this.history[txn]!.seqnum;
  }

  /** Whether a value that was read was written by one that took place. */
  exists(reader: number, key: string, value: unknown): boolean {
    const writer = this.writes.of(key, value)?.txn;
    if (writer === undefined)
      this.fault(`unwritten: T${reader} read ${key}=${show(value)}, which nobody wrote.`, reader);
    else if (!this.happened[writer])
      this.fault(
        `G1a (aborted read): T${reader} read ${key}=${show(value)} of T${writer}, which failed.`,
        reader,
        writer,
      );
    else return true;
    return false;
  }

  /** Whether the writer of a value that exists was done with the key when another one read it. */
  complete(reader: number, key: string, value: unknown): boolean {
    const { txn: writer, last } = this.writes.of(key, value)!;
    const what = `T${reader} read ${key}=${show(value)}`;
    if (writer === reader) this.fault(`internal: ${what} before it wrote that itself.`, reader);
    else if (!last) this.fault(`G1b (intermediate read): ${what}, which T${writer} then replaced.`, reader, writer);
    else return true;
    return false;
  }

  /** What the versions of a key say about the order of transactions; and whether positions agree with what was read at them. */
  add({ key, chain, reads, loose }: Versions): void {
    const readers = new Map<number, number[]>();
    chain.forEach(({ txn: to, value: after }, i) => {
      const { txn: from, value: before } = chain[i - 1] ?? {};
      if (from !== undefined && to !== undefined) this.graph.add({ from, to, kind: "ww", key, before, after });
    });
    for (const { txn, version } of reads) {
      const { txn: writer, value: before } = chain[version - 1] ?? {};
      const { txn: next, value: after } = chain[version] ?? {};
      if (writer !== undefined) this.graph.add({ from: writer, to: txn, kind: "wr", key, before });
      if (next !== undefined) this.graph.add({ from: txn, to: next, kind: "rw", key, before, after });
      this.#checkPosition(txn, `${key}=${show(before)}`, writer, next);
      addTo(readers, version, txn);
    }
    for (const { txn: to, value: after, after: version } of loose) {
      const { txn: from, value: before } = chain[version - 1] ?? {};
      if (from !== undefined) this.graph.add({ from, to, kind: "ww", key, before, after });
      for (const from of readers.get(version) ?? []) this.graph.add({ from, to, kind: "rw", key, before, after });
    }
  }

  #checkPosition(reader: number, what: string, writer: number | undefined, next: number | undefined): void {
    const { position } = this.history[reader]!;
    if (position === undefined) return;
    const written = this.seqnumOf(writer) ?? 0;
    const replaced = this.seqnumOf(next) ?? Infinity;
    const sentence = `position: T${reader} read ${what} at position ${position}`;
    if (written > position) this.fault(`${sentence}, and T${writer} wrote it at ${written}.`, reader, writer!);
    if (replaced <= position) this.fault(`${sentence}, and T${next} had replaced it at ${replaced}.`, reader, next!);
  }
}
