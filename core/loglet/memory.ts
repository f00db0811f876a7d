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
  /** By position; undefined where it was released. */
  readonly #entries: (Buffer | undefined)[] = [];
  readonly #times: number[] = [];
  #bytes = 0;
  #batches = 0;
  #sink: Sink | undefined;
  #checkpoint: { readonly position: Position; readonly state: Buffer } | undefined;

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
    const parts = this.#entries.slice(from, from + count) as Buffer[];
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

  read(position: Position): StoredEntry | undefined {
    const place = position - this.base;
    const bytes = this.#entries[place];
    // A copy, as everywhere: nobody can change the log through what was read.
    return bytes && { bytes: Buffer.from(bytes), time: this.#times[place]! };
  }

  checkpoint(position: Position, slices: readonly Uint8Array[]): Promise<void> {
    this.#checkpoint = { position, state: Buffer.concat([...slices]) };
    return Promise.resolve();
  }

  latestCheckpoint(): Promise<{ readonly position: Position; readonly state: Buffer } | undefined> {
    // A copy: whoever takes it over changes it.
    const found = this.#checkpoint;
    return Promise.resolve(found && { position: found.position, state: copyAligned(found.state) });
  }

  release(isNeeded: (position: Position) => boolean): Promise<void> {
    const end = this.#checkpoint?.position ?? 0;
    for (let position = this.base; position <= end; position++) {
      const place = position - this.base;
      const bytes = this.#entries[place];
      if (bytes === undefined || isNeeded(position)) continue;
      this.#bytes -= bytes.length;
      this.#entries[place] = undefined;
    }
    return Promise.resolve();
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

function copyAligned(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
