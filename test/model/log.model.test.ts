/** Random commands on a log and on an array, compared after every step; with close and reopen, and crash, among them. */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { openLog, restore } from "../../core/index.js";
import { VirtualClock } from "../../core/testing.js";
import type { Session } from "../../core/log.js";
import { openOn } from "../loglet/on-disk.js";
import type { AppendInput, AppendResult, Condition, Log, LogRecord } from "../../core/types.js";

const books = ["x", "y"] as const;
const alphabet = ["a", "b", "c", "dé"] as const;
const runs = process.env["FULL"] === "1" ? 10 : 1;

interface Entry {
  readonly seqnum: number;
  readonly book: string;
  readonly tags: readonly string[];
  readonly text: string;
}

/** The log as an array: deliberately simple. */
class Model {
  entries: Entry[] = [];
  tail = 1;
  texts = 0;

  /** All that ever carried a tag: what conditions see. */
  history(book: string, tag: string): Entry[] {
    return this.entries.filter((entry) => entry.book === book && entry.tags.includes(tag));
  }

  /** What reads see. */
  stream(book: string, tag: string | undefined): Entry[] {
    return this.entries.filter((entry) => {
      const tags = entry.tags.filter((one) => entry.seqnum > this.trimPoint(book, one));
      return entry.book === book && (tag === undefined ? tags.length > 0 : tags.includes(tag));
    });
  }

  readonly #trims = new Map<string, number>();

  trimPoint(book: string, tag: string | undefined): number {
    const ofBook = this.#trims.get(book) ?? 0;
    return tag === undefined ? ofBook : Math.max(ofBook, this.#trims.get(`${book}/${tag}`) ?? 0);
  }

  /** Does nothing, and takes no position, at or below the trim point. */
  trim(book: string, tag: string | undefined, upTo: number): void {
    if (upTo <= this.trimPoint(book, tag)) return;
    this.tail++;
    // A tag that nothing has carried yet has nothing to be trimmed.
    if (tag === undefined ? !this.entries.some((entry) => entry.book === book) : this.history(book, tag).length === 0)
      return;
    this.#trims.set(tag === undefined ? book : `${book}/${tag}`, upTo);
  }

  append(
    book: string,
    tags: readonly string[],
    text: string,
    unless: readonly Condition[],
  ): AppendResult | { ok: true; seqnum: number } {
    const seqnum = this.tail++;
    const lowest = new Map<string, number>();
    for (const { tag, after } of unless) lowest.set(tag, Math.min(after, lowest.get(tag) ?? after));
    for (const [tag, after] of lowest) {
      const last = this.history(book, tag).at(-1)?.seqnum ?? 0;
      if (last > after) return { ok: false, conflict: { tag, seqnum: last } };
    }
    this.entries.push({ seqnum, book, tags: [...new Set(tags)], text });
    return { ok: true, seqnum };
  }
}

/** The log under test, and how it is opened again. */
interface Real {
  log: Log;
  readonly clock: VirtualClock;
  reopen(): Promise<void>;
  crash(): Promise<void>;
  /** Backs the log up and opens what is restored from it; undefined for a log that cannot. */
  copy?(): Promise<Log>;
}

type Command = fc.AsyncCommand<Model, Real>;

function command(name: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return { check: () => true, run, toString: () => name };
}

interface Draft {
  readonly book: string;
  readonly tags: readonly string[];
  /** As distances below the tail: around the places where decisions change. */
  readonly unless: readonly { readonly tag: string; readonly back: number }[] | undefined;
}

const tag = fc.constantFrom(...alphabet);
const draft: fc.Arbitrary<Draft> = fc.record({
  book: fc.constantFrom(...books),
  tags: fc.array(tag, { minLength: 1, maxLength: 4 }),
  unless: fc.option(fc.array(fc.record({ tag, back: fc.nat(12) }), { maxLength: 3 }), { nil: undefined, freq: 2 }),
});

function prepare(
  model: Model,
  { book, tags, unless }: Draft,
): { input: AppendInput; expected: ReturnType<Model["append"]> } {
  const text = `${++model.texts}`;
  const conditions = unless?.map(({ tag, back }) => ({ tag, after: Math.max(0, model.tail - back) }));
  const expected = model.append(book, tags, text, conditions ?? []);
  return { input: { data: Buffer.from(text), tags, unless: conditions }, expected };
}

function same(result: AppendResult, expected: ReturnType<Model["append"]>): void {
  assert.deepEqual(result.ok ? { ok: true, seqnum: result.seqnum } : result, expected);
}

function appendTo(log: Log, book: string, { data, tags, unless }: AppendInput): Promise<AppendResult> {
  return unless === undefined ? log.book(book).append(data, { tags }) : log.book(book).append(data, { tags, unless });
}

function seen(record: LogRecord | undefined): Omit<Entry, "book"> | undefined {
  return record && { seqnum: record.seqnum, tags: record.tags, text: record.text() };
}

function expectedOf(entry: Entry | undefined): Omit<Entry, "book"> | undefined {
  return entry && { seqnum: entry.seqnum, tags: entry.tags, text: entry.text };
}

const where = { book: fc.constantFrom(...books), tag: fc.option(tag, { nil: undefined, freq: 2 }) };
const bound = fc.option(fc.nat(60), { nil: undefined });

const commands: fc.Arbitrary<Command>[] = [
  draft.map((one) =>
    command(`append ${JSON.stringify(one)}`, async (model, { log }) => {
      const { input, expected } = prepare(model, one);
      same(await appendTo(log, one.book, input), expected);
    }),
  ),
  fc.array(draft, { minLength: 2, maxLength: 12 }).map((many) =>
    command(`burst ${JSON.stringify(many)}`, async (model, { log }) => {
      const prepared = many.map((one) => prepare(model, one));
      const results = await Promise.all(prepared.map(({ input }, i) => appendTo(log, many[i]!.book, input)));
      results.forEach((result, i) => same(result, prepared[i]!.expected));
    }),
  ),
  fc.tuple(where.book, fc.array(draft, { maxLength: 8 })).map(([book, many]) =>
    command(`appendAll ${JSON.stringify({ book, many })}`, async (model, { log }) => {
      const prepared = many.map((one) => prepare(model, { ...one, book }));
      const results = await log.book(book).appendAll(prepared.map(({ input }) => input));
      results.forEach((result, i) => same(result, prepared[i]!.expected));
    }),
  ),
  fc.record({ ...where, at: fc.nat(60) }).map((one) =>
    command(`readNext and readPrev ${JSON.stringify(one)}`, async (model, { log }) => {
      const { book, tag, at } = one;
      const stream = model.stream(book, tag);
      const trimPoint = model.trimPoint(book, tag);
      if (at > 0 && at <= trimPoint) {
        await assert.rejects(log.book(book).readNext({ tag, from: at }), { code: "LOG_TRIMMED", trimPoint });
        await assert.rejects(log.book(book).readPrev({ tag, upTo: at }), { code: "LOG_TRIMMED", trimPoint });
        return;
      }
      const next = await log.book(book).readNext({ tag, from: at });
      const prev = await log.book(book).readPrev({ tag, upTo: at });
      assert.deepEqual(seen(next), expectedOf(stream.find(({ seqnum }) => seqnum >= at)));
      assert.deepEqual(seen(prev), expectedOf(stream.findLast(({ seqnum }) => seqnum <= at)));
    }),
  ),
  fc.record({ ...where, from: bound, to: bound, reverse: fc.boolean() }).map((one) =>
    command(`read ${JSON.stringify(one)}`, async (model, { log }) => {
      const { book, tag, from, to, reverse } = one;
      const found: unknown[] = [];
      const trimPoint = model.trimPoint(book, tag);
      const trimmed = (bound: number | undefined): boolean => bound !== undefined && bound > 0 && bound <= trimPoint;
      if (trimmed(from) || (reverse && trimmed(to))) {
        const first = log.book(book).read({ tag, from, to, reverse }).next();
        await assert.rejects(first, { code: "LOG_TRIMMED", trimPoint });
        return;
      }
      for await (const record of log.book(book).read({ tag, from, to, reverse })) found.push(seen(record));
      const stream = model
        .stream(book, tag)
        .filter(({ seqnum }) => seqnum >= (from ?? 0) && seqnum <= (to ?? Infinity));
      assert.deepEqual(found, (reverse ? stream.toReversed() : stream).map(expectedOf));
    }),
  ),
  fc.record({ book: where.book, seqnum: fc.nat(60) }).map((one) =>
    command(`setAux ${JSON.stringify(one)}`, (_model, { log }) => {
      log.book(one.book).setAux(one.seqnum, Buffer.from("hint"));
      return Promise.resolve();
    }),
  ),
  fc.record({ ...where, back: fc.nat(8) }).map((one) =>
    command(`trim ${JSON.stringify(one)}`, async (model, { log }) => {
      const upTo = Math.max(0, model.tail - 1 - one.back);
      model.trim(one.book, one.tag, upTo);
      await log.book(one.book).trim({ tag: one.tag, upTo });
    }),
  ),
  where.book.map((book) =>
    command(`drop ${book}`, async (model, { log }) => {
      const upTo = model.tail - 1;
      model.trim(book, undefined, upTo);
      if (model.tail === upTo + 1) model.tail++;
      await log.book(book).drop();
      assert.ok(!(await log.books()).includes(book));
    }),
  ),
  fc.constant(command("look at everything", (model, { log }) => lookAtEverything(model, log))),
  fc.constant(
    command("backup, restore and look at everything", async (model, real) => {
      const copy = await real.copy?.();
      if (copy === undefined) return;
      try {
        await lookAtEverything(model, copy);
      } finally {
        await copy.close();
      }
    }),
  ),
  // Forward by less than an hour in all, so that no tag is forgotten; back by a year.
  fc.constantFrom(-365 * 24 * 3_600_000, -1000, 1, 30_000).map((ms) =>
    command(`the clock jumps by ${ms} ms`, (_model, { clock }) => {
      clock.setWall(Math.max(1, clock.now() + ms));
      clock.advance(1000);
      return Promise.resolve();
    }),
  ),
  fc.constant(command("checkpoint", (_model, real) => (real.log as Session).engine.checkpoint())),
  fc.constant(command("close and reopen", (_model, real) => real.reopen())),
  fc.constant(command("crash and reopen", (_model, real) => real.crash())),
];

async function lookAtEverything(model: Model, log: Log): Promise<void> {
  assert.equal(await log.book("x").tail(), model.tail);
  const times: [number, number][] = [];
  for (const book of books) {
    const found: unknown[] = [];
    for await (const record of log.book(book).read()) {
      found.push(seen(record));
      times.push([record.seqnum, record.time]);
    }
    assert.deepEqual(found, model.stream(book, undefined).map(expectedOf));
  }
  times.sort(([a], [b]) => a - b);
  for (let i = 1; i < times.length; i++) assert.ok(times[i]![1] >= times[i - 1]![1], "L9 time never decreases");
  const records = books.map((book) => model.stream(book, undefined).length);
  assert.equal((await log.stats()).records, records[0]! + records[1]!);
  assert.deepEqual(
    await log.books(),
    books.filter((book) =>
      model.entries.some((entry) => entry.book === book && entry.seqnum > model.trimPoint(book, undefined)),
    ),
  );
}

async function agree(make: () => Promise<Real & { end(): Promise<void> }>, numRuns: number): Promise<void> {
  const seed = process.env["SEED"] === undefined ? undefined : Number(process.env["SEED"]);
  const path = process.env["FC_PATH"];
  await fc.assert(
    fc.asyncProperty(
      fc.commands([...commands, ...commands.slice(-6)], { maxCommands: 40, size: "max" }),
      async (sequence) => {
        const real = await make();
        try {
          await fc.asyncModelRun(() => ({ model: new Model(), real }), sequence);
        } finally {
          await real.end();
        }
      },
    ),
    // A failure prints seed and path; SEED and FC_PATH replay it.
    { numRuns: numRuns * runs, ...(seed === undefined ? {} : { seed }), ...(path === undefined ? {} : { path }) },
  );
}

let names = 0;

async function memory(): Promise<Real & { end(): Promise<void> }> {
  const url = `memory:model-${++names}`;
  const clock = new VirtualClock();
  const real = {
    clock,
    log: await openLog(url, { clock }),
    async reopen() {
      await real.log.close();
      real.log = await openLog(url, { clock });
    },
    // What is in memory has nothing to lose but the process.
    crash: () => real.reopen(),
    end: () => real.log.close(),
  };
  return real;
}

async function file(): Promise<Real & { end(): Promise<void> }> {
  const root = mkdtempSync(join(tmpdir(), "boki-model-"));
  let copies = 0;
  let folder = join(root, "0");
  // Segments so small that they are rewritten and removed under way.
  const clock = new VirtualClock();
  const options = { clock, cacheBytes: 2000, auxBytes: 500, segmentSizes: { min: 8192, max: 8192 } };
  const real = {
    clock,
    log: await openOn(folder, options),
    async copy() {
      const backup = join(root, `backup-${++copies}`);
      const restored = join(root, `restored-${copies}`);
      await real.log.backup(backup);
      await restore(backup, restored);
      return openOn(restored, options);
    },
    async reopen() {
      await real.log.close();
      real.log = await openOn(folder, options);
    },
    // The folder as a killed process leaves it, opened while the old owner still believes in its own.
    async crash() {
      const copy = join(root, String(++copies));
      cpSync(folder, copy, { recursive: true, filter: (path) => !path.includes("/.lock") });
      await real.log.close();
      rmSync(folder, { recursive: true });
      folder = copy;
      real.log = await openOn(folder, options);
    },
    async end() {
      await real.log.close();
      rmSync(root, { recursive: true });
    },
  };
  return real;
}

describe("a log agrees with an array, whatever is done to it", () => {
  it("L1 L2 L3 L5 L6 L9 in memory", async function () {
    this.timeout(runs * 60_000);
    await agree(memory, 300);
  });

  it("L1 L2 L3 L5 L6 L9 in a folder, closed and killed in between", async function () {
    this.timeout(runs * 120_000);
    await agree(file, 80);
  });
});
