/**
 * S1: random transactions from several sessions, checked twice: by a replay through a map in the order of the log, which
 * must explain every read, find and scan; and by the cycle checkers, which know nothing of the store.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Op, Txn } from "../../check/history.js";
import { checkListAppend } from "../../check/list-append.js";
import { checkRegisters } from "../../check/registers.js";
import { randomSource } from "../../../core/testing.js";
import { explain, type Ran } from "./model.js";
import { lists, Sessions, type SessionsOptions } from "./sessions.js";
import { withoutConditions } from "./tapped-book.js";

const full = process.env["FULL"] === "1";
const asked = process.env["SEED"];
const rounds = asked !== undefined ? 1 : full ? 10 : 2;
const perStrand = full ? 150 : 40;
const firstSeed = asked !== undefined ? Number(asked) : Date.now() % 1_000_000;

type Variant = Partial<Omit<SessionsOptions, "random" | "url">> & {
  readonly disk?: boolean;
  readonly reopen?: boolean;
};

/** Each is a way in which a store might go wrong. */
const variants: Readonly<Record<string, Variant>> = {
  "in memory": {},
  "on disk": { disk: true },
  "without aux data": { open: { auxBytes: 0 }, padding: 2000, cacheBytes: 65_536 },
  "with few objects open at once": { disk: true, padding: 8000, cacheBytes: 65_536 },
  "opened again in the middle": { disk: true, reopen: true },
  "with a session that does not know the indexes": { older: true },
  "while checkpoints are written and nothing is retained": { retain: "0s" },
  "on disk, while nothing is retained and few objects are open": {
    disk: true,
    retain: "0s",
    padding: 8000,
    cacheBytes: 65_536,
    reopen: true,
  },
};

let names = 0;

/** Runs sessions, and gives what they did and saw. */
async function run(seed: number, { disk = false, reopen = false, ...options }: Variant): Promise<Ran[]> {
  const folder = disk ? mkdtempSync(join(tmpdir(), "boki-proof-")) : undefined;
  const url = folder === undefined ? `memory:proof-${process.pid}-${++names}` : `file:${folder}`;
  const sessions = new Sessions({ url, sessions: 3, random: randomSource(seed), ...options });
  try {
    await sessions.open();
    for (let left = reopen ? 3 : 1; left > 0; left--) {
      await sessions.run(4, Math.ceil(perStrand / (reopen ? 3 : 1)));
      if (left === 1) break;
      await sessions.close();
      await sessions.open();
    }
  } finally {
    await sessions.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
  return sessions.history;
}

/** The part of a history that concerns registers or lists, in the words of the checkers. */
function txns(history: readonly Ran[], kind: "register" | "list"): Txn[] {
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

describe("S1 random transactions of three sessions with four strands each", function () {
  this.timeout(rounds * 60_000);

  async function everyRound(variant: Variant, check: (history: Ran[]) => void): Promise<void> {
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
      try {
        check(await run(seed, variant));
      } catch (error) {
        throw new Error(`SEED=${seed} makes the same choices: ${(error as Error).message}`, { cause: error });
      }
    }
  }

  for (const [name, variant] of Object.entries(variants)) {
    it(`are explained by their order in the log, ${name}`, async () => {
      await everyRound(variant, (history) => {
        assert.deepEqual(explain(history).faults, []);
        const conflicts = history.filter(({ status }) => status === "failed").length;
        assert.ok(conflicts < history.length / 4, `${conflicts} of ${history.length} came to nothing`);
      });
    });
  }

  it("have no cycle of dependencies", async () => {
    await everyRound({ deletes: false }, (history) => {
      assert.deepEqual(checkRegisters(txns(history, "register")), []);
      assert.deepEqual(checkListAppend(txns(history, "list")), []);
      assert.deepEqual(explain(history).faults, []);
    });
  });

  it("are found out by each of the three checks when commits have no conditions", async () => {
    const found = { explain: 0, registers: 0, lists: 0 };
    for (let seed = 1; seed <= 3; seed++) {
      const history = await run(seed, { deletes: false, taps: withoutConditions });
      if (explain(history).faults.length > 0) found.explain++;
      if (checkRegisters(txns(history, "register")).length > 0) found.registers++;
      if (checkListAppend(txns(history, "list")).length > 0) found.lists++;
    }
    assert.deepEqual(found, { explain: 3, registers: 3, lists: 3 });
  });
});
