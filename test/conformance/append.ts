import assert from "node:assert/strict";
import type { AppendInput } from "../../core/types.js";
import { bytes, code, fill, onLog, seqnums, texts, type Suite } from "./suite.js";

export function append(suite: Suite): void {
  suite.describe("append", () => {
    onLog(suite, "L1 gives rising seqnums from 1 on, and the time of the record", async (log) => {
      const book = log.book("b");
      const first = await book.append(bytes("one"), { tags: ["t"] });
      const second = await book.append(bytes("two"), { tags: ["t"] });
      assert.equal(first.ok, true);
      assert.ok(first.seqnum >= 1 && second.seqnum > first.seqnum);
      assert.ok(second.time >= first.time && first.time > 0);
      assert.equal((await book.readNext({ tag: "t" }))!.time, first.time);
    });

    onLog(suite, "L1 orders appends as called, also when none is awaited", async (log) => {
      const book = log.book("b");
      const results = await Promise.all(
        Array.from({ length: 500 }, (_, i) => book.append(bytes(String(i)), { tags: ["t", `t${i % 7}`] })),
      );
      const given = results.map((result) => result.seqnum);
      assert.deepEqual(
        given,
        given.toSorted((a, b) => a - b),
      );
      assert.deepEqual(
        await texts(book.read({ tag: "t" })),
        Array.from({ length: 500 }, (_, i) => String(i)),
      );
    });

    onLog(suite, "L1 orders appends over all books of the log", async (log) => {
      const books = [log.book("x"), log.book("y"), log.book("z")];
      const results = await Promise.all(
        Array.from({ length: 90 }, (_, i) => books[i % 3]!.append(bytes(String(i)), { tags: ["t"] })),
      );
      const given = results.map((result) => result.seqnum);
      assert.deepEqual(
        given,
        given.toSorted((a, b) => a - b),
      );
      assert.deepEqual(
        await texts(books[1]!.read()),
        Array.from({ length: 30 }, (_, i) => String(3 * i + 1)),
      );
    });

    onLog(suite, "L1 keeps the order of more than one batch can hold, in bytes and in number", async (log) => {
      const book = log.book("b");
      const large = Array.from({ length: 12 }, (_, i) =>
        book.append(Buffer.alloc(log.limits.batchBytes / 3, i), { tags: ["large"] }),
      );
      const small = Array.from({ length: log.limits.batchEntries + 500 }, (_, i) =>
        book.append(bytes(String(i)), { tags: ["small"] }),
      );
      const given = (await Promise.all([...large, ...small])).map(({ seqnum }) => seqnum);
      assert.ok(given.every((seqnum, i) => i === 0 || seqnum > given[i - 1]!));
      let i = 0;
      for await (const record of book.read({ tag: "large" })) assert.equal(record.data[0], i++);
      assert.equal(i, large.length);
      let n = 0;
      for await (const record of book.read({ tag: "small" })) assert.equal(record.text(), String(n++));
      assert.equal(n, small.length);
    });

    onLog(suite, "L4 is seen by reads of the session as soon as it resolves", async (log) => {
      const book = log.book("b");
      for (let i = 0; i < 20; i++) {
        const { seqnum } = await book.append(bytes(String(i)), { tags: ["t"] });
        assert.equal((await book.readPrev({ tag: "t" }))!.seqnum, seqnum);
        assert.equal((await book.readNext({ from: seqnum }))!.text(), String(i));
      }
    });

    onLog(suite, "keeps data as it was, empty, binary and large", async (log) => {
      const book = log.book("b");
      const all = [
        Buffer.alloc(0),
        Buffer.from([0, 255, 10, 13, 0]),
        Buffer.alloc(300_000, "abc"),
        Buffer.alloc(3 << 20, 9),
      ];
      for (const data of all) await book.append(data, { tags: ["t"] });
      let i = 0;
      for await (const record of book.read({ tag: "t" })) {
        assert.deepEqual(Buffer.from(record.data), all[i]);
        assert.equal(record.size, all[i++]!.length);
      }
      assert.equal(i, all.length);
    });

    onLog(suite, "keeps what was given when the caller reuses its buffer afterwards", async (log) => {
      const book = log.book("b");
      const data = bytes("first");
      await book.append(data, { tags: ["t"] });
      data.fill("x");
      assert.equal((await book.readNext({ tag: "t" }))!.text(), "first");
    });

    onLog(suite, "keeps tags in their order, doubled ones once, of any script and of 255 bytes", async (log) => {
      const book = log.book("b");
      const long = "é".repeat(127) + "x";
      await book.append(bytes("1"), { tags: ["b", "a", "b", "日本語", "🙂", long, "a"] });
      for (const tag of ["a", "日本語", "🙂", long]) {
        assert.deepEqual((await book.readNext({ tag }))!.tags, ["b", "a", "日本語", "🙂", long]);
      }
      assert.equal((await texts(book.read({ tag: "b" }))).length, 1);
    });

    onLog(suite, "counts doubled tags once among many", async (log) => {
      const book = log.book("b");
      const tags = Array.from({ length: 40 }, (_, i) => `t${i % 20}`);
      await book.append(bytes("1"), { tags });
      assert.deepEqual((await book.readNext())!.tags, tags.slice(0, 20));
      assert.deepEqual(await texts(book.read({ tag: "t3" })), ["1"]);
    });

    onLog(suite, "takes 1,024 tags, each of which finds the record", async (log) => {
      const book = log.book("b");
      const tags = Array.from({ length: log.limits.tagsPerRecord }, (_, i) => `tag-${i}`);
      const { seqnum } = await book.append(bytes("many"), { tags });
      for (const tag of [tags[0]!, tags[500]!, tags[1023]!])
        assert.equal((await book.readPrev({ tag }))!.seqnum, seqnum);
    });

    onLog(suite, "L7 an abort before the append is handed over leaves no trace", async (log) => {
      const book = log.book("b");
      const stop = new AbortController();
      const given = book.append(bytes("given up"), { tags: ["t"], signal: stop.signal });
      const behind = book.append(bytes("behind"), { tags: ["t"] });
      stop.abort(new Error("enough"));
      await assert.rejects(given, (error: Error) => {
        code("LOG_ABORTED", "none")(error);
        assert.equal(error.name, "AbortError");
        assert.equal((error.cause as Error).message, "enough");
        return true;
      });
      await behind;
      assert.deepEqual(await texts(book.read({ tag: "t" })), ["behind"]);
    });

    onLog(suite, "L7 a signal that is aborted already refuses at once", async (log) => {
      const book = log.book("b");
      await assert.rejects(
        book.append(bytes("x"), { tags: ["t"], signal: AbortSignal.abort() }),
        code("LOG_ABORTED", "none"),
      );
      assert.equal(await book.readNext(), undefined);
    });

    onLog(suite, "calls beforeFlush just before a batch, and takes what it appends into it", async (log) => {
      const book = log.book("b");
      const { batches } = await log.stats();
      const late = new Promise<void>((resolve, reject) => {
        log.beforeFlush(() => void book.append(bytes("late"), { tags: ["t"] }).then(() => resolve(), reject));
      });
      await book.append(bytes("early"), { tags: ["t"] });
      await late;
      assert.equal((await log.stats()).batches, batches + 1);
      assert.deepEqual(await texts(book.read()), ["early", "late"]);
    });
  });

  suite.describe("appendAll", () => {
    onLog(suite, "gives results in order, each with its own seqnum", async (log) => {
      const book = log.book("b");
      const results = await book.appendAll(
        Array.from({ length: 50 }, (_, i) => ({ data: bytes(String(i)), tags: ["t"] })),
      );
      assert.deepEqual(
        results.map((result) => (result.ok ? result.seqnum : 0)),
        await seqnums(book.read({ tag: "t" })),
      );
      assert.equal(results.length, 50);
    });

    onLog(suite, "of nothing gives nothing", async (log) => {
      assert.deepEqual(await log.book("b").appendAll([]), []);
    });

    onLog(suite, "L3 decides each entry on its own, and later ones see earlier ones", async (log) => {
      const book = log.book("b");
      const once = (text: string): AppendInput => ({
        data: bytes(text),
        tags: ["key"],
        unless: [{ tag: "key", after: 0 }],
      });
      const results = await book.appendAll([once("1"), once("2"), { data: bytes("3"), tags: ["t"] }]);
      assert.deepEqual(
        results.map((result) => result.ok),
        [true, false, true],
      );
      assert.deepEqual(await texts(book.read()), ["1", "3"]);
    });

    onLog(suite, "refuses a bad entry by its place, and appends none of the others", async (log) => {
      const book = log.book("b");
      const inputs = [
        { data: bytes("1"), tags: ["t"] },
        { data: bytes("2"), tags: [] },
      ];
      await assert.rejects(book.appendAll(inputs), RangeError);
      assert.equal(await book.readNext(), undefined);
      await fill(book, ["3", "t"]);
    });
  });
}
