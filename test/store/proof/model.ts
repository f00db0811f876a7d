/**
 * The store as a map, one transaction after the other: what a history of transactions must look like from the outside.
 *
 * What is in the order of the log is replayed. At its position, and again at its own record, everything that a transaction
 * read, found or scanned must be what the map says there. So nothing that it saw changed in between, phantoms included.
 */
import { isDeepStrictEqual } from "node:util";
import { show } from "../../check/history.js";

/** A value of the objects in these tests. No two writes make the same one. */
export interface Thing {
  /** Of the last write. */
  readonly id: number;
  /** Of all updates since the last put. */
  readonly list: readonly number[];
  /** What the index "color" finds it by. */
  readonly color: string;
  /** What the unique index "badge" finds it by. */
  readonly badge?: number | undefined;
  readonly padding: string;
}

export type Entry = readonly [key: string, value: Thing];

/** One operation, with what was seen. */
export type Step =
  | { readonly f: "get"; readonly key: string; readonly seen: Thing | undefined }
  | { readonly f: "put"; readonly key: string; readonly value: Thing }
  | { readonly f: "update"; readonly key: string; readonly change: ThingChange; readonly seen: Thing }
  | { readonly f: "delete"; readonly key: string }
  | { readonly f: "find"; readonly color: string; readonly seen: readonly Entry[] }
  | { readonly f: "scan"; readonly prefix: string; readonly limit: number; readonly seen: readonly Entry[] };

export interface ThingChange {
  readonly id: number;
  readonly color: string | undefined;
  readonly padding: string;
}

/** A transaction as who ran it saw it. */
export interface Ran {
  readonly process: number;
  /** Through a handle that knows the indexes. */
  readonly declares: boolean;
  steps: Step[];
  status: "ok" | "failed" | "unknown";
  /** All up to here was visible to it. Unknown of a plain operation. */
  position: number | undefined;
  /** Of its record, when it changed something. */
  seqnum: number | undefined;
  start: number;
  end: number;
}

export type State = ReadonlyMap<string, Thing>;

/** What an update makes of a value. */
export function changed(before: Thing | undefined, { id, color, padding }: ThingChange): Thing {
  const { list, ...rest } = before ?? { list: [], color: "none", padding };
  return { ...rest, id, list: [...list, id], color: color ?? rest.color };
}

/** States in the order of the log. */
export class Timeline {
  readonly #states: { readonly seqnum: number; readonly state: State }[] = [{ seqnum: 0, state: new Map() }];

  get last(): State {
    return this.#states.at(-1)!.state;
  }

  add(seqnum: number, state: State): void {
    this.#states.push({ seqnum, state });
  }

  /** With all that is at or below a position. */
  at(position: number): State {
    let [low, high] = [0, this.#states.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#states[middle]!.seqnum <= position) low = middle;
      else high = middle - 1;
    }
    return this.#states[low]!.state;
  }

  /** Positions at which something changed. */
  get seqnums(): number[] {
    return [...new Set(this.#states.map(({ seqnum }) => seqnum))];
  }
}

/** What is wrong with a history: sentences, the first few of them; none when the map explains it all. */
export function explain(history: readonly Ran[]): { faults: string[]; timeline: Timeline } {
  const timeline = new Timeline();
  const faults: string[] = [];
  const commits = history.filter(({ seqnum, status }) => seqnum !== undefined && status !== "failed");
  commits.sort((a, b) => a.seqnum! - b.seqnum! || a.start - b.start);
  let before = timeline.last;
  commits.forEach((ran, i) => {
    const state = new Map(timeline.last);
    faults.push(...run(ran, state, `at its record ${ran.seqnum}`));
    timeline.add(ran.seqnum!, state);
    // Of writes that share a record, only what they leave behind was ever there.
    if (commits[i + 1]?.seqnum === ran.seqnum) return;
    faults.push(...badges(ran, before, state));
    before = state;
  });
  for (const ran of history) {
    if (ran.position === undefined || ran.status === "unknown") continue;
    if (ran.seqnum !== undefined && ran.seqnum <= ran.position) faults.push(`${tell(ran)} read behind its own record`);
    faults.push(...run(ran, new Map(timeline.at(ran.position)), `at its position ${ran.position}`));
  }
  faults.push(...sessions(history));
  return { faults: faults.slice(0, 5), timeline };
}

/** Does on a state what a transaction did, and compares what it sees. */
function run(ran: Ran, state: Map<string, Thing>, where: string): string[] {
  const faults: string[] = [];
  ran.steps.forEach((step, i) => {
    const expected = apply(step, state);
    if (expected === undefined || isDeepStrictEqual(expected.value, (step as { seen?: unknown }).seen)) return;
    const saw = `${text((step as { seen?: unknown }).seen)}, and there is ${text(expected.value)}`;
    faults.push(`${tell(ran)}: ${where}, step ${i} (${step.f}) saw ${saw}`);
  });
  return faults;
}

function text(value: unknown): string {
  return String(JSON.stringify(value)).replaceAll(/x{9,}/g, "x...");
}

/** What a step must have seen. Undefined for one that sees nothing. */
function apply(step: Step, state: Map<string, Thing>): { readonly value: unknown } | undefined {
  switch (step.f) {
    case "get":
      return { value: state.get(step.key) };
    case "put":
      state.set(step.key, step.value);
      return undefined;
    case "update": {
      const value = changed(state.get(step.key), step.change);
      state.set(step.key, value);
      return { value };
    }
    case "delete":
      state.delete(step.key);
      return undefined;
    case "find":
      return { value: inOrder(state).filter(([, { color }]) => color === step.color) };
    case "scan":
      return {
        value: inOrder(state)
          .filter(([key]) => key.startsWith(step.prefix))
          .slice(0, step.limit),
      };
  }
}

function inOrder(state: State): Entry[] {
  return [...state].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Who knows the unique index gives no object a badge that another one has. */
function badges(ran: Ran, before: State, state: State): string[] {
  if (!ran.declares) return [];
  for (const [key, { badge }] of state) {
    if (badge === undefined || before.get(key)?.badge === badge) continue;
    const owner = [...state.keys()].find((other) => other !== key && state.get(other)!.badge === badge);
    if (owner !== undefined) return [`${tell(ran)}: it gave ${key} the badge ${badge}, and ${owner} has it`];
  }
  return [];
}

/** Who goes on in one session sees what he saw and wrote before. */
function sessions(history: readonly Ran[]): string[] {
  const faults: string[] = [];
  const seen = new Map<number, number>();
  for (const ran of history) {
    if (ran.status !== "ok") continue;
    const before = seen.get(ran.process) ?? 0;
    if (ran.position !== undefined && ran.position < before)
      faults.push(`${tell(ran)} read at ${ran.position}, and its session had seen ${before}`);
    seen.set(ran.process, Math.max(before, ran.seqnum ?? ran.position ?? 0));
  }
  return faults;
}

function tell({ process, position, seqnum, steps }: Ran): string {
  const did = steps.map((step) => `${step.f} ${"key" in step ? step.key : ""}`.trim());
  return `session ${process}, position ${show(position)}, seqnum ${show(seqnum)}, did ${did.join(", ")}`;
}
