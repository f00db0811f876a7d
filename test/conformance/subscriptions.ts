import assert from "node:assert/strict";
import type { LogBook, LogRecord, Subscription } from "../../core/types.js";
import { accepted, bad, bytes, code, fill, onLog, type Suite } from "./suite.js";

/** Writes down what it is given, as copies. */
class Listener {
  readonly seen: { seqnum: number; time: number; tags: readonly string[]; text: string }[] = [];
  fault: Error | undefined;

  record({ seqnum, time, tags, data, size }: LogRecord): void {
    assert.equal(size, data.length);
    this.seen.push({ seqnum, time, tags: [...tags], text: Buffer.from(data).toString() });
  }

  end(error: Error): void {
    assert.equal(this.fault, undefined, "it was ended twice");
    this.fault = error;
  }

  get texts(): string[] {
    return this.seen.map(({ text }) => text);
  }
}

async function listen(book: LogBook): Promise<{ readonly listener: Listener; readonly subscription: Subscription }> {
  const listener = new Listener();
  return { listener, subscription: await book.subscribe(listener) };
}

export function subscriptions(suite: Suite): void {
  suite.describe("subscribe", () => {
    onLog(suite, "gives each record of its book from the next one on, in order, as a read does", async (log) => {
      const book = log.book("b");
      const [first] = await fill(book, ["before", "t"]);
      const { listener, subscription } = await listen(book);
      assert.ok(subscription.position >= first!);
      await Promise.all([fill(book, ["1", "t", "ü"], ["2", "u"]), fill(log.book("other"), ["no", "t"])]);
      await book.appendAll([
        { data: bytes("3"), tags: ["t"] },
        { data: new Uint8Array(0), tags: ["t"] },
      ]);
      const read = [];
      for await (const { seqnum, time, tags, data } of book.read({ from: first! + 1 }))
        read.push({ seqnum, time, tags: [...tags], text: Buffer.from(data).toString() });
      assert.deepEqual(listener.seen, read);
      assert.deepEqual(listener.texts, ["1", "2", "3", ""]);
    });

    onLog(
      suite,
      "gives a record before the append that made it resolves, also of a book that had none",
      async (log) => {
        const book = log.book("b");
        const { listener } = await listen(book);
        for (let n = 1; n <= 3; n++) {
          await book.append(bytes(`${n}`), { tags: ["t"] });
          assert.equal(listener.seen.length, n);
        }
      },
    );

    onLog(suite, "gives nothing of appends that were refused, nor of trims", async (log) => {
      const book = log.book("b");
      const { listener } = await listen(book);
      const at = accepted(await book.append(bytes("1"), { tags: ["t"], unless: [{ tag: "t", after: 0 }] }));
      const refused = await book.append(bytes("2"), { tags: ["t"], unless: [{ tag: "t", after: 0 }] });
      assert.equal(refused.ok, false);
      await book.trim({ tag: "t", upTo: at });
      await book.append(bytes("3"), { tags: ["t"] });
      assert.deepEqual(listener.texts, ["1", "3"]);
    });

    onLog(suite, "through another session gives what any session appends", async (log, subject) => {
      const other = await subject.another(log);
      try {
        const { listener } = await listen(other.book("b"));
        await fill(log.book("b"), ["1", "t"]);
        await fill(other.book("b"), ["2", "t"]);
        await other.book("b").sync();
        assert.deepEqual(listener.texts, ["1", "2"]);
      } finally {
        await other.close();
      }
    });

    onLog(
      suite,
      "ends by stop() without a word, and at the close of its session with LOG_CLOSED",
      async (log, subject) => {
        const other = await subject.another(log);
        const stopped = await listen(log.book("b"));
        const closed = await listen(other.book("b"));
        stopped.subscription.stop();
        await other.close();
        assert.ok(code("LOG_CLOSED")(closed.listener.fault));
        await fill(log.book("b"), ["1", "t"]);
        for (const { listener } of [stopped, closed]) assert.deepEqual(listener.seen, []);
        assert.equal(stopped.listener.fault, undefined);
        await assert.rejects(other.book("b").subscribe(new Listener()), code("LOG_CLOSED"));
      },
    );

    onLog(suite, "ends for the one that throws, with what it threw, and for no other", async (log) => {
      const book = log.book("b");
      const fault = new Error("mine");
      const ended: Error[] = [];
      await book.subscribe({
        record: () => {
          throw fault;
        },
        end: (error) => ended.push(error),
      });
      const { listener } = await listen(book);
      await fill(book, ["1", "t"], ["2", "t"]);
      assert.deepEqual(ended, [fault]);
      assert.deepEqual(listener.texts, ["1", "2"]);
    });

    onLog(suite, "refuses what is no subscriber", async (log) => {
      const book = log.book("b");
      await assert.rejects(book.subscribe({ record: () => undefined } as never), bad("TypeError", /record and end/));
      await assert.rejects(book.subscribe(undefined as never), bad("TypeError", /record and end/));
    });
  });
}
