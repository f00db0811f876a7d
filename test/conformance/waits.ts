import assert from "node:assert/strict";
import { bytes, code, fill, onLog, texts, type Suite } from "./suite.js";

export function waits(suite: Suite): void {
  suite.describe("readNext with wait", () => {
    onLog(suite, "parks until there is a record, by tag, book, and in a book that does not exist yet", async (log) => {
      const book = log.book("b");
      const waiting = Promise.all([
        book.readNext({ tag: "t", wait: true }),
        book.readNext({ wait: true }),
        log.book("c").readNext({ tag: "t", wait: true }),
      ]);
      await fill(book, ["1", "other"], ["2", "t"]);
      await fill(log.book("c"), ["3", "t"]);
      assert.deepEqual(
        (await waiting).map((record) => record?.text()),
        ["2", "1", "3"],
      );
      assert.equal((await log.stats()).readsWaiting, 0);
    });

    onLog(suite, "gives at once what is there, and waits for a seqnum to come", async (log) => {
      const book = log.book("b");
      const [first] = await fill(book, ["1", "t"]);
      assert.equal((await book.readNext({ tag: "t", wait: true }))!.seqnum, first);
      const later = book.readNext({ tag: "t", from: first! + 1, wait: true });
      await fill(book, ["2", "t"]);
      assert.equal((await later)!.text(), "2");
    });

    onLog(suite, "without a tag waits for the next record of a book that has some, not of another", async (log) => {
      const book = log.book("b");
      const [first] = await fill(book, ["1", "t"]);
      const waiting = book.readNext({ from: first! + 1, wait: true });
      await fill(log.book("other"), ["not this", "t"]);
      assert.equal((await log.stats()).readsWaiting, 1);
      await fill(book, ["2", "u"]);
      assert.equal((await waiting)!.text(), "2");
    });

    onLog(suite, "is not woken by a refused record", async (log) => {
      const book = log.book("b");
      await fill(book, ["1", "key"]);
      const waiting = book.readNext({ tag: "t", wait: true });
      await book.append(bytes("no"), { tags: ["t"], unless: [{ tag: "key", after: 0 }] });
      await fill(book, ["yes", "t"]);
      assert.equal((await waiting)!.text(), "yes");
    });

    onLog(suite, "gives undefined at timeoutMs", async (log) => {
      const book = log.book("b");
      assert.equal(await book.readNext({ tag: "t", wait: true, timeoutMs: 5 }), undefined);
      assert.equal((await log.stats()).readsWaiting, 0);
    });

    onLog(suite, "ends with the abort, and leaves nothing behind", async (log) => {
      const book = log.book("b");
      const stop = new AbortController();
      const waiting = Array.from({ length: 20 }, () => book.readNext({ tag: "t", wait: true, signal: stop.signal }));
      stop.abort(new Error("enough"));
      for (const wait of waiting) {
        await assert.rejects(wait, (error: Error) => {
          code("LOG_ABORTED")(error);
          assert.equal(error.name, "AbortError");
          assert.equal((error.cause as Error).message, "enough");
          return true;
        });
      }
      assert.equal((await log.stats()).readsWaiting, 0);
      await assert.rejects(book.readNext({ signal: stop.signal }), code("LOG_ABORTED"));
    });
  });

  suite.describe("follow", () => {
    onLog(suite, "gives what is there and what comes, in order, once", async (log) => {
      const book = log.book("b");
      await fill(book, ["0", "t"], ["1", "t"]);
      const found: string[] = [];
      const following = (async () => {
        for await (const record of book.read({ tag: "t", follow: true })) {
          found.push(record.text());
          if (found.length === 200) break;
        }
      })();
      await Promise.all(Array.from({ length: 300 }, (_, i) => book.append(bytes(String(i + 2)), { tags: ["t", "u"] })));
      await following;
      assert.deepEqual(
        found,
        Array.from({ length: 200 }, (_, i) => String(i)),
      );
    });

    onLog(suite, "ends when `to` is reached, or passed by another record", async (log) => {
      const book = log.book("b");
      const reached = texts(book.read({ tag: "t", follow: true, to: 2 }));
      const passed = texts(book.read({ tag: "rare", follow: true, to: 2 }));
      await fill(book, ["1", "t"], ["2", "t"], ["3", "t"]);
      assert.deepEqual(await reached, ["1", "2"]);
      assert.deepEqual(await passed, []);
    });

    onLog(suite, "ends with return while it waits", async (log) => {
      const records = log.book("b").read({ tag: "t", follow: true });
      const parked = records.next();
      const second = records.next();
      await records.return!();
      assert.deepEqual(await parked, { done: true, value: undefined });
      assert.deepEqual(await second, { done: true, value: undefined });
      assert.equal((await log.stats()).readsWaiting, 0);
    });

    onLog(suite, "ends with the abort while it waits", async (log) => {
      const stop = new AbortController();
      const records = log.book("b").read({ follow: true, signal: stop.signal });
      const parked = records.next();
      stop.abort();
      await assert.rejects(parked, code("LOG_ABORTED"));
      assert.deepEqual(await records.next(), { done: true, value: undefined });
    });
  });

  suite.describe("tail and sync", () => {
    onLog(suite, "refuse a signal that is aborted", async (log) => {
      const signal = AbortSignal.abort();
      await assert.rejects(log.book("b").tail({ signal }), code("LOG_ABORTED"));
      await assert.rejects(log.book("b").sync({ signal }), code("LOG_ABORTED"));
    });

    onLog(
      suite,
      "L1 tail is above all that is acknowledged, and at or below all that is appended later",
      async (log) => {
        const book = log.book("b");
        for (let i = 0; i < 10; i++) {
          const { seqnum: before } = await book.append(bytes("x"), { tags: ["t"] });
          const tail = await book.tail();
          const { seqnum: after } = await log.book("other").append(bytes("y"), { tags: ["t"] });
          assert.ok(before < tail && tail <= after);
        }
      },
    );

    onLog(suite, "L4 after sync all below its tail can be read", async (log, subject) => {
      const second = await subject.another(log);
      const [seqnum] = await fill(log.book("b"), ["1", "t"]);
      assert.ok((await second.book("b").sync()) > seqnum!);
      assert.equal((await second.book("b").readPrev({ tag: "t" }))!.seqnum, seqnum);
      await second.close();
    });
  });

  suite.describe("sessions", () => {
    onLog(suite, "L4 share one log; closing one leaves the other", async (log, subject) => {
      const second = await subject.another(log);
      assert.equal(second.id, log.id);
      const waiting = log.book("b").readNext({ tag: "t", wait: true });
      const own = second.book("b").readNext({ tag: "never", wait: true });
      await fill(second.book("b"), ["1", "t"]);
      assert.equal((await waiting)!.text(), "1");
      const ended = assert.rejects(own, code("LOG_CLOSED"));
      const surviving = log.book("b").readNext({ tag: "later", wait: true });
      await second.close();
      await ended;
      await fill(log.book("b"), ["2", "later"]);
      assert.equal((await surviving)!.text(), "2");
      await assert.rejects(second.book("b").readNext(), code("LOG_CLOSED"));
    });

    onLog(suite, "L4 reads of a session never go backwards", async (log, subject) => {
      const second = await subject.another(log);
      let seen = 0;
      const reading = (async () => {
        while (seen < 200) {
          const last = (await second.book("b").readPrev({ tag: "t" }))?.seqnum ?? 0;
          assert.ok(last >= seen);
          seen = last;
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      for (let i = 0; i < 200; i++) await log.book("b").append(bytes("x"), { tags: ["t"] });
      await reading;
      await second.close();
    });
  });

  suite.describe("close", () => {
    onLog(suite, "L2 writes what was accepted before it", async (log, subject) => {
      const pending = Array.from({ length: 50 }, (_, i) => log.book("b").append(bytes(String(i)), { tags: ["t"] }));
      const again = await subject.reopen(log);
      assert.equal((await Promise.all(pending)).length, 50);
      assert.equal((await texts(again.book("b").read())).length, 50);
      await again.close();
    });

    onLog(
      suite,
      "L2 has decided the session's own appends when it resolves, also while another stays open",
      async (log, subject) => {
        const second = await subject.another(log);
        let decided = 0;
        for (let i = 0; i < 50; i++) {
          void second
            .book("b")
            .append(bytes(String(i)), { tags: ["t"] })
            .then(() => decided++);
        }
        await second.close();
        assert.equal(decided, 50);
        assert.equal((await texts(log.book("b").read())).length, 50);
      },
    );

    onLog(suite, "ends waits, refuses everything after it, and may be called again", async (log) => {
      const book = log.book("b");
      const wait = assert.rejects(book.readNext({ wait: true }), code("LOG_CLOSED"));
      const records = book.read({ follow: true });
      const step = assert.rejects(records.next(), code("LOG_CLOSED"));
      await log.close();
      await wait;
      await step;
      await log.close();
      await assert.rejects(book.append(bytes("x"), { tags: ["t"] }), code("LOG_CLOSED", "none"));
      await assert.rejects(book.appendAll([]), code("LOG_CLOSED", "none"));
      await assert.rejects(book.readNext(), code("LOG_CLOSED"));
      await assert.rejects(book.readPrev(), code("LOG_CLOSED"));
      await assert.rejects(book.read().next(), code("LOG_CLOSED"));
      await assert.rejects(book.tail(), code("LOG_CLOSED"));
      await assert.rejects(book.sync(), code("LOG_CLOSED"));
      await assert.rejects(log.books(), code("LOG_CLOSED"));
      await assert.rejects(log.stats(), code("LOG_CLOSED"));
      assert.throws(() => book.setAux(1, bytes("x")), code("LOG_CLOSED"));
    });

    onLog(suite, "is what `await using` calls", async (log, subject) => {
      const second = await subject.another(log);
      await second[Symbol.asyncDispose]();
      await assert.rejects(second.book("b").tail(), code("LOG_CLOSED"));
    });
  });

  suite.describe("stats and limits", () => {
    onLog(suite, "say what is in the log and what it takes", async (log) => {
      const book = log.book("b");
      await fill(book, ["1", "a"], ["2", "a", "b"]);
      await book.append(bytes("no"), { tags: ["a"], unless: [{ tag: "a", after: 0 }] });
      const stats = await log.stats();
      assert.equal(stats.records, 2);
      assert.equal(stats.entries, 3);
      assert.ok(stats.indexBytes > 0 && stats.tagBytes > 0 && stats.logBytes > 0 && stats.batches > 0);
      assert.ok(Object.isFrozen(log.limits));
      assert.equal(log.limits.recordBytes, 16 * 1024 * 1024);
      assert.match(log.id, /^[0-9a-f]{32}$/);
      assert.ok(["disk", "os", "memory"].includes(log.durability));
    });

    onLog(suite, "a signal that is aborted already refuses stats and books at once", async (log) => {
      const signal = AbortSignal.abort();
      await assert.rejects(log.stats({ signal }), code("LOG_ABORTED"));
      await assert.rejects(log.books({ signal }), code("LOG_ABORTED"));
      assert.deepEqual(await log.books({ signal: new AbortController().signal }), []);
    });
  });
}
