/** A loglet in memory: what it orders is lost with the process. For tests, and for logs that need no disk. */
import { closedError } from "../errors.js";
import { drawId, systemRandom } from "../random.js";
import type { Clock } from "../types.js";
import { LogClock, systemClock } from "./log-clock.js";
import type { Entry, Loglet, LogletStats, Position, Sink, StoredEntry } from "./loglet.js";

/** Entries delivered at once to a new subscriber. */
const replayCount = 1024;

export class MemoryLoglet implements Loglet {
  readonly id: string;
  readonly durability = "memory";
  readonly base: Position = 1;
  readonly recovered = undefined;
  readonly depth = 1;
  readonly #clock: LogClock;
  readonly #entries: Buffer[] = [];
  readonly #times: number[] = [];
  #bytes = 0;
  #batches = 0;
  #sink: Sink | undefined;

  private constructor(clock: Clock, random: () => number) {
    this.id = drawId(random);
    this.#clock = new LogClock(clock, 0);
  }

  static create(
    options: { readonly clock?: Clock | undefined; readonly random?: (() => number) | undefined } = {},
  ): MemoryLoglet {
    return new MemoryLoglet(options.clock ?? systemClock, options.random ?? systemRandom);
  }

  async append(entries: readonly Entry[]): Promise<void> {
    if (this.#sink === undefined) throw closedError("none");
    const first = this.base + this.#entries.length;
    const time = this.#clock.stamp();
    for (const entry of entries) {
      const bytes = Buffer.allocUnsafeSlow(entry.size);
      entry.encode(bytes, 0);
      this.#entries.push(bytes);
      this.#times.push(time);
      this.#bytes += bytes.length;
    }
    this.#batches++;
    this.#deliver(this.#sink, first, entries.length, entries);
  }

  subscribe(from: Position, sink: Sink): Promise<void> {
    const end = this.base + this.#entries.length;
    for (let first = from; first < end; first += replayCount) {
      this.#deliver(sink, first, Math.min(replayCount, end - first), undefined);
    }
    this.#sink = sink;
    return Promise.resolve();
  }

  /** A batch is one buffer: the entries are put behind each other for the feed. */
  #deliver(sink: Sink, first: Position, count: number, own: readonly Entry[] | undefined): void {
    const from = first - this.base;
    const parts = this.#entries.slice(from, from + count);
    const starts: number[] = [];
    const sizes: number[] = [];
    let at = 0;
    for (const part of parts) {
      starts.push(at);
      sizes.push(part.length);
      at += part.length;
    }
    const bytes = count === 1 ? parts[0]! : Buffer.concat(parts, at);
    sink.entries({ first, count, times: this.#times.slice(from, from + count), bytes, starts, sizes, own });
  }

  read(position: Position): StoredEntry {
    const place = position - this.base;
    // A copy, as everywhere: nobody can change the log through what was read.
    return { bytes: Buffer.from(this.#entries[place]!), time: this.#times[place]! };
  }

  tail(): Promise<Position> {
    return Promise.resolve(this.base + this.#entries.length);
  }

  stats(): LogletStats {
    return { logBytes: this.#bytes, diskBytes: 0, indexBytes: 0, batches: this.#batches, syncMs: 0 };
  }

  /** Lets the subscriber go; a later one finds everything again. */
  close(): Promise<void> {
    this.#sink = undefined;
    return Promise.resolve();
  }
}
