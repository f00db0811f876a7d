/** A log on a fault disk that is kept busy: what may be done to it, how often, and what is known of it then. */
import assert from "node:assert/strict";
import { FaultDisk, randomSource, VirtualClock, type DiskOperation } from "../../core/testing.js";
import type { AppendResult, Condition, Log, LogBook } from "../../core/types.js";
import { openOn } from "../loglet/on-disk.js";
import { checkAgreement } from "./agreement.js";
import { History, type Call, type Draft } from "./history.js";

const folder = "/log";
const books = ["x", "y"] as const;
const tags = ["a", "b", "c", "d"] as const;
/** So small that a log soon has many, of which some can be removed or written again. */
const segmentSizes = { min: 32_768, max: 65_536 };
const hourMs = 3_600_000;

/** What an opening may fail with when a call of the disk fails. */
const failures = new Set(["LOG_IO", "LOG_FULL"]);

export class BusyLog {
  readonly random: () => number;
  readonly clock = new VirtualClock();
  readonly history = new History();
  disk: FaultDisk;
  log!: Log;
  /** A call of the disk was ordered to fail, and may not have come yet. */
  faulty = false;
  #waiting: Promise<void>[] = [];

  constructor(seed: number, lies: boolean) {
    this.random = randomSource(seed);
    this.disk = new FaultDisk({ seed: seed + 1_000_000_007, lies, shortTransfers: this.random() < 0.3 });
  }

  upTo(count: number): number {
    return Math.floor(this.random() * (count + 1));
  }

  oneOf<const T>(items: readonly T[]): T {
    return items[this.upTo(items.length - 1)]!;
  }

  // Opening and closing

  /** Opens the log and checks it. False if the power went meanwhile. */
  async open(): Promise<boolean> {
    const { disk, clock, random } = this;
    for (let tries = 0; ; tries++) {
      let log: Log | undefined;
      try {
        const io = this.oneOf(["main", "worker"]);
        log = await openOn(folder, { disk, clock, random, io, segmentSizes, cacheBytes: this.oneOf([0, 100_000]) });
        this.history.session++;
        await checkAgreement(this.history, log);
        this.log = log;
        return true;
      } catch (error) {
        await log?.close().catch(() => undefined);
        if (error instanceof assert.AssertionError) throw error;
        if (!disk.powered) return false;
        if (!this.faulty || tries === 5 || !failures.has((error as { code?: string }).code ?? "")) throw error;
      }
    }
  }

  /** Closes in order, unless the disk is against it. */
  async close(): Promise<void> {
    await this.settle();
    await this.log?.close().catch((error: unknown) => this.#mustNotFail(error));
  }

  /** Something failed that only a disk with faults may make fail. */
  #mustNotFail(error: unknown): void {
    if (this.disk.powered && !this.faulty && this.disk.capacityBytes === Infinity) throw error;
  }

  // What is under way

  append(draft: Draft): void {
    const { call, input } = this.history.begin(draft);
    const { data, tags, unless } = input;
    const book = this.log.book(draft.book);
    const answer: Promise<AppendResult> =
      unless === undefined ? book.append(data, { tags }) : book.append(data, { tags, unless });
    const results = answer.then((result) => [result]);
    this.#wait(this.history.answer([call], results));
  }

  appendAll(book: string, drafts: readonly Omit<Draft, "book">[]): void {
    const begun = drafts.map((draft) => this.history.begin({ ...draft, book }));
    const answer = this.log.book(book).appendAll(begun.map(({ input }) => input));
    const calls = begun.map(({ call }) => call);
    this.#wait(this.history.answer(calls, answer));
  }

  trim(book: string, tag: string | undefined, upTo: number): void {
    if (this.history.isUnsure) return;
    const answer = this.log.book(book).trim({ upTo, tag });
    this.#wait(this.history.answerTrim(this.history.beginTrim(book, tag, upTo), answer));
  }

  async drop(name: string): Promise<void> {
    const book: LogBook = this.log.book(name);
    await this.settle();
    // Of a book that never had a record nothing is kept.
    if (this.history.isUnsure || !this.history.calls.some((call) => call.state === "there" && call.book === name))
      return;
    // It is the next entry, and hides all before it.
    const trim = this.history.beginTrim(name, undefined, (await book.tail()) - 1);
    await this.history.answerTrim(trim, book.drop());
  }

  checkpoint(): void {
    this.#wait(this.log.checkpoint().catch((error: unknown) => this.#mustNotFail(error)));
  }

  #wait(waiting: Promise<void>): void {
    // Awaited in settle(); until then nobody has handled it.
    waiting.catch(() => undefined);
    this.#waiting.push(waiting);
  }

  /** Waits for all answers. */
  async settle(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
  }

  // What to append and to trim

  draft(): Draft {
    const some: string[] = tags.filter(() => this.random() < 0.4);
    // One of its own, of which nothing is known once it is forgotten.
    if (some.length === 0 || this.random() < 0.3) some.push(ownTag(this.history.calls.length));
    return { book: this.oneOf(books), tags: some, size: Math.floor(this.random() ** 3 * 10_000) };
  }

  /** Around the places where decisions change. */
  conditional(): Draft {
    const draft = this.draft();
    const conditions = Array.from({ length: 1 + this.upTo(2) }, (): Condition => {
      const { calls } = this.history;
      const tag = this.random() < 0.3 && calls.length > 0 ? ownTag(this.upTo(calls.length)) : this.oneOf(tags);
      const last = this.history.last(draft.book, tag);
      return { tag, after: this.oneOf([0, last, last, Math.max(0, last - 1), this.upTo(this.history.tail + 3)]) };
    });
    return { ...draft, unless: conditions };
  }

  any(): Draft {
    return this.random() < 0.3 ? this.conditional() : this.draft();
  }

  /** Some record that is there and can be read. */
  seen(): Call | undefined {
    const seen = this.history.calls.filter((call) => call.state === "there" && this.history.isSeen(call));
    return seen.length === 0 ? undefined : this.oneOf(seen);
  }

  anyTrim(): void {
    const book = this.oneOf(books);
    const last = this.history.calls.findLast((call) => call.state === "there" && call.book === book)?.seqnum ?? 0;
    // Mostly nearly all of it, so that room can be given back.
    const upTo = Math.floor((last + 1) * this.random() ** 0.3);
    if (last > 0) this.trim(book, this.random() < 0.5 ? this.oneOf(tags) : undefined, Math.min(last, upTo));
  }
}

function ownTag(id: number): string {
  return `own-${id}`;
}

interface Command {
  readonly name: string;
  readonly weight: number;
  run(busy: BusyLog): void | Promise<void>;
}

/** What may be done to a log, and how often. */
const commands: readonly Command[] = [
  { name: "append", weight: 30, run: (busy) => busy.append(busy.any()) },
  { name: "append and wait", weight: 10, run: (busy) => (busy.append(busy.any()), busy.settle()) },
  { name: "let the event loop turn", weight: 15, run: () => new Promise((resolve) => setImmediate(resolve)) },
  {
    name: "burst",
    weight: 10,
    run: (busy) => {
      for (let left = 2 + busy.upTo(28); left > 0; left--) busy.append(busy.any());
    },
  },
  {
    name: "appendAll",
    weight: 8,
    run: (busy) =>
      busy.appendAll(
        busy.oneOf(books),
        Array.from({ length: busy.upTo(12) }, () => busy.any()),
      ),
  },
  {
    name: "an append that needs a segment of its own",
    weight: 2,
    run: (busy) => busy.append({ ...busy.any(), size: 50_000 + busy.upTo(100_000) }),
  },
  { name: "trim", weight: 8, run: (busy) => busy.anyTrim() },
  {
    name: "trim single records, with all their tags",
    weight: 5,
    run: async (busy) => {
      await busy.settle();
      for (let left = 1 + busy.upTo(5); left > 0; left--) {
        const call = busy.seen();
        for (const tag of call?.tags ?? []) busy.trim(call!.book, tag, call!.seqnum);
      }
    },
  },
  { name: "drop a book", weight: 1, run: (busy) => busy.drop(busy.oneOf(books)) },
  {
    name: "checkpoint",
    weight: 10,
    run: async (busy) => {
      busy.checkpoint();
      if (busy.random() < 0.5) return;
      await busy.settle();
      // Before anything else is synced.
      if (busy.random() < 0.1) busy.disk.cutPowerAfter(0);
    },
  },
  {
    name: "conditions decide by what is there",
    weight: 5,
    run: async (busy) => {
      await busy.settle();
      const { history } = busy;
      const [book, tag] = [busy.oneOf(books), busy.oneOf(tags)];
      const last = history.last(book, tag);
      if (last < 2 || history.isUnsure) return;
      busy.append({ book, tags: [tag], unless: [{ tag, after: last - 1 }], size: 0 });
      busy.append({ book, tags: [tag], unless: [{ tag, after: last }], size: 1 });
      await busy.settle();
      const [stale, fresh] = history.calls.slice(-2) as [Call, Call];
      assert.notEqual(stale.state, "there", `L3 ${tag} after ${last - 1}`);
      // Of a tag that may be forgotten, nobody need know that this is the last.
      if (last > history.trimPoint(book, tag)) assert.notEqual(fresh.state, "refused", `L3 ${tag} after ${last}`);
    },
  },
  {
    name: "read back",
    weight: 5,
    run: async (busy) => {
      await busy.settle();
      const call = busy.seen();
      if (call === undefined) return;
      try {
        const record = await busy.log.book(call.book).readNext({ from: call.seqnum });
        assert.equal(record?.seqnum, call.seqnum, `L4 #${call.id} can be read`);
      } catch (error) {
        if (error instanceof assert.AssertionError || (busy.disk.powered && !busy.faulty)) throw error;
      }
    },
  },
  {
    name: "let time pass, or jump",
    weight: 5,
    run: (busy) => {
      busy.clock.advance(busy.random() < 0.3 ? hourMs + busy.upTo(hourMs) : busy.upTo(5000));
      if (busy.random() < 0.2) busy.clock.setWall(busy.clock.now() + busy.upTo(200_000) - 100_000);
      if (busy.random() < 0.1) busy.clock.setWall(busy.clock.now() + hourMs + busy.upTo(hourMs));
    },
  },
  {
    name: "a full disk, for a while",
    weight: 2,
    run: async (busy) => {
      await busy.settle();
      busy.disk.capacityBytes = busy.disk.usedBytes + busy.upTo(150_000);
      for (let left = busy.upTo(40); left > 0; left--) busy.append(busy.any());
      if (busy.random() < 0.5) busy.anyTrim();
      if (busy.random() < 0.5) busy.checkpoint();
      await busy.settle();
      busy.disk.capacityBytes = Infinity;
    },
  },
  {
    name: "close in order and open again",
    weight: 3,
    run: async (busy) => {
      await busy.close();
      await busy.open();
    },
  },
  {
    name: "a call of the disk fails, and the log is opened again",
    weight: 4,
    run: async (busy) => {
      await busy.settle();
      const operation = busy.oneOf<DiskOperation>([
        "sync",
        "sync",
        "write",
        "truncate",
        "rename",
        "remove",
        "syncFolder",
        "open",
        "read",
      ]);
      busy.faulty = true;
      busy.disk.failNext(operation, busy.oneOf(["EIO", "EIO", "ENOSPC"]), { after: busy.upTo(3) });
      for (let left = busy.upTo(20); left > 0; left--) busy.append(busy.any());
      if (busy.random() < 0.3) busy.append({ ...busy.any(), size: 100_000 });
      if (busy.random() < 0.5) busy.anyTrim();
      if (busy.random() < 0.5) busy.checkpoint();
      await busy.close();
      await busy.open();
    },
  },
];

const weights = commands.reduce((sum, { weight }) => sum + weight, 0);

export async function runSome(busy: BusyLog, count: number): Promise<void> {
  for (let left = count; left > 0 && busy.disk.powered; left--) {
    let at = busy.random() * weights;
    const command = commands.find(({ weight }) => (at -= weight) < 0)!;
    await command.run(busy);
  }
}
