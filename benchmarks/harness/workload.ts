/** Records of 1 KiB with two tags of 24 bytes out of 100,000, zipf; and closed loops that append them. */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from "hdr-histogram-js";
import type { Sample } from "./measure.js";

export const recordBytes = 1024;
const tagCount = 100_000;
const drawn = 1 << 20;

/** A store that appends a record with two tags, and answers when it is durable. */
export interface Appender {
  append(data: Uint8Array, tags: [string, string]): Promise<unknown>;
  /** How many records are there. */
  count(): Promise<number>;
  close(): Promise<void>;
}

export class Workload {
  readonly tags: readonly string[];
  readonly #draws: Uint32Array;
  readonly #data: readonly Buffer[];

  constructor(random: () => number) {
    this.tags = Array.from({ length: tagCount }, (_, i) => `tag:${i}:`.padEnd(24, "0123456789"));
    this.#draws = zipf(tagCount, drawn, random);
    this.#data = Array.from({ length: 64 }, () =>
      Buffer.from(Array.from({ length: recordBytes }, () => random() * 256)),
    );
  }

  data(i: number): Buffer {
    return this.#data[i & 63]!;
  }

  tag(i: number): string {
    return this.tags[this.#draws[i & (drawn - 1)]!]!;
  }

  pair(i: number): [string, string] {
    return [this.tag(2 * i), this.tag(2 * i + 1)];
  }
}

/** `length` draws out of `count`, the nth as often as 1/n says. */
export function zipf(count: number, length: number, random: () => number): Uint32Array {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) sums[i] = sum += 1 / (i + 1);
  return Uint32Array.from({ length }, () => firstAbove(sums, random() * sum));
}

function firstAbove(sums: Float64Array, value: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export interface Latencies {
  readonly ops: number;
  readonly ms: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** What one process of several has measured, so that it can be sent. */
export interface Part {
  readonly ops: number;
  readonly ms: number;
  readonly histogram: string;
}

export async function closedLoop(
  inFlight: number,
  ms: number,
  step: (i: number) => Promise<unknown>,
): Promise<Latencies> {
  return latenciesOf(await timedLoop(inFlight, ms, step));
}

export async function partOfLoop(inFlight: number, ms: number, step: (i: number) => Promise<unknown>): Promise<Part> {
  const { histogram, ...rest } = await timedLoop(inFlight, ms, step);
  return { ...rest, histogram: encodeIntoCompressedBase64(histogram) };
}

/** Loops that ran at the same time, as one. */
export function together(parts: readonly Part[]): Latencies {
  const [histogram, ...others] = parts.map((part) => decodeFromCompressedBase64(part.histogram));
  for (const other of others) histogram!.add(other);
  const ops = parts.reduce((sum, part) => sum + part.ops, 0);
  return latenciesOf({ ops, ms: Math.max(...parts.map((part) => part.ms)), histogram: histogram! });
}

function latenciesOf({ ops, ms, histogram }: Timed): Latencies {
  return { ops, ms, p50Us: histogram.getValueAtPercentile(50), p99Us: histogram.getValueAtPercentile(99) };
}

interface Timed {
  readonly ops: number;
  readonly ms: number;
  readonly histogram: Histogram;
}

/** `inFlight` loops, each waiting for its own answer, for `ms`. Where there are many, one in 13 is timed: prime, so that it is not always the first of a batch. */
async function timedLoop(inFlight: number, ms: number, step: (i: number) => Promise<unknown>): Promise<Timed> {
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });
  const every = inFlight > 1 ? 13 : 1;
  let given = 0;
  let ops = 0;
  let stopped = false;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (!stopped) {
        const i = given++;
        if (i % every === 0) {
          const from = performance.now();
          await step(i);
          const now = performance.now();
          histogram.recordValue(Math.max(1, Math.round((now - from) * 1000)));
          if (now - start > ms) stopped = true;
        } else {
          await step(i);
        }
        ops++;
      }
    }),
  );
  return { ops, ms: performance.now() - start, histogram };
}

export function samplesOf(name: string, system: string, { ops, ms, p50Us, p99Us }: Latencies, unit: string): Sample[] {
  const rate = (ops / ms) * 1000;
  return [
    { case: name, system, metric: "rate", unit, value: rate },
    { case: name, system, metric: "p50", unit: "us", value: p50Us },
    { case: name, system, metric: "p99", unit: "us", value: p99Us },
    { case: name, system, metric: "p99/p50", unit: "ratio", value: p99Us / p50Us },
  ];
}

/** Commits what has come while the last commit was under way, in one go: for stores that leave batching to their user. */
export class GroupCommit<T> {
  readonly #commit: (items: readonly T[]) => Promise<void> | void;
  #waiting: { item: T; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #running = false;

  constructor(commit: (items: readonly T[]) => Promise<void> | void) {
    this.#commit = commit;
  }

  add(item: T): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      setImmediate(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#commit(batch.map(({ item }) => item));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
      // Let those who were answered ask again.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#running = false;
  }
}
