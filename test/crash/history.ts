/**
 * What was asked of a log and what it answered, over all its openings. agreement.ts checks that a newly opened log agrees with it.
 *
 * An append or a trim that failed with outcome "unknown" is settled by the next opening: what is found then stays, what is not
 * found never appears.
 */
import type { AppendInput, AppendResult, Condition } from "../../core/types.js";

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
  /** One of an `appendAll` that its caller gave up: those of it that were not on their way by then will never be there. */
  isGivenUp: boolean;
}

export interface Draft {
  /** Default: the history's own. */
  readonly session?: number;
  readonly book: string;
  readonly tags: readonly string[];
  readonly unless?: readonly Condition[] | undefined;
  readonly size: number;
}

/** Without a tag: of the whole book. */
export interface Trim {
  readonly book: string;
  readonly tag: string | undefined;
  readonly upTo: number;
  state: "waiting" | "there" | "none" | "unknown" | "gone";
}

export class History {
  readonly calls: Call[] = [];
  readonly trims: Trim[] = [];
  session = 0;
  /** Sessions run side by side, each in its own order; else one after the other. */
  readonly isConcurrent: boolean;
  #events = 0;

  constructor(isConcurrent = false) {
    this.isConcurrent = isConcurrent;
  }

  // Appends

  /** A call that is about to be made, and its input. The data says which it is. */
  begin({ book, tags, unless, size, session = this.session }: Draft): { call: Call; input: AppendInput } {
    const call: Call = {
      id: this.calls.length,
      session,
      book,
      tags,
      unless: unless ?? [],
      size,
      calledAt: ++this.#events,
      answeredAt: Infinity,
      state: "waiting",
      seqnum: 0,
      time: undefined,
      conflict: undefined,
      isGivenUp: false,
    };
    this.calls.push(call);
    return { call, input: { data: dataOf(call), tags, unless } };
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
      const outcome = outcomeOf(error);
      for (const call of calls) [call.answeredAt, call.state] = [++this.#events, outcome];
    }
  }

  /** The last record known to be there with a tag in a book, trimmed or not, below a seqnum. */
  lastCall(book: string, tag: string, below = Infinity): Call | undefined {
    let last: Call | undefined;
    for (const call of this.calls) {
      if (call.state !== "there" || call.seqnum >= below || call.seqnum <= (last?.seqnum ?? 0)) continue;
      if (call.book === book && call.tags.includes(tag)) last = call;
    }
    return last;
  }

  /** Its seqnum; 0 if there is none. */
  last(book: string, tag: string, below?: number): number {
    return this.lastCall(book, tag, below)?.seqnum ?? 0;
  }

  get tail(): number {
    return this.calls.reduce((tail, call) => Math.max(tail, call.seqnum + 1), 1);
  }

  // Trims

  /** Nobody knows of some record whether it is there. If such a one were trimmed, nobody ever would. */
  get isUnsure(): boolean {
    return this.calls.some(({ state }) => state === "unknown");
  }

  beginTrim(book: string, tag: string | undefined, upTo: number): Trim {
    const trim: Trim = { book, tag, upTo, state: "waiting" };
    this.trims.push(trim);
    return trim;
  }

  async answerTrim(trim: Trim, answer: Promise<void>): Promise<void> {
    try {
      await answer;
      trim.state = "there";
    } catch (error) {
      trim.state = outcomeOf(error);
    }
  }

  /** The last seqnum that trims known to be there hide from a book (without a tag) or from a tag's stream. */
  trimPoint(book: string, tag?: string): number {
    let point = 0;
    for (const trim of this.trims)
      if (trim.state === "there" && trim.book === book && (trim.tag === undefined || trim.tag === tag))
        point = Math.max(point, trim.upTo);
    return point;
  }

  /** A record that is there is seen in its book while it is in the stream of one of its tags (L6). */
  isSeen({ book, tags, seqnum }: Call): boolean {
    return tags.some((tag) => seqnum > this.trimPoint(book, tag));
  }
}

function outcomeOf(error: unknown): "none" | "unknown" {
  const { outcome } = error as { outcome?: "none" | "unknown" };
  if (outcome === undefined) throw error;
  return outcome;
}

/** As long as asked for, and long enough to say which it is. */
export function dataOf({ id, size }: { readonly id: number; readonly size: number }): Buffer {
  const mark = `${id}.`;
  return Buffer.alloc(Math.max(size, mark.length), mark);
}

export function idOf(data: Uint8Array): number {
  return Number.parseInt(Buffer.from(data.subarray(0, 16)).toString(), 10);
}
