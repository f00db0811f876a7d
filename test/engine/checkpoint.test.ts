import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { Engine } from "../../core/engine/engine.js";
import { Session } from "../../core/log.js";
import { systemClock } from "../../core/loglet/log-clock.js";
import { MemoryLoglet } from "../../core/loglet/memory.js";
import type { Clock, LogBook } from "../../core/types.js";
import { openOn as openFolder, scratch as scratchFolder } from "../loglet/on-disk.js";

const hour = 3_600_000;

/** A wall clock that a test sets. */
class SetClock implements Clock {
  time = Date.UTC(2026, 0, 1);
  now(): number {
    return this.time;
  }
  monotonic(): number {
    return this.time;
  }
  setTimer(ms: number, fn: () => void): () => void {
    return systemClock.setTimer(ms, fn);
  }
}

/** Takes the slices of a checkpoint one in a turn, while appends go on; forgets it if told to. */
function slowly(loglet: MemoryLoglet): MemoryLoglet {
  const write = loglet.checkpoint.bind(loglet);
  loglet.checkpoint = async (position, slices) => {
    const taken: Uint8Array[] = [];
    for (const slice of slices) {
      taken.push(Uint8Array.from(slice));
      await new Promise((done) => setImmediate(done));
    }
    await write(position, taken);
  };
  return loglet;
}

async function openOn(loglet: MemoryLoglet, clock: Clock = systemClock): Promise<Session> {
  const engine = await Engine.start(loglet, { cacheBytes: 0, auxBytes: 0, clock, random: Math.random });
  return new Session("memory:", engine, () => engine.close());
}

/** An engine that sees all entries, without a checkpoint. */
async function openFromScratch(loglet: MemoryLoglet, clock?: Clock): Promise<Session> {
  const latest = loglet.latestCheckpoint.bind(loglet);
  loglet.latestCheckpoint = () => Promise.resolve(undefined);
  const log = await openOn(loglet, clock);
  loglet.latestCheckpoint = latest;
  return log;
}

async function everything(log: Session, tags: readonly string[]): Promise<unknown> {
  const { records, entries } = await log.stats();
  const found: unknown[] = [records, entries, await log.books()];
  for (const name of ["x", "y", "z"]) {
    const book = log.book(name);
    for (const tag of [undefined, ...tags]) {
      for await (const { seqnum } of book.read({ tag, head: true })) found.push([name, tag, seqnum]);
      for await (const { seqnum } of book.read({ tag, head: true, reverse: true })) found.push([name, tag, seqnum]);
    }
  }
  return found;
}

/** What conditions on a tag see, without adding a record: each is refused, or refused by a second that always fails. */
async function decide(book: LogBook, tag: string, after: number): Promise<unknown> {
  return book.append(Buffer.from("x"), {
    tags: ["probe"],
    unless: [
      { tag, after },
      { tag: "always", after: 0 },
    ],
  });
}

describe("a checkpoint", () => {
  it("T1 written while appends and trims go on is the state at one position", async function () {
    this.timeout(60_000);
    const tags = Array.from({ length: 30 }, (_, i) => `t${i}`);
    const step = fc.record({
      book: fc.constantFrom("x", "y", "z"),
      tags: fc.array(fc.constantFrom(...tags), { minLength: 1, maxLength: 20 }),
      trim: fc.option(fc.record({ tag: fc.option(fc.constantFrom(...tags), { nil: undefined }), back: fc.nat(60) }), {
        nil: undefined,
        freq: 3,
      }),
      times: fc.integer({ min: 1, max: 30 }),
      checkpoint: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const loglet = slowly(MemoryLoglet.create());
        loglet.release = () => Promise.resolve();
        const log = await openOn(loglet);
        let written: Promise<void> | undefined;
        for (const { book: name, tags, trim, times, checkpoint } of steps) {
          const book = log.book(name);
          if (checkpoint) written = log.checkpoint();
          await book.appendAll(Array.from({ length: times }, () => ({ data: Buffer.from("x"), tags })));
          if (trim !== undefined) {
            const upTo = Math.max(0, (await book.tail()) - 1 - trim.back);
            await book.trim({ upTo, tag: trim.tag });
          }
        }
        await written;
        const before = await everything(log, tags);
        await log.close();
        const fromCheckpoint = await openOn(loglet);
        assert.deepEqual(await everything(fromCheckpoint, tags), before);
        await fromCheckpoint.close();
        const fromScratch = await openFromScratch(loglet);
        assert.deepEqual(await everything(fromScratch, tags), before);
        await fromScratch.close();
      }),
      { numRuns: process.env["FULL"] === "1" ? 1000 : 100 },
    );
  });

  it("T3 L3 keeps what conditions see: trimmed, forgotten and fresh tags are decided alike from it and from scratch", async () => {
    const clock = new SetClock();
    const loglet = MemoryLoglet.create({ clock });
    loglet.release = () => Promise.resolve();
    const log = await openOn(loglet, clock);
    const book = log.book("b");
    const append = async (tag: string): Promise<number> =>
      (await book.append(Buffer.from(tag), { tags: [tag] })).seqnum;
    await append("always");
    const forgotten = await append("forgotten");
    const kept = await append("kept");
    await book.trim({ tag: "forgotten", upTo: forgotten });
    assert.deepEqual(await decide(book, "forgotten", 0), {
      ok: false,
      conflict: { tag: "forgotten", seqnum: forgotten },
    });
    await log.checkpoint();

    clock.time += 2 * hour;
    const recent = await append("recent");
    clock.time += 11_000;
    const trimmed = await append("trimmed");
    // The horizon moves with this trim, to an hour ago.
    await book.trim({ tag: "trimmed", upTo: trimmed });
    const horizon = kept + 2;
    const cases = [
      ["forgotten", 0, true],
      ["forgotten", horizon - 1, horizon],
      ["forgotten", horizon, true],
      ["fresh", 0, true],
      ["fresh", 1, horizon],
      ["fresh", recent, true],
      ["kept", 0, kept],
      ["kept", kept, true],
      ["trimmed", 0, trimmed],
      ["trimmed", trimmed - 1, trimmed],
      ["trimmed", trimmed, true],
    ] as const;
    const check = async (session: Session, when: string): Promise<void> => {
      for (const [tag, after, expected] of cases) {
        const { conflict } = (await decide(session.book("b"), tag, after)) as { conflict: unknown };
        const wanted = expected === true ? { tag: "always", seqnum: 1 } : { tag, seqnum: expected };
        assert.deepEqual(conflict, wanted, `${when}: ${tag} after ${after}`);
      }
      await assert.rejects(session.book("b").readNext({ tag: "trimmed", from: 1 }), { trimPoint: trimmed });
    };
    await check(log, "live");
    await log.close();
    // From the checkpoint before the horizon moved, with the entries behind it.
    const early = await openOn(loglet, clock);
    await check(early, "from an early checkpoint");
    const tags = (await early.stats()).tags;
    await early.engine.checkpoint();
    await early.close();
    const late = await openOn(loglet, clock);
    await check(late, "from a late checkpoint");
    assert.equal((await late.stats()).tags, tags);
    await late.close();
    const scratch = await openFromScratch(loglet, clock);
    await check(scratch, "from scratch");
    await scratch.close();
  });

  it("L3 a tag trimmed within the hour is not forgotten because the log was opened again", async () => {
    const clock = new SetClock();
    const loglet = MemoryLoglet.create({ clock });
    const log = await openOn(loglet, clock);
    await log.book("b").append(Buffer.from("x"), { tags: ["old"] });
    clock.time += 3 * hour;
    const { seqnum } = await log.book("b").append(Buffer.from("x"), { tags: ["recent"] });
    await log.close();

    const again = await openFromScratch(loglet, clock);
    const book = again.book("b");
    clock.time += 11_000;
    await book.append(Buffer.from("x"), { tags: ["other"] });
    await book.trim({ tag: "recent", upTo: seqnum });
    const refused = await book.append(Buffer.from("x"), { tags: ["t"], unless: [{ tag: "recent", after: 0 }] });
    assert.deepEqual(refused, { ok: false, conflict: { tag: "recent", seqnum } });
    await again.close();
  });

  it("T3 a forgotten tag that comes back has nothing to do with what was trimmed, wherever its memory is by then", async () => {
    const clock = new SetClock();
    // Many tags in front of it, so that the sweep has not come by yet.
    const log = await openOn(MemoryLoglet.create({ clock }), clock);
    const book = log.book("b");
    const append = async (...tags: string[]): Promise<number> => (await book.append(Buffer.from("x"), { tags })).seqnum;
    await book.appendAll(Array.from({ length: 5000 }, (_, i) => ({ data: Buffer.from("x"), tags: [`before-${i}`] })));
    const last = await append("forgotten");
    await book.trim({ tag: "forgotten", upTo: last });
    clock.time += 2 * hour;
    await append("later");
    clock.time += 11_000;
    await book.trim({ tag: "later", upTo: await append("later") });
    assert.equal((await log.stats()).tags, 5002, "its memory is not given back yet");
    const again = await append("forgotten");
    assert.equal((await book.readNext({ tag: "forgotten", from: 1 }))!.seqnum, again);
    await log.close();
  });

  for (const storing of [false, true]) {
    it(`T3 a forgotten tag that comes back ${storing ? "while a checkpoint is written " : ""}leaves its old records to their other tags`, async () => {
      const clock = new SetClock();
      const loglet = slowly(MemoryLoglet.create({ clock }));
      const log = await openOn(loglet, clock);
      const book = log.book("b");
      const seqnums = async (tag?: string): Promise<number[]> => {
        const found: number[] = [];
        for await (const { seqnum } of book.read({ tag, head: true })) found.push(seqnum);
        return found;
      };
      const append = async (...tags: string[]): Promise<number> =>
        (await book.append(Buffer.from("x"), { tags })).seqnum;
      await book.appendAll(Array.from({ length: 5000 }, (_, i) => ({ data: Buffer.from("x"), tags: [`first-${i}`] })));
      const old = [await append("kept", "forgotten"), await append("kept", "forgotten")];
      await book.trim({ tag: "forgotten", upTo: old[1]! });
      clock.time += 2 * hour;
      await append("later");
      clock.time += 11_000;
      await book.trim({ tag: "later", upTo: await append("later") });
      const stored = storing ? log.checkpoint() : undefined;
      const again = await append("forgotten");
      assert.deepEqual(await seqnums("forgotten"), [again], "what was trimmed does not come back");
      await book.trim({ tag: "forgotten", upTo: again });
      assert.deepEqual(await seqnums("kept"), old);
      assert.deepEqual((await seqnums()).slice(5000, 5002), old, "they are in the book as long as in one stream");
      await stored;
      await append("forgotten");
      await log.checkpoint();
      await log.close();
      const fromCheckpoint = await openOn(loglet, clock);
      const made = await everything(fromCheckpoint, ["kept", "forgotten"]);
      await fromCheckpoint.close();
      const scratch = await openFromScratch(loglet, clock);
      assert.deepEqual(made, await everything(scratch, ["kept", "forgotten"]));
      await scratch.close();
    });
  }

  it("is read however much is free in it", async () => {
    const clock = new SetClock();
    const loglet = MemoryLoglet.create({ clock });
    const log = await openOn(loglet, clock);
    const book = log.book("b");
    const inputs = (tag: (i: number) => string): { data: Buffer; tags: string[] }[] =>
      Array.from({ length: 60_000 }, (_, i) => ({ data: Buffer.from("x"), tags: [tag(i)] }));
    for (let n = 0; n < 4; n++) await book.appendAll(inputs((i) => `${n}-${i}`));
    clock.time += 2 * hour;
    await book.appendAll(inputs(() => "rest"));
    clock.time += 11_000;
    await book.append(Buffer.from("x"), { tags: ["rest"] });
    await book.trim({ upTo: (await book.tail()) - 1 });
    for (let n = 0; n < 3; n++) await book.appendAll(inputs(() => "rest"));
    const { tags } = await log.stats();
    assert.ok(tags < 10_000, `${tags} tags`);
    await log.checkpoint();
    await log.close();
    const again = await openOn(loglet, clock);
    assert.equal((await again.stats()).tags, tags);
    await again.close();
  });

  it("T3 gives back the memory of forgotten tags also after its state was verified", async () => {
    const clock = new SetClock();
    const log = await openFolder(join(scratchFolder(), "log"), { clock });
    const book = log.book("b");
    const many = (tag: (i: number) => string): Promise<unknown> =>
      book.appendAll(Array.from({ length: 20_000 }, (_, i) => ({ data: Buffer.from("x"), tags: [tag(i)] })));
    await many((i) => `old-${i}`);
    clock.time += 2 * hour;
    await many(() => "rest");
    clock.time += 11_000;
    await book.append(Buffer.from("x"), { tags: ["rest"] });
    assert.ok((await log.verify()).ok);
    await book.trim({ upTo: (await book.tail()) - 1 });
    await many(() => "rest");
    const { tags } = await log.stats();
    assert.ok(tags < 100, `${tags} tags`);
    await log.close();
  });

  it("T3 gives back the memory of forgotten tags", async () => {
    const clock = new SetClock();
    const log = await openOn(MemoryLoglet.create({ clock }), clock);
    const book = log.book("b");
    let bytes = 0;
    for (let day = 0; day < 12; day++) {
      for (let i = 0; i < 20; i++) {
        await book.appendAll(
          Array.from({ length: 1000 }, (_, n) => ({
            data: Buffer.from("x"),
            tags: [`${day}-${i}-${n}`.padEnd(16, "-"), "common"],
          })),
        );
      }
      clock.time += 2 * hour;
      await book.append(Buffer.from("x"), { tags: ["common"] });
      await book.trim({ upTo: (await book.tail()) - 1 });
      // What is swept is paid by later appends.
      await book.appendAll(Array.from({ length: 30_000 }, () => ({ data: Buffer.from("x"), tags: ["common"] })));
      const stats = await log.stats();
      assert.ok(stats.tags < 50_000, `day ${day}: ${stats.tags} tags`);
      if (day === 3) bytes = stats.tagBytes;
      if (day > 2)
        assert.ok(stats.tagBytes <= bytes * 1.1, `day ${day}: ${stats.tagBytes} bytes of tags, ${bytes} before`);
    }
    await log.close();
  });
});
