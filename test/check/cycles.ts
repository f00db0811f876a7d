/**
 * Cycles of transactions, and what they are called: transactions that took place one after the other form none. The names are those of
 * Adya, "Weak Consistency" (1999), as Kingsbury and Alvaro use them in "Elle" (VLDB 2020).
 */
import type { Edge, Graph, Kinds } from "./graph.js";
import { kinds } from "./graph.js";
import { show, tell } from "./history.js";
import type { Txn } from "./history.js";

const { ww, wr, rw, so, rt } = kinds;

/** From the worst to the least: what the first edge of a cycle is, and what the others are. */
const levels: readonly { readonly first: Kinds; readonly rest: Kinds }[] = [0, so, so | rt].flatMap((order) => [
  { first: ww, rest: ww | order },
  { first: wr, rest: ww | wr | order },
  { first: rw, rest: ww | wr | order },
  { first: rw, rest: ww | wr | rw | order },
]);

/**
 * One sentence for each set of transactions that depend on each other: the worst anomaly in it, on a short cycle. Then the set is put
 * aside: what is told of it may explain all else that is wrong with it.
 */
export function findCycles(graph: Graph, history: readonly Txn[]): string[] {
  const found: string[] = [];
  const left = new Set(graph.components(ww | wr | rw | so | rt).flat());
  for (const { first, rest } of levels) {
    if (left.size === 0) break;
    for (const component of graph.components(first | rest, left)) {
      const whole = graph.cycle(component, first, rest);
      if (whole === undefined) continue;
      const cycle = shorten(whole, history);
      for (const txn of component) left.delete(txn);
      const steps = cycle.map((edge) => explain(edge, history)).join("; ");
      const txns = cycle.map(({ from }) => from);
      found.push(tell(history, `${anomaly(cycle)}: ${steps}.`, txns));
    }
  }
  return found;
}

/**
 * The same cycle with as much of the way back as can be in one step of session order or real time. Those edges lead from each transaction
 * to the next ones only, so that a stale read long after the write would otherwise be told with all that happened in between.
 */
function shorten([first, ...back]: readonly Edge[], history: readonly Txn[]): Edge[] {
  const realTime = back.some(({ kind }) => kind === "rt");
  const sessionOrder = realTime || back.some(({ kind }) => kind === "so");
  const step = (from: number, to: number): Edge | undefined => {
    const [a, b] = [history[from]!, history[to]!];
    if (a.status !== "ok") return undefined;
    if (sessionOrder && a.process === b.process && from < to) return { from, to, kind: "so" };
    return realTime && a.end < b.start ? { from, to, kind: "rt" } : undefined;
  };
  const short = [first!];
  for (let i = 0; i < back.length; i++) {
    const { from } = back[i]!;
    const far = back.findLastIndex(({ to }, j) => j > i && step(from, to) !== undefined);
    short.push(far === -1 ? back[i]! : step(from, back[far]!.to)!);
    i = Math.max(i, far);
  }
  return short;
}

function anomaly(cycle: readonly Edge[]): string {
  const count = (kind: Edge["kind"]): number => cycle.filter((edge) => edge.kind === kind).length;
  const order = count("rt") > 0 ? " in real time" : count("so") > 0 ? " in session order" : "";
  if (count("rw") === 0) return count("wr") === 0 ? `G0${order} (dirty write)` : `G1c${order} (circular reads)`;
  if (count("rw") === 1) {
    if (order !== "") return `G-single${order} (stale read)`;
    const lost = cycle.length === 2 && count("ww") === 1 && cycle[0]!.key === cycle[1]!.key;
    return lost ? "G-single (lost update)" : "G-single (read skew)";
  }
  const adjacent = cycle.some(({ kind }, i) => kind === "rw" && cycle[(i + 1) % cycle.length]!.kind === "rw");
  return adjacent ? `G2${order} (write skew)` : `G-nonadjacent${order} (long fork)`;
}

function explain({ from, to, kind, key, before, after }: Edge, history: readonly Txn[]): string {
  switch (kind) {
    case "ww":
      return `T${from} wrote ${key}=${show(before)} before T${to} wrote ${show(after)}`;
    case "wr":
      return `T${from} wrote ${key}=${show(before)}, which T${to} read`;
    case "rw":
      return `T${from} read ${key}=${show(before)}, before T${to} wrote ${show(after)}`;
    case "so":
      return `T${from} came before T${to} in session ${history[from]!.process}`;
    case "rt":
      return `T${from} ended before T${to} began`;
  }
}
