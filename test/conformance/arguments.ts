import assert from "node:assert/strict";
import type { Log } from "../../core/types.js";
import { bad, bytes, code, fill, onLog, texts, type Suite } from "./suite.js";

/** A book as plain JavaScript sees it: arguments that TypeScript would refuse. */
interface Loose {
  readonly log: Pick<Log, "limits"> & {
    books(...values: unknown[]): Promise<unknown>;
    stats(...values: unknown[]): Promise<unknown>;
  };
  append(...values: unknown[]): Promise<unknown>;
  appendAll(...values: unknown[]): Promise<unknown>;
  readNext(...values: unknown[]): Promise<unknown>;
  readPrev(...values: unknown[]): Promise<unknown>;
  read(...values: unknown[]): AsyncIterator<unknown>;
  tail(...values: unknown[]): Promise<unknown>;
}

export function badArguments(suite: Suite): void {
  const refused = (
    title: string,
    expected: (error: unknown) => boolean,
    ...calls: readonly ((book: Loose) => Promise<unknown>)[]
  ): void =>
    onLog(suite, `refuses ${title}, and goes on`, async (log) => {
      const book = log.book("b");
      for (const call of calls) {
        const before = book.append(bytes("before"), { tags: ["t"] });
        await assert.rejects(async () => call(book), expected);
        await before;
      }
      await fill(book, ["after", "t"]);
      assert.deepEqual(await texts(book.read()), [...calls.map(() => "before"), "after"]);
    });

  suite.describe("bad arguments", () => {
    const one = bytes("x");
    refused("data that is not bytes", bad("TypeError", /data must be a Uint8Array/, /Buffer\.from/),
      (book) => book.append("text", { tags: ["t"] }),
      (book) => book.append(undefined, { tags: ["t"] }),
      (book) => book.append([1, 2], { tags: ["t"] }),
      (book) => book.append(new Uint16Array(4), { tags: ["t"] }),
      (book) => book.appendAll([{ data: "text", tags: ["t"] }]),
    ); // prettier-ignore
    refused("data over the limit, with both sizes", code("LOG_TOO_LARGE", "none"), (book) =>
      book.append(Buffer.alloc(book.log.limits.recordBytes + 1), { tags: ["t"] }),
    );
    refused("no tags", bad("RangeError", /at least one tag/), (book) => book.append(one, { tags: [] }));
    refused("tags that are missing or no array", bad("TypeError", /tags must be an array/),
      (book) => book.append(one, {}),
      (book) => book.append(one, { tags: "t" }),
    ); // prettier-ignore
    refused("missing options", bad("TypeError", /options object/), (book) => book.append(one));
    refused("empty and over-long tags", bad("RangeError", /1 to 255 UTF-8 bytes, not (0|256)/),
      (book) => book.append(one, { tags: [""] }),
      (book) => book.append(one, { tags: ["a", "x".repeat(256)] }),
      (book) => book.append(one, { tags: ["é".repeat(128)] }),
      (book) => book.append(one, { tags: ["t"], unless: [{ tag: "", after: 0 }] }),
      (book) => book.readNext({ tag: "" }),
      (book) => book.readPrev({ tag: "x".repeat(256) }),
      (book) => book.read({ tag: "" }).next(),
    ); // prettier-ignore
    refused("tags with unpaired surrogates", bad("TypeError", /unpaired surrogate/, /toWellFormed/),
      (book) => book.append(one, { tags: ["a\ud800"] }),
      (book) => book.append(one, { tags: ["t"], unless: [{ tag: "\udc00", after: 0 }] }),
      (book) => book.readNext({ tag: "\ud800x" }),
    ); // prettier-ignore
    refused("tags that are no strings", bad("TypeError", /a tag must be a string, not (7|null|an array)/),
      (book) => book.append(one, { tags: [7] }),
      (book) => book.append(one, { tags: [null] }),
      (book) => book.readNext({ tag: 7 }),
    ); // prettier-ignore
    refused("too many tags", bad("RangeError", /1025 tags are more than the 1024/), (book) =>
      book.append(one, { tags: Array.from({ length: 1025 }, (_, i) => `t${i}`) }),
    );
    refused("too many conditions", bad("RangeError", /1025 conditions are more than the 1024/), (book) =>
      book.append(one, { tags: ["t"], unless: Array.from({ length: 1025 }, (_, i) => ({ tag: `t${i}`, after: 0 })) }),
    );
    refused("tags and conditions over 64 KiB together", bad("RangeError", /more than 65536/),
      (book) => book.append(one, { tags: Array.from({ length: 300 }, (_, i) => `${i}`.padEnd(250, "x")) }),
      (book) => book.append(one, { tags: ["t"], unless: Array.from({ length: 300 }, (_, i) => ({ tag: `${i}`.padEnd(250, "x"), after: 0 })) }),
    ); // prettier-ignore
    refused("seqnums that are negative, fractional or unsafe", bad("RangeError", /from 0 to 2\^53-1, not (-1|0\.5|9007199254740992|NaN|Infinity)/),
      (book) => book.readNext({ from: -1 }),
      (book) => book.readNext({ from: 0.5 }),
      (book) => book.readPrev({ upTo: 2 ** 53 }),
      (book) => book.readPrev({ upTo: Number.NaN }),
      (book) => book.read({ from: -1 }).next(),
      (book) => book.read({ to: Number.POSITIVE_INFINITY }).next(),
      (book) => book.append(one, { tags: ["t"], unless: [{ tag: "t", after: -1 }] }),
    ); // prettier-ignore
    refused("seqnums that are no numbers", bad("TypeError", /must be a seqnum/),
      (book) => book.readNext({ from: "1" }),
      (book) => book.readPrev({ upTo: 1n }),
      (book) => book.append(one, { tags: ["t"], unless: [{ tag: "t" }] }),
    ); // prettier-ignore
    refused("unknown options by name", bad("TypeError", /has no option "(tgas|form|untl|signals|afetr)"/),
      (book) => book.append(one, { tags: ["t"], tgas: [] }),
      (book) => book.readNext({ form: 1 }),
      (book) => book.read({ untl: 1 }).next(),
      (book) => book.tail({ signals: 1 }),
      (book) => book.log.books({ signals: 1 }),
      (book) => book.log.stats({ signals: 1 }),
      (book) => book.append(one, { tags: ["t"], unless: [{ tag: "t", after: 0, afetr: 1 }] }),
    ); // prettier-ignore
    refused("conditions of a wrong shape", bad("TypeError", /unless must be an array|a condition must be/),
      (book) => book.append(one, { tags: ["t"], unless: { tag: "t", after: 0 } }),
      (book) => book.append(one, { tags: ["t"], unless: [null] }),
    ); // prettier-ignore
    refused("signals that are none", bad("TypeError", /must be an AbortSignal/),
      (book) => book.append(one, { tags: ["t"], signal: "stop" }),
      (book) => book.readNext({ signal: {} }),
      (book) => book.tail({ signal: 1 }),
      (book) => book.log.books({ signal: 1 }),
      (book) => book.log.stats({ signal: 1 }),
    ); // prettier-ignore
    refused("a timeout that is none", bad("RangeError", /timeoutMs must be from 0/), (book) =>
      book.readNext({ wait: true, timeoutMs: -1 }),
    );
    refused("following in reverse", bad("TypeError", /cannot follow in reverse/), (book) =>
      book.read({ follow: true, reverse: true }).next(),
    );

    onLog(suite, "refuses names of books like tags, at once", async (log) => {
      assert.throws(() => log.book(""), bad("RangeError", /name of a book/));
      assert.throws(() => log.book("x".repeat(256)), bad("RangeError"));
      assert.throws(() => log.book("\ud800"), bad("TypeError", /unpaired/));
      assert.throws(() => log.book(undefined as unknown as string), bad("TypeError"));
      await fill(log.book("good"), ["1", "t"]);
    });

    onLog(suite, "refuses bad aux data at once", async (log) => {
      const book = log.book("b");
      await fill(book, ["1", "t"]);
      assert.throws(() => book.setAux(-1, bytes("x")), bad("RangeError"));
      assert.throws(() => book.setAux(1, "x" as unknown as Uint8Array), bad("TypeError", /aux data/));
    });

    onLog(suite, "L1 refuses a bad call alone: what is pipelined around it goes on", async (log) => {
      const book = log.book("b");
      const first = book.append(bytes("1"), { tags: ["t"] });
      const wrong = assert.rejects(book.append(bytes("2"), { tags: [] }), bad("RangeError"));
      const third = book.append(bytes("3"), { tags: ["t"] });
      await wrong;
      assert.ok((await first).seqnum < (await third).seqnum);
      assert.deepEqual(await texts(book.read()), ["1", "3"]);
    });
  });
}
