/** Random commands on a log and on an array, compared after every step; with close and reopen, and crash, among them. */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { openLog } from "../../core/index.js";
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

  stream(book: string, tag: string | undefined): Entry[] {
    return this.entries.filter((entry) => entry.book === book && (tag === undefined || entry.tags.includes(tag)));
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
      const last = this.stream(book, tag).at(-1)?.seqnum ?? 0;
      if (last > after) return { ok: false, conflict: { tag, seqnum: last } };
    }
    this.entries.push({ seqnum, book, tags: [...new Set(tags)], text });
    return { ok: true, seqnum };
  }
}

/** The log under test, and how it is opened again. */
interface Real {
  log: Log;
  reopen(): Promise<void>;
  crash(): Promise<void>;
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

const where = { book: fc.constantFrom(...books), tag: fc.option(tag, { nil: undefined }) };
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
  fc.constant(
    command("tail", async (model, { log }) => {
      assert.equal(await log.book("x").tail(), model.tail);
      assert.equal(log.stats().records, model.entries.length);
    }),
  ),
  fc.constant(command("close and reopen", (_model, real) => real.reopen())),
  fc.constant(command("crash and reopen", (_model, real) => real.crash())),
];

async function agree(make: () => Promise<Real & { end(): Promise<void> }>, numRuns: number): Promise<void> {
  const seed = process.env["SEED"] === undefined ? undefined : Number(process.env["SEED"]);
  const path = process.env["FC_PATH"];
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 40, size: "max" }), async (sequence) => {
      const real = await make();
      try {
        await fc.asyncModelRun(() => ({ model: new Model(), real }), sequence);
      } finally {
        await real.end();
      }
    }),
    // A failure prints seed and path; SEED and FC_PATH replay it.
    { numRuns: numRuns * runs, ...(seed === undefined ? {} : { seed }), ...(path === undefined ? {} : { path }) },
  );
}

let names = 0;

async function memory(): Promise<Real & { end(): Promise<void> }> {
  const url = `memory:model-${++names}`;
  const real = {
    log: await openLog(url),
    async reopen() {
      await real.log.close();
      real.log = await openLog(url);
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
  const options = { cacheBytes: 2000, auxBytes: 500 };
  const real = {
    log: await openLog(`file:${folder}`, options),
    async reopen() {
      await real.log.close();
      real.log = await openLog(`file:${folder}`, options);
    },
    // The folder as a killed process leaves it, opened while the old owner still believes in its own.
    async crash() {
      const copy = join(root, String(++copies));
      cpSync(folder, copy, { recursive: true, filter: (path) => !path.includes("/.lock") });
      await real.log.close();
      rmSync(folder, { recursive: true });
      folder = copy;
      real.log = await openLog(`file:${folder}`, options);
    },
    async end() {
      await real.log.close();
      rmSync(root, { recursive: true });
    },
  };
  return real;
}

describe("a log agrees with an array, whatever is done to it", () => {
  it("L1 L2 L3 L5 in memory", async function () {
    this.timeout(runs * 60_000);
    await agree(memory, 300);
  });

  it("L1 L2 L3 L5 in a folder, closed and killed in between", async function () {
    this.timeout(runs * 120_000);
    await agree(file, 80);
  });
});
