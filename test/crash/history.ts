/**
 * What was asked of a log and what it answered, over all its openings; and the check that a newly opened log agrees with it.
 *
 * An append that failed with outcome "unknown" is settled by the next opening: what is found then stays, what is not found never
 * appears. Found ones are a prefix of those under way, in call order; one that is missing in between was refused by its condition.
 */
import assert from "node:assert/strict";
import type { AppendInput, AppendResult, Condition, Log, LogRecord } from "../../core/types.js";

/** One append of one opened log. */
export interface Call {
  readonly id: number;
  readonly session: number;
  readonly book: string;
  readonly tags: readonly string[];
  readonly unless: readonly Condition[];
  readonly size: number;
  /** When it was called and answered, as counts of all such events. */
  readonly calledAt: number;
  answeredAt: number;
  state: "waiting" | "there" | "refused" | "none" | "unknown" | "gone";
  seqnum: number;
  time: number | undefined;
  conflict: Condition | undefined;
}

export interface Draft {
  readonly book: string;
  readonly tags: readonly string[];
  readonly unless?: readonly Condition[] | undefined;
  readonly size: number;
}

export class History {
  readonly calls: Call[] = [];
  session = 0;
  #events = 0;

  /** A call that is about to be made, and its input. Every record has a tag of its own, which identifies it. */
  begin({ book, tags, unless, size }: Draft): { call: Call; input: AppendInput } {
    const call: Call = {
      id: this.calls.length,
      session: this.session,
      book,
      tags: [...tags, `#${this.calls.length}`],
      unless: unless ?? [],
      size,
      calledAt: ++this.#events,
      answeredAt: Infinity,
      state: "waiting",
      seqnum: 0,
      time: undefined,
      conflict: undefined,
    };
    this.calls.push(call);
    return { call, input: { data: dataOf(call), tags: call.tags, unless } };
  }

  /** Waits for the answer to calls that were made together. Rejects only if the log answers what it must not. */
  async answer(calls: readonly Call[], answer: Promise<readonly AppendResult[]>): Promise<void> {
    try {
      const results = await answer;
      results.forEach((result, i) => {
        const call = calls[i]!;
        call.answeredAt = ++this.#events;
        call.state = result.ok ? "there" : "refused";
        if (result.ok) [call.seqnum, call.time] = [result.seqnum, result.time];
        else call.conflict = { tag: result.conflict.tag, after: result.conflict.seqnum };
      });
    } catch (error) {
      const { outcome } = error as { outcome?: "none" | "unknown" };
      if (outcome === undefined) throw error;
      for (const call of calls) [call.answeredAt, call.state] = [++this.#events, outcome];
    }
  }

  /** The last record known to be there with a tag in a book, below a seqnum; 0 if there is none. */
  last(book: string, tag: string, below = Infinity): number {
    let last = 0;
    for (const call of this.calls) {
      if (call.state === "there" && call.seqnum > last && call.seqnum < below && call.book === book) {
        if (call.tags.includes(tag)) last = call.seqnum;
      }
    }
    return last;
  }

  get tail(): number {
    return this.calls.reduce((tail, call) => Math.max(tail, call.seqnum + 1), 1);
  }

  /** Compares a log that was just opened, and to which nothing was appended since, with all that is known. */
  async check(log: Log): Promise<void> {
    const found = await this.#readAll(log);
    for (const call of this.calls) this.#settle(call, found.get(call.id));
    for (const id of found.keys()) assert.ok(this.calls[id] !== undefined, `record #${id} was never appended`);
    this.#checkOrder();
    for (const call of this.calls) this.#checkConditions(call);
    await this.#checkTags(log);
  }

  async #readAll(log: Log): Promise<Map<number, LogRecord>> {
    const found = new Map<number, LogRecord>();
    for (const book of new Set(this.calls.map(({ book }) => book))) {
      let last = 0;
      for await (const record of log.book(book).read()) {
        assert.ok(record.seqnum > last, "L1 seqnums rise");
        last = record.seqnum;
        const id = Number(record.tags.at(-1)!.slice(1));
        assert.ok(!found.has(id), `L8 record #${id} is there twice`);
        const call = this.calls[id];
        assert.equal(call?.book, book, `record #${id} is in the book it was appended to`);
        found.set(id, record);
      }
    }
    return found;
  }

  #settle(call: Call, record: LogRecord | undefined): void {
    const name = `#${call.id} of session ${call.session}`;
    assert.notEqual(call.state, "waiting", `${name} was answered`);
    if (call.state === "there") {
      assert.ok(record !== undefined, `L2 ${name} was acknowledged at ${call.seqnum} and is lost`);
      assert.deepEqual([record.seqnum, record.time], [call.seqnum, call.time], `L2 ${name} has its seqnum and time`);
    } else if (call.state === "unknown") {
      call.state = record === undefined ? "gone" : "there";
      if (record !== undefined) [call.seqnum, call.time] = [record.seqnum, record.time];
    } else {
      assert.equal(record, undefined, `L7 ${name} ended as "${call.state}" and is there`);
    }
    if (record === undefined) return;
    assert.deepEqual(record.tags, call.tags, `${name} has its tags`);
    assert.ok(Buffer.from(record.data).equals(dataOf(call)), `L2 ${name} has its data`);
  }

  /** In call order, seqnums rise, and nothing is missing before what is there. */
  #checkOrder(): void {
    let before: Call | undefined;
    let missing: Call[] = [];
    for (const call of this.calls) {
      if (call.session !== before?.session) missing = [];
      if (call.state === "gone") missing.push(call);
      if (call.state !== "there") continue;
      if (before !== undefined) {
        assert.ok(call.seqnum > before.seqnum, `L1 #${before.id} was called before #${call.id}`);
        assert.ok(call.time! >= before.time!, `L9 the time of #${call.id} is not before that of #${before.id}`);
      }
      for (const one of missing) {
        if (one.answeredAt < call.calledAt) continue;
        const refused = one.unless.some(({ tag, after }) => this.last(one.book, tag, call.seqnum) > after);
        assert.ok(refused, `L1 #${call.id} is there, and #${one.id}, called before it, is not`);
      }
      missing = [];
      before = call;
    }
  }

  /** Every decision is the one that the records that are there give (L3). */
  #checkConditions(call: Call): void {
    if (call.state === "there") {
      for (const { tag, after } of call.unless) {
        assert.ok(this.last(call.book, tag, call.seqnum) <= after, `L3 #${call.id} is there against its condition`);
      }
    } else if (call.state === "refused") {
      const { tag, after: seqnum } = call.conflict!;
      const conditions = [...lowest(call.unless)].map(([tag, after]) => ({ tag, after }));
      const place = conditions.findIndex((condition) => condition.tag === tag && condition.after < seqnum);
      assert.ok(place >= 0, `L3 #${call.id} has a condition that ${seqnum} fails`);
      assert.equal(this.last(call.book, tag, seqnum + 1), seqnum, `L3 the reason of #${call.id} is there`);
      for (const earlier of conditions.slice(0, place)) {
        assert.ok(this.last(call.book, earlier.tag, seqnum) <= earlier.after, `L3 #${call.id} names the first reason`);
      }
    }
  }

  async #checkTags(log: Log): Promise<void> {
    const streams = new Map<string, number[]>();
    for (const { book, tags, seqnum } of this.calls.filter(({ state }) => state === "there")) {
      for (const tag of tags) {
        if (tag.startsWith("#")) continue;
        const key = JSON.stringify([book, tag]);
        streams.set(key, [...(streams.get(key) ?? []), seqnum]);
      }
    }
    for (const [key, seqnums] of streams) {
      const [book, tag] = JSON.parse(key) as [string, string];
      const found: number[] = [];
      for await (const { seqnum } of log.book(book).read({ tag, head: true })) found.push(seqnum);
      assert.deepEqual(found, seqnums, `the stream of ${tag} in ${book}`);
    }
  }
}

/** A tag named twice counts with its lowest `after`. */
function lowest(conditions: readonly Condition[]): Map<string, number> {
  const lowest = new Map<string, number>();
  for (const { tag, after } of conditions) lowest.set(tag, Math.min(after, lowest.get(tag) ?? after));
  return lowest;
}

export function dataOf({ id, size }: { readonly id: number; readonly size: number }): Buffer {
  return Buffer.alloc(size, `${id}.`);
}
