import assert from "node:assert/strict";
import fc from "fast-check";
import { Engine } from "../../core/engine/engine.js";
import { Writers, writerMs } from "../../core/engine/writers.js";
import { LogError } from "../../core/errors.js";
import { openLog } from "../../core/index.js";
import { Session } from "../../core/log.js";
import { systemClock } from "../../core/loglet/log-clock.js";
import type { Entry, Loglet, LogletStats, Position, Sink, StoredEntry } from "../../core/loglet/loglet.js";
import { MemoryLoglet } from "../../core/loglet/memory.js";
import { VirtualClock } from "../../core/testing.js";
import type { AppendResult, Clock, LogRecord } from "../../core/types.js";

/** Where a hand-over breaks: how many of its entries are ordered, and whether the giver learns what became of those. */
interface Break {
  readonly ordered: number;
  readonly answered: boolean;
}

/** A loglet whose connection breaks as ordered. What it has ordered comes through the feed; whether as the giver's own, or not. */
class BreakingLoglet implements Loglet {
  readonly #inner: MemoryLoglet;
  readonly #breaks: (Break | undefined)[];
  readonly id: string;
  readonly durability = "memory";
  readonly base = 1;
  readonly recovered = undefined;
  readonly depth = 1;
  #answered = true;

  constructor(breaks: readonly (Break | undefined)[], clock: Clock = systemClock) {
    this.#breaks = [...breaks];
    this.#inner = MemoryLoglet.create({ clock });
    this.id = this.#inner.id;
  }

  async append(entries: readonly Entry[]): Promise<void> {
    const broken = this.#breaks.shift();
    if (broken === undefined) return this.#inner.append(entries);
    const ordered = entries.slice(0, broken.ordered);
    this.#answered = broken.answered;
    if (ordered.length > 0) await this.#inner.append(ordered);
    this.#answered = true;
    throw new LogError("LOG_UNAVAILABLE", "the connection broke", { outcome: "unknown", retryable: true });
  }

  subscribe(from: Position, sink: Sink, _time: number): Promise<void> {
    return this.#inner.subscribe(from, {
      entries: (batch) => sink.entries(this.#answered ? batch : { ...batch, own: undefined }),
      failed: (error) => sink.failed(error),
    });
  }

  read(position: Position): StoredEntry | undefined {
    return this.#inner.read(position);
  }

  checkpoint(position: Position, slices: readonly Uint8Array[]): Promise<void> {
    return this.#inner.checkpoint(position, slices);
  }

  latestCheckpoint(): ReturnType<Loglet["latestCheckpoint"]> {
    return this.#inner.latestCheckpoint();
  }

  release(isNeeded: (position: Position) => boolean): Promise<void> {
    return this.#inner.release(isNeeded);
  }

  tail(): Promise<Position> {
    return this.#inner.tail();
  }

  stats(): LogletStats {
    return this.#inner.stats();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

async function openOn(loglet: Loglet): Promise<Session> {
  // Timers fire at once: what is waited for is the next attempt, not the time.
  const clock = { ...systemClock, setTimer: (_ms: number, fn: () => void) => systemClock.setTimer(0, fn) };
  const engine = await Engine.start(loglet, { cacheBytes: 0, auxBytes: 0, clock, random: Math.random });
  return new Session("memory:", engine, () => engine.close());
}

describe("L8 entries that are given again", () => {
  it("are applied once, in order, with the decision of the first, wherever hand-overs break", async () => {
    const breaks = fc.array(fc.record({ ordered: fc.nat(12), answered: fc.boolean() }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(breaks, fc.integer({ min: 1, max: 10 }), async (list, count) => {
        const log = await openOn(new BreakingLoglet(list));
        const book = log.book("b");
        const results = [];
        for (let round = 0; round < 3; round++) {
          // Of each round one wins the place "first", and the others learn who.
          results.push(
            await Promise.all(
              Array.from({ length: count }, (_, i) =>
                book.append(Buffer.from(`${round}.${i}`), {
                  tags: [`first-${round}`],
                  unless: [{ tag: `first-${round}`, after: 0 }],
                }),
              ),
            ),
          );
        }
        const records: LogRecord[] = [];
        for await (const record of book.read()) records.push(record);
        assert.deepEqual(
          records.map((record) => record.text()),
          ["0.0", "1.0", "2.0"],
        );
        results.forEach((round, i) => {
          const { seqnum, time } = records[i]!;
          assert.deepEqual(round[0], { ok: true, seqnum, time });
          for (const result of round.slice(1))
            assert.deepEqual(result, { ok: false, conflict: { tag: `first-${i}`, seqnum } });
        });
        await log.close();
      }),
    );
  });

  it("are refused as unknown when their writer is forgotten, after an hour of log time", () => {
    const writers = new Writers();
    const admit = (n: number, time: number, id = 7): unknown => {
      const admitted = writers.admit(id, n, n - 1, time);
      if (admitted === "new") writers.decided(1000 + n);
      return admitted;
    };
    assert.equal(admit(1, 0), "new");
    assert.equal(admit(2, 10), "new");
    assert.equal(admit(2, 10 + writerMs), 1002, "a copy, with the first decision");
    assert.equal(admit(3, 11 + writerMs), "unknown");
    assert.equal(admit(1, 11 + writerMs), "new", "a new beginning");
    assert.equal(admit(5, 0, 8), "unknown", "a writer begins with 1");
  });

  it("are all given by another writer when theirs is forgotten, also where the hand-over breaks then", async () => {
    let jumped = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + jumped };
    const breaks = [undefined, { ordered: 1, answered: true }, { ordered: 0, answered: true }];
    const log = await openOn(new BreakingLoglet(breaks, clock));
    const book = log.book("b");
    const append = (text: string): Promise<AppendResult> => book.append(Buffer.from(text), { tags: ["t"] });
    await append("1");
    jumped = 2 * writerMs;
    await Promise.all(["2", "3", "4"].map(append));
    const texts: string[] = [];
    for await (const record of book.read()) texts.push(record.text());
    assert.deepEqual(texts, ["1", "2", "3", "4"]);
    await log.close();
  });

  it("L9 a wall clock that is set forward by hours is no reason to refuse what is appended then", async () => {
    const clock = new VirtualClock();
    const log = await openLog("memory:", { clock });
    const book = log.book("b");
    const append = (text: string): Promise<AppendResult> => book.append(Buffer.from(text), { tags: ["t"] });
    await append("1");
    clock.setWall(clock.now() + 2 * writerMs);
    await Promise.all([append("2"), append("3"), book.trim({ upTo: 1 }), append("4")]);
    clock.setWall(clock.now() + 2 * writerMs);
    await append("5");
    const texts: string[] = [];
    for await (const record of book.read()) texts.push(record.text());
    assert.deepEqual(texts, ["2", "3", "4", "5"]);
    await log.close();
  });
});
