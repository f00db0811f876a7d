/**
 * Sessions that do whatever can be done to a log, over a bad way, and what they see: each thing is checked where it is known at once,
 * and against the log as the server has it at the end.
 *
 * Book x is never trimmed and takes all errors; book y is trimmed, by sessions that have time; each session drops a book of its own.
 */
import assert from "node:assert/strict";
import { openLog } from "../../core/index.js";
import { LogError } from "../../core/errors.js";
import { pick } from "../../core/testing/random.js";
import type { Condition, Log, LogBook, LogRecord } from "../../core/types.js";
import { checkAgreement } from "../crash/agreement.js";
import { type Call, type Draft, History, idOf } from "../crash/history.js";

const tags = ["a", "b", "c"] as const;
const end = "end";

/** What a read gave, to be compared with the log at the end. */
interface Look {
  readonly what: string;
  readonly tag: string | undefined;
  readonly from: number;
  readonly to: number;
  readonly found: readonly number[];
}

/** Positions that a subscriber was given, one after the other. */
class Listener {
  readonly parts: { from: number; seqnums: number[] }[] = [];
  readonly done: Promise<void>;
  #finish!: () => void;
  #fail!: (error: Error) => void;
  gaps = 0;
  #endAt = Infinity;

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.done.catch(() => undefined);
  }

  record({ seqnum, tags }: LogRecord): void {
    const { from, seqnums } = this.parts.at(-1)!;
    if (seqnum <= from || seqnum <= (seqnums.at(-1) ?? 0))
      this.#fail(new Error(`a subscription gave ${seqnum} behind ${seqnums.at(-1)}, from ${from} on`));
    seqnums.push(seqnum);
    if (tags.includes(end)) this.#finish();
  }

  begin(position: number): void {
    this.parts.push({ from: position, seqnums: [] });
  }

  gap({ position }: { readonly position: number }): void {
    this.gaps++;
    this.begin(position);
    if (position >= this.#endAt) this.#finish();
  }

  /** The last record is at this position, which may be in a gap. */
  endsAt(seqnum: number): void {
    this.#endAt = seqnum;
    if (this.parts.at(-1)!.from >= seqnum) this.#finish();
  }

  end(error: Error): void {
    this.#fail(error);
  }
}

export class Chaos {
  readonly history = new History(true);
  readonly random: () => number;
  readonly looks: Look[] = [];
  /** The highest position that anybody has been told of: of an append, or as a tail. */
  acknowledged = 0;
  tail = 0;
  readonly sessions: ChaosSession[] = [];

  constructor(random: () => number) {
    this.random = random;
  }

  async open(url: string, timeoutMs: number | undefined): Promise<ChaosSession> {
    const session = new ChaosSession(this, this.sessions.length, url, timeoutMs);
    this.sessions.push(session);
    await session.open();
    return session;
  }

  /** What everybody saw agrees with the log, to which nothing is appended any more. `log` has it in this process. */
  async check(log: Log): Promise<void> {
    await log.book("x").append(Buffer.from(end), { tags: [end] });
    const { seqnum } = await log.book("y").append(Buffer.from(end), { tags: [end] });
    for (const session of this.sessions) await session.finish(seqnum);
    const books = { x: [] as LogRecord[], y: [] as LogRecord[] };
    for (const name of ["x", "y"] as const)
      for await (const record of log.book(name).read()) if (!record.tags.includes(end)) books[name].push(record);
    for (const look of this.looks) checkLook(look, books.x);
    for (const session of this.sessions) session.check(books.x, books.y);
    await checkAgreement(this.history, withoutEnd(log));
    const { ok, damage } = await log.verify();
    assert.ok(ok, JSON.stringify(damage));
  }
}

/** The history does not know of the records at the end. */
function withoutEnd(log: Log): Log {
  const book = (name: string): LogBook => {
    const real = log.book(name);
    return new Proxy(real, {
      get: (_target, key) => {
        if (key === "read")
          return async function* (options?: object) {
            for await (const record of real.read(options)) if (!record.tags.includes(end)) yield record;
          };
        const value = Reflect.get(real, key, real) as unknown;
        return typeof value === "function" ? (value.bind(real) as unknown) : value;
      },
    });
  };
  return { book } as unknown as Log;
}

function checkLook({ what, tag, from, to, found }: Look, records: readonly LogRecord[]): void {
  const there = records
    .filter(({ seqnum, tags }) => seqnum >= from && seqnum <= to && (tag === undefined || tags.includes(tag)))
    .map(({ seqnum }) => seqnum);
  assert.deepEqual(found, there, `L4 ${what} of ${tag ?? "all"} from ${from} to ${to}`);
}

export class ChaosSession {
  readonly #chaos: Chaos;
  readonly #id: number;
  readonly #url: string;
  readonly #timeoutMs: number | undefined;
  #log!: Log;
  #seen = 0;
  #drops = 0;
  readonly #work: Promise<void>[] = [];
  readonly #listeners = { x: new Listener(), y: new Listener() };
  readonly #followed: { readonly tag: string | undefined; readonly seqnums: number[] }[] = [];

  constructor(chaos: Chaos, id: number, url: string, timeoutMs: number | undefined) {
    this.#chaos = chaos;
    this.#id = id;
    this.#url = url;
    this.#timeoutMs = timeoutMs;
  }

  get #isHasty(): boolean {
    return this.#timeoutMs !== undefined;
  }

  async open(): Promise<void> {
    const options = this.#timeoutMs === undefined ? {} : { timeoutMs: this.#timeoutMs };
    for (;;) {
      try {
        this.#log = await openLog(this.#url, { ...options, cacheBytes: pick(this.#chaos.random, [0, 100_000]) });
        break;
      } catch (error) {
        this.#allowed(error);
      }
    }
    for (const book of ["x", "y"] as const) {
      const listener = this.#listeners[book];
      listener.begin(0);
      const { position } = await this.#log.book(book).subscribe(listener);
      // Records may come before the answer does.
      listener.parts[0]!.from = position;
    }
    for (const tag of [undefined, pick(this.#chaos.random, tags)]) {
      const seqnums: number[] = [];
      this.#followed.push({ tag, seqnums });
      this.#work.push(this.#follow(tag, seqnums));
    }
  }

  async #follow(tag: string | undefined, seqnums: number[]): Promise<void> {
    const book = this.#log.book("x");
    const isHead = this.#chaos.random() < 0.3;
    const records = isHead ? book.read({ follow: true, head: true }) : book.read({ follow: true });
    for await (const { seqnum, tags } of records) {
      if (tags.includes(end)) return;
      if (tag === undefined || tags.includes(tag)) seqnums.push(seqnum);
    }
  }

  /** Only those in a hurry hear of trouble. */
  #allowed(error: unknown): void {
    if (error instanceof LogError && error.code === "LOG_ABORTED") return;
    const codes = ["LOG_TIMEOUT", "LOG_UNAVAILABLE"];
    if (this.#isHasty && error instanceof LogError && codes.includes(error.code)) return;
    throw error;
  }

  async run(steps: number): Promise<void> {
    const { random } = this.#chaos;
    const one = async (): Promise<void> => {
      for (let i = 0; i < steps; i++) {
        try {
          await this.#step();
        } catch (error) {
          this.#allowed(error);
        }
        if (random() < 0.2) await new Promise((done) => setTimeout(done, random() * 20));
      }
    };
    await Promise.all([one(), one(), one(), one()]);
  }

  async #step(): Promise<void> {
    const { random } = this.#chaos;
    const signal = random() < 0.15 ? AbortSignal.timeout(Math.floor(random() * 60)) : undefined;
    const steps = [
      () => this.#append(1, signal),
      () => this.#append(1 + Math.floor(random() * 30), signal),
      () => this.#append(1 + Math.floor(random() * 30), signal, true),
      () => this.#next(signal),
      () => this.#prev(signal),
      () => this.#read(signal),
      () => this.#tail(signal),
      () => this.#wait(signal),
      () => (this.#isHasty ? this.#next(signal) : this.#trim()),
      () => (this.#isHasty ? this.#prev(signal) : this.#drop()),
    ];
    await pick(random, steps)();
  }

  #saw(seqnum: number): void {
    this.#seen = Math.max(this.#seen, seqnum);
  }

  #draft(): Draft {
    const { random, history } = this.#chaos;
    const book = this.#isHasty || random() < 0.7 ? "x" : "y";
    const some = tags.filter(() => random() < 0.4);
    let unless: Condition[] | undefined;
    if (random() < 0.4) {
      const tag = pick(random, tags);
      unless = [{ tag, after: Math.max(0, history.last(book, tag) - Math.floor(random() * 3)) }];
    }
    const size = random() < 0.05 ? Math.floor(random() * 200_000) : Math.floor(random() * 200);
    return { book, tags: some.length > 0 ? some : ["a"], unless, size, session: this.#id };
  }

  /** Several at once, each alone or all together. Own appends are seen once they resolve, and no position is given back. */
  async #append(count: number, signal: AbortSignal | undefined, together = false): Promise<void> {
    const { history } = this.#chaos;
    const floor = Math.max(this.#chaos.acknowledged, this.#chaos.tail - 1);
    const book = this.#draft().book;
    const begun = Array.from({ length: count }, () => history.begin({ ...this.#draft(), book }));
    const calls = begun.map(({ call }) => call);
    // Who is trimmed must be known.
    const options = book === "y" || signal === undefined ? {} : { signal };
    const target = this.#log.book(book);
    if (together) {
      await history.answer(
        calls,
        target.appendAll(
          begun.map(({ input }) => input),
          options,
        ),
      );
      for (const call of calls) call.isGivenUp = call.state === "unknown";
    } else {
      await Promise.all(
        begun.map(({ call, input: { data, tags, unless } }) =>
          history.answer(
            [call],
            (unless === undefined
              ? target.append(data, { tags, ...options })
              : target.append(data, { tags, unless, ...options })
            ).then((result) => [result]),
          ),
        ),
      );
    }
    for (const call of calls) await this.#appended(call, floor);
  }

  async #appended(call: Call, floor: number): Promise<void> {
    if (call.state === "unknown" || call.state === "none") {
      if (!this.#isHasty && call.book === "y") assert.fail(`L7 #${call.id} failed`);
      return;
    }
    if (call.state !== "there") return;
    assert.ok(call.seqnum > floor, `L1 ${call.seqnum} was called when ${floor} was known`);
    this.#chaos.acknowledged = Math.max(this.#chaos.acknowledged, call.seqnum);
    this.#saw(call.seqnum);
    if (call.book !== "x" || this.#chaos.random() < 0.7) return;
    const found = await this.#log.book("x").readNext({ from: call.seqnum });
    assert.equal(found?.seqnum, call.seqnum, "L4 a session sees its own append");
    assert.equal(idOf(found.data), call.id);
  }

  async #next(signal: AbortSignal | undefined): Promise<void> {
    const { random, looks } = this.#chaos;
    const [tag, seen] = [this.#tag(), this.#seen];
    const from = Math.floor(random() * (seen + 2));
    const found = await this.#log.book("x").readNext({ tag, from, signal });
    const to = found?.seqnum ?? seen;
    looks.push({ what: "readNext", tag, from, to, found: found === undefined ? [] : [found.seqnum] });
    this.#saw(to);
  }

  async #prev(signal: AbortSignal | undefined): Promise<void> {
    const { random, looks } = this.#chaos;
    const [tag, seen] = [this.#tag(), this.#seen];
    const upTo = random() < 0.5 ? undefined : Math.floor(random() * (seen + 1));
    const found = await this.#log.book("x").readPrev({ tag, upTo, signal });
    const from = found?.seqnum ?? 0;
    // Without a bound it is the newest that there was then: at least all that was seen before.
    const to = upTo ?? Math.max(seen, from);
    looks.push({ what: "readPrev", tag, from, to, found: found === undefined ? [] : [found.seqnum] });
    this.#saw(from);
  }

  async #read(signal: AbortSignal | undefined): Promise<void> {
    const { random, looks } = this.#chaos;
    const [tag, seen] = [this.#tag(), this.#seen];
    const from = Math.floor(random() * (seen + 1));
    const to = random() < 0.5 ? undefined : from + Math.floor(random() * 200);
    const reverse = random() < 0.4;
    const found: number[] = [];
    for await (const { seqnum } of this.#log.book("x").read({ tag, from, to, reverse, signal })) found.push(seqnum);
    if (reverse) found.reverse();
    const last = found.at(-1) ?? 0;
    this.#saw(last);
    looks.push({ what: "read", tag, from, to: Math.min(to ?? Infinity, Math.max(seen, last)), found });
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    const { random, looks } = this.#chaos;
    const tag = this.#tag();
    const from = this.#seen + 1;
    const found = await this.#log
      .book("x")
      .readNext({ tag, from, wait: true, timeoutMs: Math.floor(random() * 100), signal });
    if (found === undefined || found.tags.includes(end)) return;
    looks.push({ what: "a wait", tag, from, to: found.seqnum, found: [found.seqnum] });
    this.#saw(found.seqnum);
  }

  async #tail(signal: AbortSignal | undefined): Promise<void> {
    const floor = Math.max(this.#chaos.acknowledged + 1, this.#chaos.tail);
    const isSync = this.#chaos.random() < 0.5;
    const tail = await (isSync ? this.#log.book("x").sync({ signal }) : this.#log.book("x").tail({ signal }));
    assert.ok(tail >= floor, `L4 the tail ${tail} is behind ${floor}`);
    this.#chaos.tail = Math.max(this.#chaos.tail, tail);
    if (isSync) this.#saw(tail - 1);
  }

  async #trim(): Promise<void> {
    const { random, history } = this.#chaos;
    const tag = this.#tag();
    const upTo = history.last("y", tag ?? "a");
    if (upTo === 0 || random() < 0.5) return;
    const book = this.#log.book("y");
    const trim = history.beginTrim("y", tag, upTo);
    await history.answerTrim(trim, book.trim(tag === undefined ? { upTo } : { tag, upTo }));
    assert.equal(trim.state, "there");
    for (const read of [
      book.readNext({ tag, from: upTo }),
      book.readPrev({ tag, upTo }),
      book.read({ tag, from: upTo }).next(),
    ])
      await assert.rejects(read as Promise<unknown>, (error: LogError) => {
        assert.equal(error.code, "LOG_TRIMMED");
        assert.ok(error.trimPoint! >= upTo, "L6");
        return true;
      });
  }

  /** Of a book that nobody else has. */
  async #drop(): Promise<void> {
    const book = this.#log.book(`own-${this.#id}-${this.#drops++}`);
    await book.append(Buffer.from("1"), { tags: ["t"] });
    const dropped = book.drop();
    const { seqnum } = await book.append(Buffer.from("2"), { tags: ["t"] });
    await dropped;
    assert.equal(
      (await book.readNext())?.seqnum,
      seqnum,
      "L6 what was before the drop is gone, what was behind it is not",
    );
  }

  #tag(): string | undefined {
    return this.#chaos.random() < 0.4 ? undefined : pick(this.#chaos.random, tags);
  }

  /** All that goes on has come to the end. */
  async finish(endOfY: number): Promise<void> {
    this.#listeners.y.endsAt(endOfY);
    await Promise.all(this.#work);
    await Promise.all([this.#listeners.x.done, this.#listeners.y.done]);
    await this.#log.close();
  }

  check(x: readonly LogRecord[], y: readonly LogRecord[]): void {
    for (const { tag, seqnums } of this.#followed)
      checkLook({ what: "a follow", tag, from: 0, to: Infinity, found: seqnums }, x);
    assert.equal(this.#listeners.x.gaps, 0, "nothing was trimmed in x");
    const [part] = this.#listeners.x.parts;
    const seqnums = part!.seqnums.slice(0, -1);
    checkLook({ what: "a subscription", tag: undefined, from: part!.from + 1, to: Infinity, found: seqnums }, x);
    // Between gaps nothing is missing of what is there still.
    for (const { from, seqnums } of this.#listeners.y.parts) {
      const given = new Set(seqnums);
      for (const { seqnum } of y)
        if (seqnum > from && seqnum <= (seqnums.at(-1) ?? 0))
          assert.ok(given.has(seqnum), `a subscription left out ${seqnum}`);
    }
  }
}
