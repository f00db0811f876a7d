/**
 * The checkers against the definition: a history is fine when its transactions can be put into one order, true to sessions and to the log,
 * in which each reads what those before it left. Small histories are put into every order.
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { randomSource } from "../../core/testing.js";
import type { Op, Txn } from "./history.js";
import { checkListAppend } from "./list-append.js";
import { checkRegisters } from "./registers.js";

type Kind = "register" | "list";
const mutations = ["other version", "lost", "swapped", "sessions"] as const;
type Mutation = (typeof mutations)[number];
type State = ReadonlyMap<string, unknown>;

const runs = process.env["FULL"] === "1" ? 20 : 1;
const checkers = { register: checkRegisters, list: checkListAppend };

/** What a transaction does, and how far behind the latest state it reads, if it does not write. */
interface Plan {
  readonly process: number;
  readonly ops: readonly { readonly key: string; readonly writes: boolean }[];
  readonly behind: number;
  /** How much earlier it is called and later it is answered than it takes place. */
  readonly wait: readonly [number, number];
  /** Of unknown ones some take place. */
  readonly fate: "ok" | "failed" | "unknown, done" | "unknown, not done";
}

const allOk = fc.constant("ok" as const);
const anyFate = fc.constantFrom("ok", "ok", "ok", "ok", "failed", "unknown, done", "unknown, not done");

function plans(maxLength: number, keys: number, fate: fc.Arbitrary<Plan["fate"]>): fc.Arbitrary<Plan[]> {
  const op = fc.record({ key: fc.nat(keys - 1).map((i) => `k${i}`), writes: fc.boolean() });
  const plan = fc.record({
    process: fc.nat(2),
    ops: fc.array(op, { minLength: 1, maxLength: 4 }),
    behind: fc.nat(3),
    wait: fc.tuple(fc.nat(15), fc.nat(15)),
    fate,
  });
  return fc.array(plan, { minLength: 1, maxLength, size: "max" });
}

/** A store that runs one transaction after the other, and keeps all states that it was in. */
function run(kind: Kind, plans: readonly Plan[], { stale, log }: { stale: boolean; log: boolean }): Txn[] {
  const states: State[] = [new Map()];
  const seenBy = new Map<number, number>();
  return plans.map(({ process, ops, behind, wait: [before, after], fate }, i) => {
    const [status] = fate.split(",") as [Txn["status"]];
    const happens = fate === "ok" || fate === "unknown, done";
    const writer = ops.some(({ writes }) => writes);
    const latest = states.length - 1;
    const position = writer || !stale ? latest : Math.max(seenBy.get(process) ?? 0, latest - behind);
    const state = new Map(states[position]);
    const done = ops.map(({ key, writes }, n): Op => {
      if (!writes) return { f: "read", key, value: state.get(key) };
      const value = i * 10 + n;
      state.set(key, kind === "list" ? [...((state.get(key) as number[]) ?? []), value] : value);
      return { f: kind === "list" ? "append" : "write", key, value };
    });
    if (writer && happens) states.push(state);
    if (status === "ok") seenBy.set(process, writer ? latest + 1 : position);
    const facts = log ? { position, ...(writer && status === "ok" ? { seqnum: latest + 1 } : {}) } : {};
    return { process, ops: done, status, ...facts, start: i * 10 - before, end: i * 10 + after };
  });
}

/** Changes one thing that a history says, mostly to something else that it could have said. */
function mutate(history: readonly Txn[], kind: Kind, dice: () => number, changes: readonly Mutation[]): Txn[] {
  const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(dice() * from.length)];
  const txns = history.map((txn) => ({ ...txn, ops: [...txn.ops] }));
  const all = txns.flatMap(({ ops }) => ops.map((op, i) => ({ ops, op, i })));
  const reads = all.filter(({ op }) => op.f === "read");
  const read = pick(reads);
  const same = reads.filter(({ op }) => op.key === read?.op.key);
  const write = pick(all.filter(({ op }) => op.f !== "read"));
  const change = pick(changes);
  const set = ({ ops, op, i }: (typeof all)[number], value: unknown): void => {
    ops[i] = { f: "read", key: op.key, value };
  };
  if (change === "sessions") {
    const txn = pick(txns)!;
    txns[txns.indexOf(txn)] = { ...txn, process: Math.floor(dice() * 3) };
  } else if (change === "other version" && read !== undefined) {
    // Of a list often a part, which may be in no other read.
    const value = pick(same)!.op.value;
    const shorter = (list: readonly number[]): number[] => list.slice(0, Math.ceil(dice() * list.length));
    set(read, kind === "list" && value !== undefined ? shorter(value as number[]) : value);
  } else if (kind === "list" && write !== undefined && change === "lost") {
    for (const one of all.filter(({ op }) => op.f === "read" && op.key === write.op.key)) {
      const list = (one.op.value ?? []) as readonly number[];
      set(
        one,
        list.filter((value) => value !== write.op.value),
      );
    }
  } else if (kind === "list" && read !== undefined && change === "swapped") {
    const [a, b] = [pick((read.op.value ?? []) as number[]), pick((read.op.value ?? []) as number[])];
    for (const one of same) {
      const list = (one.op.value ?? []) as readonly number[];
      set(
        one,
        list.map((value) => (value === a ? b : value === b ? a : value)),
      );
    }
  } else if (kind === "register" && read !== undefined) {
    set(read, pick(all.filter(({ op }) => op.key === read.op.key))!.op.value);
  }
  return txns;
}

function isExplained(history: readonly Txn[], realtime: boolean): boolean {
  const mayHappen = [...history.keys()].filter((i) => history[i]!.status !== "failed");
  return canRun(history, mayHappen, new Map(), realtime);
}

/** Whether the transactions that are left can go on from a state, in some order. */
function canRun(history: readonly Txn[], left: readonly number[], state: State, realtime: boolean): boolean {
  // What is unknown may have happened or not.
  if (left.every((i) => history[i]!.status === "unknown")) return true;
  return left.some((i) => {
    const txn = history[i]!;
    const rest = left.filter((one) => one !== i);
    const mustWait = rest.some((one) => {
      const other = history[one]!;
      if (other.status === "unknown") return false;
      if (other.process === txn.process && one < i) return true;
      if (realtime && other.end < txn.start) return true;
      return txn.seqnum !== undefined && other.seqnum !== undefined && other.seqnum < txn.seqnum && meet(txn, other);
    });
    if (mustWait) return false;
    const after = apply(txn, state);
    return after !== undefined && canRun(history, rest, after, realtime);
  });
}

/** Whether two write to the same key, and so have an order in the log that counts. */
function meet(a: Txn, b: Txn): boolean {
  return a.ops.some(({ f, key }) => f !== "read" && b.ops.some((other) => other.f !== "read" && other.key === key));
}

/** The state behind a transaction; undefined if it would have read something else. */
function apply({ ops }: Txn, before: State): State | undefined {
  const state = new Map(before);
  for (const { f, key, value } of ops) {
    if (f === "write") state.set(key, value);
    else if (f === "append") state.set(key, [...((state.get(key) as number[]) ?? []), value]);
    else if (!isDeepStrictEqual(state.get(key) ?? [], value ?? [])) return undefined;
  }
  return state;
}

function parameters<T>(numRuns: number): fc.Parameters<T> {
  const seed = process.env["SEED"] === undefined ? {} : { seed: Number(process.env["SEED"]) };
  const path = process.env["FC_PATH"] === undefined ? {} : { path: process.env["FC_PATH"] };
  return { numRuns: numRuns * runs, ...seed, ...path };
}

for (const kind of ["register", "list"] as const) {
  const check = checkers[kind];

  describe(`the checker of histories with a ${kind} for each key`, function () {
    this.timeout(runs * 20_000);

    it("accepts what ran one after the other, also when readers lag, as long as sessions do not go back", () => {
      fc.assert(
        fc.property(plans(60, 4, anyFate), fc.boolean(), fc.boolean(), (plans, stale, log) => {
          assert.deepEqual(check(run(kind, plans, { stale, log }), { realtime: !stale }), []);
        }),
        parameters(300),
      );
    });

    it("finds every read of another version than that of its position", () => {
      let changed = 0;
      fc.assert(
        fc.property(plans(20, 2, allOk), fc.nat(), (plans, seed) => {
          const history = run(kind, plans, { stale: true, log: true });
          const other = mutate(history, kind, randomSource(seed), ["other version"]);
          const same = isDeepStrictEqual(other, history);
          if (!same) changed++;
          assert.equal(check(other).length === 0, same);
        }),
        parameters(300),
      );
      assert.ok(changed > 50, "some histories are changed");
    });

    it("finds fault with exactly those histories that no order explains", () => {
      const counts = { fine: 0, wrong: 0 };
      const arbitrary = fc.record({
        plans: fc.oneof(plans(7, 2, allOk), plans(7, 2, anyFate)),
        seed: fc.nat(),
        changes: fc.nat(3),
        realtime: fc.boolean(),
        log: fc.boolean(),
      });
      fc.assert(
        fc.property(arbitrary, ({ plans, seed, changes, realtime, log }) => {
          const dice = randomSource(seed);
          // Positions would say more than the definition asks for.
          let history = run(kind, plans, { stale: !realtime, log }).map(({ position: _, ...txn }): Txn => txn);
          for (let i = 0; i < changes; i++) history = mutate(history, kind, dice, mutations);
          const explained = isExplained(history, realtime);
          const faults = check(history, { realtime });
          // Without the seqnums of all who wrote, the order of a register is not known, and some anomalies are not seen.
          const exact = kind === "list" || (log && history.every(({ status }) => status !== "unknown"));
          if (exact) counts[explained ? "fine" : "wrong"]++;
          if (exact || explained) assert.equal(faults.length === 0, explained, faults.join("\n"));
        }),
        parameters(2000),
      );
      assert.ok(Math.min(counts.fine, counts.wrong) > 100, `histories of both sorts: ${JSON.stringify(counts)}`);
    });

    it("takes in 20,000 transactions, and finds the last one stale", () => {
      const random = randomSource(1);
      const state = new Map<string, unknown>();
      const history = Array.from({ length: 20_000 }, (_, i): Txn => {
        const [from, to] = [`k${Math.floor(random() * 200)}`, `k${Math.floor(random() * 200)}`];
        const ops: Op[] = [{ f: "read", key: from, value: state.get(from) }];
        ops.push({ f: kind === "list" ? "append" : "write", key: to, value: i });
        state.set(to, kind === "list" ? [...((state.get(to) as number[]) ?? []), i] : i);
        return { process: i % 20, ops, status: "ok", seqnum: i + 1, start: i - 10 * random(), end: i + 10 * random() };
      });
      assert.deepEqual(check(history, { realtime: true }), []);
      const stale: Op = { f: "read", key: "k0", value: undefined };
      const faults = check([...history, { process: 20, ops: [stale], status: "ok", start: 30_000, end: 30_001 }], {
        realtime: true,
      });
      assert.equal(faults.length, 1);
      assert.match(
        faults[0]!,
        /^G-single in real time \(stale read\): T20000 read k0=nothing, .* ended before T20000 began\.\n/,
      );
      assert.ok(faults[0]!.length < 2000, "it is told on a short cycle");
    });
  });
}
