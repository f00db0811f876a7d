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

  /**
   * The sets of more than one of these nodes in which each can be reached from each over these kinds of edges, by way of such nodes
   * (Tarjan's algorithm).
   */
  components(allowed: Kinds, nodes: Iterable<number> = this.out.keys()): number[][] {
    const size = this.out.length;
    const number = new Int32Array(size);
    const lowest = new Int32Array(size);
    const nextEdge = new Int32Array(size);
    const inside = this.#mark(nodes);
    const waiting = new Uint8Array(size);
    const stack: number[] = [];
    const found: number[][] = [];
    let count = 0;
    for (let root = 0; root < size; root++) {
      // The path is kept here and not in calls of a function, since it can be as long as the history.
      const path = inside[root] === 1 && number[root] === 0 ? [root] : [];
      while (path.length > 0) {
        const node = path.at(-1)!;
        if (number[node] === 0) {
          number[node] = lowest[node] = ++count;
          waiting[node] = 1;
          stack.push(node);
        }
        const edge = this.out[node]![nextEdge[node]!++];
        if (edge !== undefined) {
          if ((allowed & kinds[edge.kind]) === 0 || inside[edge.to] === 0) continue;
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
   * A short cycle inside a component: an edge of one of the kinds `first`, and the shortest way back over the kinds `rest`. In a large
   * component only some first edges are tried, so that a history full of faults takes no longer than a good one.
   */
  cycle(component: readonly number[], first: Kinds, rest: Kinds): Edge[] | undefined {
    const inside = this.#mark(component);
    let best: Edge[] | undefined;
    let tries = 0;
    for (const node of component) {
      for (const edge of this.out[node]!) {
        if ((first & kinds[edge.kind]) === 0 || inside[edge.to] === 0) continue;
        if (best?.length === 2 || ++tries > 100) return best;
        const back = this.#path(edge.to, edge.from, inside, rest, (best?.length ?? Infinity) - 2);
        if (back !== undefined) best = [edge, ...back];
      }
    }
    return best;
  }

  #mark(nodes: Iterable<number>): Uint8Array {
    const marks = new Uint8Array(this.out.length);
    for (const node of nodes) marks[node] = 1;
    return marks;
  }

  /** The shortest path of at most so many edges. */
  #path(from: number, to: number, inside: Uint8Array, allowed: Kinds, lengthMax: number): Edge[] | undefined {
    const fits = (edge: Edge): boolean => (allowed & kinds[edge.kind]) !== 0 && inside[edge.to] === 1;
    // From which node each was reached; -1 for those that were not.
    const via = new Int32Array(this.out.length).fill(-1);
    via[from] = from;
    let nodes = [from];
    for (let length = 0; nodes.length > 0 && via[to] === -1 && length < lengthMax; length++) {
      const further: number[] = [];
      for (const node of nodes) {
        for (const edge of this.out[node]!) {
          if (via[edge.to] !== -1 || !fits(edge)) continue;
          via[edge.to] = node;
          further.push(edge.to);
        }
      }
      nodes = further;
    }
    if (via[to] === -1) return undefined;
    const path: Edge[] = [];
    for (let node = to; node !== from; node = via[node]!) {
      path.push(this.out[via[node]!]!.find((edge) => edge.to === node && fits(edge))!);
    }
    return path.reverse();
  }
}
