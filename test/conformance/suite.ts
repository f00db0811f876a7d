/** What the cases are written with: a runner's `describe` and `it`, a subject that opens logs, and four ways to look at one. */
import assert from "node:assert/strict";
import type { AppendResult, Log, LogBook, LogRecord, RecordHead, SeqNum } from "../../core/types.js";

/** The functions of the caller's test runner. */
export interface Runner {
  readonly describe: (name: string, fn: () => void) => void;
  readonly it: (name: string, fn: () => Promise<void>) => void;
}

/** One log under test. */
export interface Subject {
  /** A fresh log. */
  open(): Promise<Log>;
  /** Closes a log and opens it again. */
  reopen(log: Log): Promise<Log>;
  /** A second session on an open log. */
  another(log: Log): Promise<Log>;
  /** Called once, after the last close. */
  dispose(): Promise<void>;
}

export interface Suite extends Runner {
  subject(): Subject;
}

/** Registers a case on a fresh log, which is closed behind it. */
export function onLog(suite: Suite, title: string, body: (log: Log, subject: Subject) => Promise<void>): void {
  suite.it(title, async () => {
    const subject = suite.subject();
    const log = await subject.open();
    try {
      await body(log, subject);
    } finally {
      await log.close();
      await subject.dispose();
    }
  });
}

/**
 * Registers a case of reading four times: on the log as written, with aux data set on some records, after closing and opening
 * it again, and through a second session.
 */
export function onEveryView(
  suite: Suite,
  title: string,
  arrange: (book: LogBook) => Promise<void>,
  check: (book: LogBook) => Promise<void>,
): void {
  const views: Record<string, (log: Log, subject: Subject) => Promise<Log>> = {
    "": (log) => Promise.resolve(log),
    " [with some aux data]": async (log) => {
      const book = log.book("b");
      for (let seqnum = 1; seqnum < (await book.tail()); seqnum++) {
        if (Math.random() < 0.5) book.setAux(seqnum, Buffer.from("a hint"));
      }
      return log;
    },
    " [reopened]": (log, subject) => subject.reopen(log),
    " [second session]": (log, subject) => subject.another(log),
  };
  for (const [name, view] of Object.entries(views)) {
    suite.it(title + name, async () => {
      const subject = suite.subject();
      const log = await subject.open();
      let seen = log;
      try {
        await arrange(log.book("b"));
        seen = await view(log, subject);
        await check(seen.book("b"));
      } finally {
        await seen.close();
        await log.close();
        await subject.dispose();
      }
    });
  }
}

export const bytes = (text: string): Buffer => Buffer.from(text);

/** Appends texts one after the other, each with tags. */
export async function fill(
  book: LogBook,
  ...records: readonly (readonly [text: string, ...tags: string[]])[]
): Promise<SeqNum[]> {
  const seqnums: SeqNum[] = [];
  for (const [text, ...tags] of records) seqnums.push((await book.append(bytes(text), { tags })).seqnum);
  return seqnums;
}

export async function texts(records: AsyncIterable<LogRecord>): Promise<string[]> {
  const found: string[] = [];
  for await (const record of records) found.push(record.text());
  return found;
}

export async function seqnums(records: AsyncIterable<RecordHead>): Promise<SeqNum[]> {
  const found: SeqNum[] = [];
  for await (const record of records) found.push(record.seqnum);
  return found;
}

export function accepted(result: AppendResult): SeqNum {
  assert.ok(result.ok, "the append was refused");
  return result.seqnum;
}

/** A rejection with a code of the contract; not by class, so that copies of the package agree. */
export function code(expected: string, outcome?: "none" | "unknown"): (error: unknown) => boolean {
  return (error) => {
    const { code, outcome: actual } = error as { code?: string; outcome?: string };
    assert.equal(code, expected, String(error));
    if (outcome !== undefined) assert.equal(actual, outcome);
    return true;
  };
}

/** A rejection of a bad argument: the class, and what the message must name. */
export function bad(name: "TypeError" | "RangeError", ...named: readonly RegExp[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Error);
    assert.equal(error.name, name, error.message);
    for (const pattern of named) assert.match(error.message, pattern);
    return true;
  };
}
