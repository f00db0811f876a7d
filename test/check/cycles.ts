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

/** One sentence for each set of transactions that depend on each other: the worst anomaly in it, on a short cycle. */
export function findCycles(graph: Graph, history: readonly Txn[]): string[] {
  const found: string[] = [];
  const told = new Set<number>();
  if (graph.components(ww | wr | rw | so | rt).length === 0) return found;
  for (const { first, rest } of levels) {
    for (const component of graph.components(first | rest)) {
      if (component.some((txn) => told.has(txn))) continue;
      const whole = graph.cycle(component, first, rest);
      if (whole === undefined) continue;
      const cycle = shorten(whole, history);
      for (const txn of component) told.add(txn);
      const steps = cycle.map((edge) => explain(edge, history)).join("; ");
      found.push(
        tell(
          history,
          `${anomaly(cycle)}: ${steps}.`,
          cycle.map(({ from }) => from),
        ),
      );
    }
  }
  return found;
}

/** Of the many transactions of a session, or of a stretch of time, between two on the cycle nobody wants to hear. */
function shorten(cycle: readonly Edge[], history: readonly Txn[]): Edge[] {
  const short: Edge[] = [];
  for (const edge of cycle) {
    const before = short.at(-1);
    const [from, to] = [before?.from ?? edge.from, edge.to];
    const inOrder = (kinds[before?.kind ?? "ww"] & (so | rt)) !== 0 && (kinds[edge.kind] & (so | rt)) !== 0;
    const sameSession = before?.kind === "so" && edge.kind === "so";
    if (inOrder && sameSession) short.splice(-1, 1, { from, to, kind: "so" });
    else if (inOrder && history[from]!.end < history[to]!.start) short.splice(-1, 1, { from, to, kind: "rt" });
    else short.push(edge);
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
