/** A graph of what must have come before what, and the search for cycles in it. */

/**
 * Why one transaction comes before another. `ww`: it wrote the version that the other one replaced. `wr`: the other one read what it
 * wrote. `rw`: the other one replaced what it had read. `so`: it came first in its session. `rt`: it ended before the other one began.
 */
export const kinds = { ww: 1, wr: 2, rw: 4, so: 8, rt: 16 } as const;

/** A set of kinds, as the sum of their numbers. */
export type Kinds = number;

export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly kind: keyof typeof kinds;
  readonly key?: string;
  /** What was there first: the version that was read or replaced. */
  readonly before?: unknown;
  /** What was written in its place. */
  readonly after?: unknown;
}

export class Graph {
  readonly out: readonly Edge[][];

  constructor(size: number) {
    this.out = Array.from({ length: size }, () => []);
  }

  /** Nothing depends on itself. */
  add(edge: Edge): void {
    if (edge.from !== edge.to) this.out[edge.from]!.push(edge);
  }

  /** The sets of more than one node in which each can be reached from each over these kinds of edges (Tarjan's algorithm). */
  components(allowed: Kinds): number[][] {
    const size = this.out.length;
    const number = new Int32Array(size);
    const lowest = new Int32Array(size);
    const nextEdge = new Int32Array(size);
    const waiting = new Uint8Array(size);
    const stack: number[] = [];
    const found: number[][] = [];
    let count = 0;
    for (let root = 0; root < size; root++) {
      // The path is kept here and not in calls of a function, since it can be as long as the history.
      const path = number[root] === 0 ? [root] : [];
      while (path.length > 0) {
        const node = path.at(-1)!;
        if (number[node] === 0) {
          number[node] = lowest[node] = ++count;
          waiting[node] = 1;
          stack.push(node);
        }
        const edge = this.out[node]![nextEdge[node]!++];
        if (edge !== undefined) {
          if ((allowed & kinds[edge.kind]) === 0) continue;
          if (number[edge.to] === 0) path.push(edge.to);
          else if (waiting[edge.to] === 1) lowest[node] = Math.min(lowest[node]!, number[edge.to]!);
          continue;
        }
        path.pop();
        const parent = path.at(-1);
        if (parent !== undefined) lowest[parent] = Math.min(lowest[parent]!, lowest[node]!);
        if (lowest[node] !== number[node]) continue;
        const component = stack.splice(stack.lastIndexOf(node));
        for (const one of component) waiting[one] = 0;
        if (component.length > 1) found.push(component);
      }
    }
    return found;
  }

  /**
   * A shortest cycle inside a component: an edge of one of the kinds `first`, and a way back over the kinds `rest`. In a large component
   * only some first edges are tried, so that a history full of faults takes no longer than a good one.
   */
  cycle(component: readonly number[], first: Kinds, rest: Kinds): Edge[] | undefined {
    const inside = new Set(component);
    let best: Edge[] | undefined;
    let tries = 0;
    for (const node of component) {
      for (const edge of this.out[node]!) {
        if ((first & kinds[edge.kind]) === 0 || !inside.has(edge.to)) continue;
        if (best?.length === 2 || ++tries > 100) return best;
        const back = this.#path(edge.to, edge.from, inside, rest);
        if (back !== undefined && back.length + 1 < (best?.length ?? Infinity)) best = [edge, ...back];
      }
    }
    return best;
  }

  #path(from: number, to: number, inside: ReadonlySet<number>, allowed: Kinds): Edge[] | undefined {
    const via = new Map<number, Edge>();
    const queue = [from];
    // The array grows while it is walked.
    for (const node of queue) {
      if (node === to) break;
      for (const edge of this.out[node]!) {
        if ((allowed & kinds[edge.kind]) === 0 || !inside.has(edge.to)) continue;
        if (edge.to === from || via.has(edge.to)) continue;
        via.set(edge.to, edge);
        queue.push(edge.to);
      }
    }
    if (!via.has(to)) return undefined;
    const path: Edge[] = [];
    for (let edge = via.get(to); edge !== undefined; edge = via.get(edge.from)) path.unshift(edge);
    return path;
  }
}
