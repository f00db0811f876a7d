import assert from "node:assert/strict";
import type { LogBook, LogRecord } from "../../core/types.js";
import { accepted, bad, bytes, code, fill, onEveryView, onLog, seqnums, texts, type Suite } from "./suite.js";

/** 1 a, 2 a b, 3 b, 4 a. */
const four = async (book: LogBook): Promise<void> =>
  void (await fill(book, ["1", "a"], ["2", "a", "b"], ["3", "b"], ["4", "a"]));

function trimmed(trimPoint: number): (error: unknown) => boolean {
  return (error) => {
    code("LOG_TRIMMED")(error);
    assert.equal((error as { trimPoint?: number }).trimPoint, trimPoint);
    return true;
  };
}

export function trims(suite: Suite): void {
  suite.describe("trim", () => {
    onEveryView(
      suite,
      "L6 of a tag hides its stream up to there, and a record once each of its tags is trimmed past it",
      async (book) => {
        await four(book);
        await book.trim({ tag: "a", upTo: 2 });
      },
      async (book) => {
        assert.deepEqual(await texts(book.read({ tag: "a" })), ["4"]);
        assert.deepEqual(await texts(book.read({ tag: "b" })), ["2", "3"]);
        assert.deepEqual(await texts(book.read()), ["2", "3", "4"]);
        assert.deepEqual(await texts(book.read({ reverse: true })), ["4", "3", "2"]);
        assert.equal(await book.readPrev({ upTo: 1 }), undefined);
        await book.trim({ tag: "b", upTo: 3 });
        assert.deepEqual(await texts(book.read()), ["4"]);
        assert.equal((await book.readPrev())!.text(), "4");
        assert.equal((await book.log.stats()).records, 1);
      },
    );

    onEveryView(
      suite,
      "L6 of a book hides everything up to there",
      async (book) => {
        await four(book);
        await fill(book.log.book("other"), ["5", "a"]);
        await book.trim({ upTo: 3 });
      },
      async (book) => {
        assert.deepEqual(await seqnums(book.read()), [4]);
        assert.deepEqual(await seqnums(book.read({ tag: "a" })), [4]);
        assert.deepEqual(await seqnums(book.read({ tag: "b" })), []);
        assert.equal(await book.readPrev({ tag: "b" }), undefined);
        assert.deepEqual(await texts(book.log.book("other").read()), ["5"]);
      },
    );

    onEveryView(
      suite,
      "L6 refuses a bound at or below the trim point with LOG_TRIMMED and the trim point; 0 is the oldest kept",
      async (book) => {
        await four(book);
        await book.trim({ tag: "a", upTo: 2 });
      },
      async (book) => {
        for (const bound of [1, 2]) {
          await assert.rejects(book.readNext({ tag: "a", from: bound }), trimmed(2));
          await assert.rejects(book.readNext({ tag: "a", from: bound, wait: true }), trimmed(2));
          await assert.rejects(book.readPrev({ tag: "a", upTo: bound }), trimmed(2));
          await assert.rejects(texts(book.read({ tag: "a", from: bound })), trimmed(2));
          await assert.rejects(texts(book.read({ tag: "a", to: bound, reverse: true })), trimmed(2));
        }
        assert.equal((await book.readNext({ tag: "a", from: 0 }))!.seqnum, 4);
        assert.equal((await book.readNext({ tag: "a", from: 3 }))!.seqnum, 4);
        assert.equal(await book.readPrev({ tag: "a", upTo: 3 }), undefined);
        assert.equal((await book.readNext({ tag: "b", from: 1 }))!.seqnum, 2);
        assert.equal((await book.readNext({ from: 1 }))!.seqnum, 2);
      },
    );

    onEveryView(
      suite,
      "L3 L6 is not seen by conditions: a tag keeps its last seqnum",
      async (book) => {
        await four(book);
        await book.trim({ tag: "b", upTo: 3 });
        await book.trim({ upTo: 4 });
      },
      async (book) => {
        for (const after of [0, 2]) {
          const result = await book.append(bytes("x"), { tags: ["b"], unless: [{ tag: "b", after }] });
          assert.deepEqual(result, { ok: false, conflict: { tag: "b", seqnum: 3 } });
        }
        accepted(await book.append(bytes("x"), { tags: ["b"], unless: [{ tag: "b", after: 3 }] }));
        accepted(await book.append(bytes("y"), { tags: ["c"], unless: [{ tag: "c", after: 0 }] }));
        assert.deepEqual(await texts(book.read()), ["x", "y"]);
      },
    );

    onLog(suite, "L6 at or below the trim point does nothing; at or above the tail it is a RangeError", async (log) => {
      const book = log.book("b");
      await four(book);
      await book.trim({ tag: "a", upTo: 2 });
      const tail = await book.tail();
      await book.trim({ tag: "a", upTo: 2 });
      await book.trim({ tag: "a", upTo: 0 });
      assert.equal(await book.tail(), tail, "nothing was written");
      await assert.rejects(book.trim({ upTo: tail }), bad("RangeError", new RegExp(`upTo ${tail} .* tail ${tail}`)));
      await assert.rejects(book.trim({ upTo: -1 }), bad("RangeError", /upTo/));
      await assert.rejects(book.trim({} as { upTo: number }), bad("TypeError", /upTo/));
      await assert.rejects(book.trim({ upTo: 1, tag: "" }), bad("RangeError", /tag/));
      await assert.rejects(
        book.trim({ upTo: 1, tags: ["a"] } as { upTo: number }),
        bad("TypeError", /no option "tags"/),
      );
      await assert.rejects(book.trim({ upTo: 1, signal: AbortSignal.abort() }), code("LOG_ABORTED"));
      assert.deepEqual(await texts(book.read()), ["2", "3", "4"]);
    });

    onLog(suite, "L6 takes effect at its place in the order", async (log) => {
      const book = log.book("b");
      await four(book);
      const trim = book.trim({ upTo: 4 });
      const later = book.append(bytes("5"), { tags: ["a"] });
      await Promise.all([trim, later]);
      assert.deepEqual(await texts(book.read()), ["5"]);
    });

    onLog(suite, "L6 behind a follower does not disturb it; in front of a slow one it is LOG_TRIMMED", async (log) => {
      const book = log.book("b");
      await four(book);
      const fast = book.read({ tag: "a", follow: true });
      const next = async (iterator: AsyncIterator<LogRecord>): Promise<number> =>
        ((await iterator.next()) as IteratorYieldResult<LogRecord>).value.seqnum;
      for (const seqnum of [1, 2, 4]) assert.equal(await next(fast), seqnum);
      const parked = next(fast);
      const slow = book.read({ tag: "a", follow: true });
      assert.equal(await next(slow), 1);
      await book.trim({ tag: "a", upTo: 4 });
      const { seqnum } = await book.append(bytes("5"), { tags: ["a"] });
      assert.equal(await parked, seqnum);
      await assert.rejects(next(slow), trimmed(4));
      await fast.return!();
    });

    onLog(suite, "a record with more tags than most goes with the last of them", async (log) => {
      const book = log.book("b");
      const tags = Array.from({ length: 40 }, (_, i) => `t${i}`);
      await book.append(bytes("many"), { tags });
      for (const tag of tags) {
        assert.equal((await book.readNext())!.seqnum, 1);
        await book.trim({ tag, upTo: 1 });
      }
      assert.equal(await book.readNext(), undefined);
      assert.equal((await log.stats()).records, 0);
    });
  });

  suite.describe("drop and books", () => {
    onEveryView(
      suite,
      "names the books that have records, and not those that were dropped",
      async (book) => {
        await four(book);
        await fill(book.log.book("é"), ["1", "a"]);
        await fill(book.log.book("gone"), ["1", "a"]);
        await book.log.book("gone").drop();
        await book.log.book("never").drop();
      },
      async (book) => {
        assert.deepEqual(await book.log.books(), ["b", "é"]);
        assert.equal(await book.log.book("gone").readNext(), undefined);
      },
    );

    onLog(suite, "a dropped book begins again", async (log) => {
      const book = log.book("b");
      await four(book);
      const dropped = book.drop();
      await Promise.all([dropped, book.append(bytes("5"), { tags: ["a"] })]);
      assert.deepEqual(await texts(book.read()), ["5"]);
      assert.deepEqual(await log.books(), ["b"]);
    });
  });

  suite.describe("session", () => {
    onLog(suite, "L4 names the log and what was seen", async (log) => {
      const before = log.session;
      await fill(log.book("b"), ["1", "a"]);
      assert.notEqual(log.session, before);
      assert.ok(log.session.startsWith(log.id));
    });
  });
}
