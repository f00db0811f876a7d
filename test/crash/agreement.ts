/**
 * Whether a newly opened log agrees with all that is known of it: what was acknowledged is there, what was refused or trimmed is
 * not, and every decision is one that the records and trims that are there give.
 *
 * Appends under way that are found are a prefix of those, in call order; one that is missing in between was refused by its
 * condition. A trim under way has happened wholly or not at all.
 */
import assert from "node:assert/strict";
import type { Condition, Log, LogRecord } from "../../core/types.js";
import { type Call, dataOf, type History, idOf } from "./history.js";

/** How far behind log time a trimmed tag may be forgotten (L3). */
const horizonMs = 3_600_000;

/** Compares a log that was just opened, and to which nothing was appended since, with all that is known. */
export async function checkAgreement(history: History, log: Log): Promise<void> {
  await new Agreement(history).check(log);
}

/** Names a stream: of a tag in a book, or of all that is in the book. */
const keyOf = (book: string, tag?: string): string => (tag === undefined ? book : `${book}/${tag}`);

class Agreement {
  readonly #history: History;
  /** By id. */
  readonly #found = new Map<number, LogRecord>();
  /** Seqnums that are read from streams of tags. */
  readonly #streams = new Map<string, Set<number>>();
  /** Of whole books, as the log says it. */
  readonly #trimPoints = new Map<string, number>();
  /** What the history has of each tag, ascending, trimmed or not. */
  readonly #there = new Map<string, Call[]>();
  readonly #hidden = new Map<string, number>();

  constructor(history: History) {
    this.#history = history;
  }

  async check(log: Log): Promise<void> {
    // All that is read first: what is settled then does not hang on how far a failing disk let us come.
    const streams = new Map(
      this.#history.calls.flatMap(({ book, tags }) => tags.map((tag) => [keyOf(book, tag), [book, tag] as const])),
    );
    for (const book of new Set(this.#history.calls.map((call) => call.book))) await this.#readBook(log, book);
    for (const [key, [book, tag]] of streams) {
      const seqnums = new Set<number>();
      for await (const { seqnum } of log.book(book).read({ tag, head: true })) seqnums.add(seqnum);
      this.#streams.set(key, seqnums);
    }
    this.#settleTrims();
    const { calls } = this.#history;
    for (const call of calls) this.#settle(call, this.#found.get(call.id));
    this.#collect();
    for (const call of calls) this.#checkSeen(call);
    for (const id of this.#found.keys()) assert.ok(calls[id] !== undefined, `record #${id} was never appended`);
    this.#checkOrder();
    for (const call of calls) this.#checkConditions(call);
    for (const [key, [book, tag]] of streams) this.#checkStream(key, book, tag);
  }

  async #readBook(log: Log, name: string): Promise<void> {
    const book = log.book(name);
    let last = 0;
    for await (const record of book.read()) {
      assert.ok(record.seqnum > last, "L1 seqnums rise");
      last = record.seqnum;
      const id = idOf(record.data);
      assert.ok(!this.#found.has(id), `L8 record #${id} is there twice`);
      assert.equal(this.#history.calls[id]?.book, name, `record #${id} is in the book it was appended to`);
      this.#found.set(id, record);
    }
    const trimPoint = await book.readNext({ from: 1, head: true }).then(
      () => 0,
      (error: { trimPoint?: number }) => error.trimPoint ?? Promise.reject(error as Error),
    );
    this.#trimPoints.set(name, trimPoint);
  }

  // What was under way

  #settleTrims(): void {
    const { trims } = this.#history;
    for (const trim of trims) {
      const { book, tag, upTo } = trim;
      const name = `the trim of ${keyOf(book, tag)} up to ${upTo}`;
      assert.notEqual(trim.state, "waiting", `${name} was answered`);
      if (trim.state !== "unknown") continue;
      // Whether a tag's trim is partly there shows when the stream is compared.
      const isDone =
        tag === undefined
          ? this.#trimPoints.get(book)! >= upTo
          : ![...(this.#streams.get(keyOf(book, tag)) ?? [])].some((seqnum) => seqnum <= upTo);
      trim.state = isDone ? "there" : "gone";
    }
    for (const [book, found] of this.#trimPoints)
      assert.ok(found >= this.#history.trimPoint(book), `L6 ${book} is trimmed as far as it was asked for`);
  }

  #settle(call: Call, record: LogRecord | undefined): void {
    assert.notEqual(call.state, "waiting", `${nameOf(call)} was answered`);
    if (call.state !== "unknown") return;
    call.state = record === undefined ? "gone" : "there";
    if (record !== undefined) [call.seqnum, call.time] = [record.seqnum, record.time];
  }

  /** What is asked for often from here on. */
  #collect(): void {
    for (const call of this.#history.calls) {
      for (const tag of call.tags) {
        const key = keyOf(call.book, tag);
        if (!this.#hidden.has(key)) this.#hidden.set(key, this.#history.trimPoint(call.book, tag));
        if (call.state !== "there") continue;
        const there = this.#there.get(key);
        if (there === undefined) this.#there.set(key, [call]);
        else there.push(call);
      }
    }
    for (const there of this.#there.values()) there.sort((a, b) => a.seqnum - b.seqnum);
  }

  // Records

  #checkSeen(call: Call): void {
    const name = nameOf(call);
    const record = this.#found.get(call.id);
    if (call.state !== "there") {
      assert.equal(record, undefined, `L7 ${name} ended as "${call.state}" and is there`);
    } else if (!call.tags.some((tag) => !this.#isHidden(call, tag))) {
      assert.equal(record, undefined, `L6 ${name} at ${call.seqnum} was trimmed and is there`);
    } else {
      assert.ok(record !== undefined, `L2 ${name} was acknowledged at ${call.seqnum} and is lost`);
      assert.deepEqual([record.seqnum, record.time], [call.seqnum, call.time], `L2 ${name} has its seqnum and time`);
      assert.deepEqual(record.tags, call.tags, `${name} has its tags`);
      assert.ok(Buffer.from(record.data).equals(dataOf(call)), `L2 ${name} has its data`);
    }
  }

  #checkStream(key: string, book: string, tag: string): void {
    const expected = (this.#there.get(key) ?? []).filter((call) => !this.#isHidden(call, tag));
    assert.deepEqual(
      [...this.#streams.get(key)!],
      expected.map(({ seqnum }) => seqnum),
      `the stream of ${tag} in ${book}`,
    );
  }

  #isHidden({ book, seqnum }: Call, tag: string): boolean {
    return seqnum <= this.#hidden.get(keyOf(book, tag))!;
  }

  /** In call order, seqnums rise, and nothing is missing before what is there. */
  #checkOrder(): void {
    const { calls, isConcurrent } = this.#history;
    const lastOf = new Map<number, Call>();
    const missingOf = new Map<number, Call[]>();
    for (const call of calls) {
      const missing = missingOf.get(call.session) ?? [];
      missingOf.set(call.session, missing);
      if (call.state === "gone" && !call.isGivenUp) missing.push(call);
      if (call.state !== "there") continue;
      const before = lastOf.get(isConcurrent ? call.session : 0);
      if (before !== undefined) {
        assert.ok(call.seqnum > before.seqnum, `L1 #${before.id} was called before #${call.id}`);
        assert.ok(call.time! >= before.time!, `L9 the time of #${call.id} is not before that of #${before.id}`);
      }
      for (const one of missing.splice(0)) {
        if (one.answeredAt < call.calledAt) continue;
        const mayBeRefused = one.unless.some(
          ({ tag, after }) =>
            (this.#last(one.book, tag, call.seqnum)?.seqnum ?? 0) > after || this.#mayBeUnknown(one, { tag, after }),
        );
        assert.ok(mayBeRefused, `L1 #${call.id} is there, and #${one.id}, called before it, is not`);
      }
      lastOf.set(isConcurrent ? call.session : 0, call);
    }
  }

  // Decisions (L3)

  #checkConditions(call: Call): void {
    if (call.state !== "there" && call.state !== "refused") return;
    const conditions = [...lowest(call.unless)].map(([tag, after]) => ({ tag, after }));
    if (call.state === "there") {
      for (const condition of conditions)
        assert.ok(this.#mayPass(call, condition, call.seqnum), `L3 #${call.id} is there against its condition`);
      return;
    }
    const { tag, after: seqnum } = call.conflict!;
    const place = conditions.findIndex((condition) => condition.tag === tag && condition.after < seqnum);
    assert.ok(place >= 0, `L3 #${call.id} has a condition that ${seqnum} fails`);
    const isLast = this.#last(call.book, tag, seqnum + 1)?.seqnum === seqnum;
    // Of a tag that is not known, the horizon stands in for its last record.
    if (!isLast) {
      const isUnknown = this.#mayBeUnknown(call, conditions[place]!);
      assert.ok(isUnknown, `L3 the reason of #${call.id} is there`);
    }
    for (const earlier of conditions.slice(0, place))
      assert.ok(this.#mayPass(call, earlier, seqnum), `L3 #${call.id} names the first reason`);
  }

  /** Nothing of the tag is above `after`; or all of it was trimmed an hour after it came, and who asks takes it for new. */
  #mayPass(call: Call, { tag, after }: Condition, below: number): boolean {
    const last = this.#last(call.book, tag, below);
    if (last === undefined || last.seqnum <= after) return true;
    return after === 0 && this.#isHidden(last, tag) && (call.time === undefined || call.time - last.time! >= horizonMs);
  }

  /** A condition on a tag may be decided by the horizon: nothing of it is left, and its book was trimmed. */
  #mayBeUnknown({ id, book }: Call, { tag, after }: Condition): boolean {
    if (after === 0 || !this.#history.trims.some((trim) => trim.state === "there" && trim.book === book)) return false;
    const before = this.#there.get(keyOf(book, tag))?.findLast((call) => call.id < id);
    return before === undefined || this.#isHidden(before, tag);
  }

  #last(book: string, tag: string, below: number): Call | undefined {
    return this.#there.get(keyOf(book, tag))?.findLast(({ seqnum }) => seqnum < below);
  }
}

function nameOf({ id, session }: Call): string {
  return `#${id} of session ${session}`;
}

/** A tag named twice counts with its lowest `after`. */
function lowest(conditions: readonly Condition[]): Map<string, number> {
  const lowest = new Map<string, number>();
  for (const { tag, after } of conditions) lowest.set(tag, Math.min(after, lowest.get(tag) ?? after));
  return lowest;
}
