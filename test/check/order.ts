/**
 * The order of sessions and of real time. An unknown transaction that took place did so after what came before its call, but possibly
 * long after its answer: it comes before nothing.
 */
import type { Graph } from "./graph.js";
import type { Txn } from "./history.js";

export function addSessionOrder(graph: Graph, history: readonly Txn[], happened: readonly boolean[]): void {
  const last = new Map<number, number>();
  history.forEach(({ process, status }, to) => {
    if (!happened[to]) return;
    const from = last.get(process);
    if (from !== undefined) graph.add({ from, to, kind: "so" });
    if (status === "ok") last.set(process, to);
  });
}

/** A transaction comes after those that ended before it began; an edge is left out where others already say so. */
export function addRealTime(graph: Graph, history: readonly Txn[], happened: readonly boolean[]): void {
  const began = [...history.keys()].filter((i) => happened[i]);
  const ended = began.filter((i) => history[i]!.status === "ok");
  began.sort((a, b) => history[a]!.start - history[b]!.start);
  ended.sort((a, b) => history[a]!.end - history[b]!.end);
  // The last ones that ended: what ended before one of them began comes before it anyway.
  let frontier: number[] = [];
  let next = 0;
  for (const to of began) {
    for (; next < ended.length && history[ended[next]!]!.end < history[to]!.start; next++) {
      const { start } = history[ended[next]!]!;
      frontier = frontier.filter((from) => history[from]!.end >= start);
      frontier.push(ended[next]!);
    }
    for (const from of frontier) graph.add({ from, to, kind: "rt" });
  }
}
