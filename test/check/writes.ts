/** Who wrote which value, and which transactions took place. */
import assert from "node:assert/strict";
import { show } from "./history.js";
import type { Txn } from "./history.js";

export interface Write {
  /** The place of the transaction in the history. */
  readonly txn: number;
  /** The place of the operation in the transaction. */
  readonly n: number;
  readonly value: unknown;
  /** Whether it is the last one of its transaction to its key, which is what others may see. */
  last: boolean;
}

export class Writes {
  readonly #keys = new Map<string, Map<unknown, Write>>();

  constructor(history: readonly Txn[]) {
    history.forEach((txn, i) => this.#add(txn, i));
  }

  keys(): Iterable<string> {
    return this.#keys.keys();
  }

  of(key: string, value: unknown): Write | undefined {
    return this.#keys.get(key)?.get(value);
  }

  /** In the order of the history, and inside a transaction in the order of its operations. */
  to(key: string): Write[] {
    return [...(this.#keys.get(key)?.values() ?? [])];
  }

  #add({ ops }: Txn, txn: number): void {
    const last = new Map<string, Write>();
    for (const [n, op] of ops.entries()) {
      if (op.f === "read") continue;
      const write: Write = { txn, n, value: op.value, last: true };
      const values = this.#keys.get(op.key) ?? new Map<unknown, Write>();
      const other = values.get(op.value);
      assert.ok(op.value !== undefined, `T${txn} writes a value to ${op.key}`);
      assert.ok(
        other === undefined,
        `T${other?.txn} and T${txn} write different values to ${op.key}, not both ${show(op.value)}`,
      );
      this.#keys.set(op.key, values.set(op.value, write));
      const before = last.get(op.key);
      if (before !== undefined) before.last = false;
      last.set(op.key, write);
    }
  }
}

/** Which transactions took place: those that succeeded, and unknown ones of which one that took place has read something. */
export function tookPlace(
  history: readonly Txn[],
  writes: Writes,
  valuesIn: (seen: unknown) => readonly unknown[],
): boolean[] {
  const happened = history.map(({ status }) => status === "ok");
  if (!history.some(({ status }) => status === "unknown")) return happened;
  const todo = [...history.keys()].filter((i) => happened[i]);
  // The array grows while it is walked.
  for (const i of todo) {
    for (const op of history[i]!.ops) {
      if (op.f !== "read") continue;
      for (const value of valuesIn(op.value)) {
        const writer = writes.of(op.key, value)?.txn;
        if (writer === undefined || happened[writer] || history[writer]!.status === "failed") continue;
        happened[writer] = true;
        todo.push(writer);
      }
    }
  }
  return happened;
}
