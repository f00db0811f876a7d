/** What sessions did and saw, in the words of the checkers. */
import type { Op, Txn } from "../../check/history.js";
import type { Ran } from "./model.js";
import { lists } from "./sessions.js";

/** The part of a history that concerns registers or lists. */
export function txns(history: readonly Ran[], kind: "register" | "list"): Txn[] {
  const isList = (key: string): boolean => (lists as readonly string[]).includes(key);
  const inOrder = [...history].sort((a, b) => a.start - b.start);
  return inOrder.flatMap(({ process, steps, status, position, seqnum, start, end }) => {
    const ops: Op[] = [];
    const read = (key: string, value: { id: number; list: readonly number[] } | undefined): void => {
      ops.push({ f: "read", key, value: kind === "list" ? (value?.list ?? []) : value?.id });
    };
    for (const step of steps) {
      if (step.f === "find" || step.f === "scan") {
        for (const [key, value] of step.seen) if (isList(key) === (kind === "list")) read(key, value);
      } else if (isList(step.key) === (kind === "list")) {
        if (step.f === "get") read(step.key, step.seen);
        if (step.f === "put") ops.push({ f: "write", key: step.key, value: step.value.id });
        if (step.f === "update") {
          const { id } = step.change;
          const list = step.seen.list.slice(0, -1);
          // A register does not tell what was before the update, but where it is known.
          if (kind === "list") ops.push({ f: "read", key: step.key, value: list });
          else if (list.length > 0) ops.push({ f: "read", key: step.key, value: list.at(-1)! });
          ops.push(
            kind === "list" ? { f: "append", key: step.key, value: id } : { f: "write", key: step.key, value: id },
          );
        }
      }
    }
    if (ops.length === 0) return [];
    const facts = { ...(position === undefined ? {} : { position }), ...(seqnum === undefined ? {} : { seqnum }) };
    return [{ process, ops, status, ...facts, start, end }];
  });
}
