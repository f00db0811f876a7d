import assert from "node:assert/strict";
import type { LogBook } from "../../core/types.js";
import { bytes, fill, onEveryView, onLog, seqnums, texts, type Suite } from "./suite.js";

/** 12 records: tags `all`, `even` or `odd`, and `third`; another book and refused appends lie between them. */
async function twelve(book: LogBook): Promise<void> {
  const other = book.log.book("other");
  for (let i = 0; i < 12; i++) {
    await book.append(bytes(String(i)), {
      tags: ["all", i % 2 === 0 ? "even" : "odd", ...(i % 3 === 0 ? ["third"] : [])],
    });
    if (i % 4 === 1) await other.append(bytes("other"), { tags: ["all"] });
    if (i % 5 === 2) await book.append(bytes("refused"), { tags: ["all"], unless: [{ tag: "all", after: 0 }] });
  }
}

export function reads(suite: Suite): void {
  suite.describe("readNext and readPrev", () => {
    onEveryView(suite, "find the nearest record from any seqnum, by tag and in the book", twelve, async (book) => {
      for (const tag of [undefined, "all", "even", "odd", "third", "none"]) {
        const all = await seqnums(book.read({ tag }));
        const tail = await book.tail();
        for (let at = 0; at <= tail + 2; at++) {
          assert.equal(
            (await book.readNext({ tag, from: at }))?.seqnum,
            all.find((seqnum) => seqnum >= at),
            `next ${tag} ${at}`,
          );
          assert.equal(
            (await book.readPrev({ tag, upTo: at }))?.seqnum,
            all.findLast((seqnum) => seqnum <= at),
            `prev ${tag} ${at}`,
          );
        }
        assert.equal((await book.readNext({ tag }))?.seqnum, all[0]);
        assert.equal((await book.readPrev({ tag }))?.seqnum, all.at(-1));
      }
    });

    onEveryView(suite, "give undefined far beyond the tail and before the first", twelve, async (book) => {
      assert.equal(await book.readNext({ from: Number.MAX_SAFE_INTEGER }), undefined);
      assert.equal(await book.readNext({ tag: "even", from: 2 ** 40 }), undefined);
      assert.equal(await book.readPrev({ upTo: 0 }), undefined);
      assert.equal((await book.readPrev({ upTo: Number.MAX_SAFE_INTEGER }))!.text(), "11");
    });

    onEveryView(suite, "give records whole, frozen, with text() and json()", twelve, async (book) => {
      const record = (await book.readNext({ tag: "third", from: 2 }))!;
      assert.deepEqual(record.tags, ["all", "odd", "third"]);
      assert.equal(record.text(), "3");
      assert.equal(record.json(), 3);
      assert.equal(record.size, 1);
      assert.ok(Object.isFrozen(record) && Object.isFrozen(record.tags));
      assert.deepEqual(
        Object.keys(record)
          .filter((key) => key !== "aux")
          .sort(),
        ["data", "seqnum", "size", "tags", "time"],
      );
    });

    onEveryView(suite, "with head leave the payload away", twelve, async (book) => {
      const next = (await book.readNext({ tag: "odd", head: true }))!;
      const prev = (await book.readPrev({ tag: "odd", head: true }))!;
      assert.deepEqual([next.size, next.tags, "data" in next], [1, ["all", "odd"], false]);
      assert.deepEqual([prev.size, "data" in prev], [2, false]);
      for await (const head of book.read({ tag: "third", head: true })) assert.equal("data" in head, false);
    });

    onLog(suite, "give undefined in an empty log and an unknown book", async (log) => {
      assert.equal(await log.book("b").readNext(), undefined);
      assert.equal(await log.book("b").readPrev({ tag: "t" }), undefined);
      await fill(log.book("b"), ["1", "t"]);
      assert.equal(await log.book("c").readNext({ tag: "t" }), undefined);
    });

    onLog(suite, "do not take a tag for another with the same beginning", async (log) => {
      const book = log.book("b");
      await fill(book, ["1", "user:1"], ["2", "user:10"], ["3", "user:"]);
      assert.deepEqual(await texts(book.read({ tag: "user:1" })), ["1"]);
      assert.deepEqual(await texts(book.read({ tag: "user:" })), ["3"]);
    });
  });

  suite.describe("read", () => {
    onEveryView(suite, "goes forward through book and tag, within bounds that are inclusive", twelve, async (book) => {
      const all = await seqnums(book.read());
      assert.deepEqual(
        await texts(book.read()),
        Array.from({ length: 12 }, (_, i) => String(i)),
      );
      assert.deepEqual(await texts(book.read({ tag: "third" })), ["0", "3", "6", "9"]);
      assert.deepEqual(await seqnums(book.read({ from: all[3], to: all[7] })), all.slice(3, 8));
      assert.deepEqual(await seqnums(book.read({ from: all[5], to: all[4] })), []);
      assert.deepEqual(await seqnums(book.read({ to: 0 })), []);
    });

    onEveryView(suite, "in reverse gives the same backwards", twelve, async (book) => {
      const all = await seqnums(book.read());
      assert.deepEqual(await seqnums(book.read({ reverse: true })), all.toReversed());
      assert.deepEqual(await texts(book.read({ tag: "third", reverse: true })), ["9", "6", "3", "0"]);
      assert.deepEqual(
        await seqnums(book.read({ from: all[3], to: all[7], reverse: true })),
        all.slice(3, 8).toReversed(),
      );
      assert.deepEqual(await seqnums(book.read({ tag: "even", to: all[5], reverse: true })), [all[4], all[2], all[0]]);
    });

    onLog(suite, "ends at what was there when it began", async (log) => {
      const book = log.book("b");
      await fill(book, ["1", "t"], ["2", "t"]);
      const found: string[] = [];
      for await (const record of book.read({ tag: "t" })) {
        found.push(record.text());
        await fill(book, ["more", "t"]);
      }
      assert.deepEqual(found, ["1", "2"]);
    });

    onLog(suite, "ends after a break, and gives nothing after return", async (log) => {
      const book = log.book("b");
      await fill(book, ["1", "t"], ["2", "t"]);
      const records = book.read({ tag: "t" });
      for await (const record of records) {
        assert.equal(record.text(), "1");
        break;
      }
      assert.deepEqual(await records.next(), { done: true, value: undefined });
    });

    onLog(suite, "answers steps that were asked for without waiting in order", async (log) => {
      const book = log.book("b");
      await fill(book, ["1", "t"], ["2", "t"]);
      const records = book.read({ tag: "t" });
      const steps = await Promise.all([records.next(), records.next(), records.next()]);
      assert.deepEqual(
        steps.map((step) => (step.done === true ? undefined : step.value.text())),
        ["1", "2", undefined],
      );
    });
  });

  suite.describe("books", () => {
    onLog(suite, "are isolated: the same tag in two books is two streams", async (log) => {
      await fill(log.book("x"), ["1", "t"], ["2", "t"]);
      await fill(log.book("y"), ["3", "t"]);
      assert.deepEqual(await texts(log.book("x").read({ tag: "t" })), ["1", "2"]);
      assert.deepEqual(await texts(log.book("y").read({ tag: "t", reverse: true })), ["3"]);
      assert.deepEqual(await texts(log.book("y").read()), ["3"]);
    });

    onEveryView(
      suite,
      "with names of any script and of 255 bytes",
      async (book) => {
        for (const name of ["é", "日本", "x".repeat(255)]) await fill(book.log.book(name), [name, "t"]);
      },
      async (book) => {
        for (const name of ["é", "日本", "x".repeat(255)]) {
          assert.equal(book.log.book(name).name, name);
          assert.deepEqual(await texts(book.log.book(name).read()), [name]);
        }
      },
    );
  });

  suite.describe("aux data", () => {
    onLog(suite, "L5 comes back with the record, or not at all", async (log) => {
      const book = log.book("b");
      const [seqnum] = await fill(book, ["1", "t"]);
      const aux = bytes("derived");
      book.setAux(seqnum!, aux);
      aux.fill("x");
      const record = (await book.readNext({ tag: "t" }))!;
      if (record.aux !== undefined) assert.equal(Buffer.from(record.aux).toString(), "derived");
      assert.equal(record.text(), "1");
      book.setAux(seqnum!, bytes("newer"));
      const head = (await book.readPrev({ head: true }))!;
      if (head.aux !== undefined) assert.equal(Buffer.from(head.aux).toString(), "newer");
      assert.equal(Buffer.from(record.data).toString(), "1");
    });

    onLog(suite, "L5 stays with the record that it was set on", async (log) => {
      const book = log.book("b");
      const all = await fill(book, ...Array.from({ length: 20 }, (_, i) => [String(i), "t"] as const));
      for (const seqnum of all) if (seqnum % 3 > 0) book.setAux(seqnum, bytes(`of ${seqnum}`));
      for await (const record of book.read()) {
        if (record.aux === undefined) continue;
        assert.ok(record.seqnum % 3 > 0);
        assert.equal(Buffer.from(record.aux).toString(), `of ${record.seqnum}`);
      }
      for await (const head of book.read({ tag: "t", reverse: true, head: true })) {
        if (head.aux !== undefined) assert.equal(Buffer.from(head.aux).toString(), `of ${head.seqnum}`);
      }
    });

    onLog(suite, "L5 for a record that is not there, or of another book, is ignored", async (log) => {
      await fill(log.book("x"), ["1", "t"]);
      log.book("b").setAux(1, bytes("a"));
      log.book("b").setAux(99, bytes("a"));
      assert.equal((await log.book("x").readNext())!.aux, undefined);
    });
  });
}
