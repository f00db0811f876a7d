import assert from "node:assert/strict";
import { accepted, bytes, fill, onEveryView, onLog, texts, type Suite } from "./suite.js";

export function conditions(suite: Suite): void {
  suite.describe("conditions", () => {
    onLog(suite, "L3 passes while the tag has nothing above `after`, and is refused then", async (log) => {
      const book = log.book("b");
      const [first] = await fill(book, ["1", "key"]);
      const second = accepted(
        await book.append(bytes("2"), { tags: ["key"], unless: [{ tag: "key", after: first! }] }),
      );
      const refused = await book.append(bytes("3"), { tags: ["key"], unless: [{ tag: "key", after: first! }] });
      assert.deepEqual(refused, { ok: false, conflict: { tag: "key", seqnum: second } });
    });

    onLog(
      suite,
      "L3 `after: 0` on a tag that nothing carries passes; it can be another tag than the record's",
      async (log) => {
        const book = log.book("b");
        accepted(await book.append(bytes("1"), { tags: ["t"], unless: [{ tag: "never", after: 0 }] }));
        accepted(await book.append(bytes("2"), { tags: ["t"], unless: [{ tag: "never", after: 10 }] }));
      },
    );

    onLog(suite, "L3 a refused record is visible to no read", async (log) => {
      const book = log.book("b");
      const [only] = await fill(book, ["1", "key"]);
      for (let i = 0; i < 3; i++)
        await book.append(bytes("no"), { tags: ["key", "fresh"], unless: [{ tag: "key", after: 0 }] });
      assert.deepEqual(await texts(book.read()), ["1"]);
      assert.deepEqual(await texts(book.read({ reverse: true })), ["1"]);
      assert.equal((await book.readPrev())!.seqnum, only);
      assert.equal(await book.readNext({ tag: "fresh" }), undefined);
      // Nor to conditions.
      accepted(await book.append(bytes("2"), { tags: ["fresh"], unless: [{ tag: "fresh", after: 0 }] }));
    });

    onLog(suite, "L3 of many that race for one place, exactly one wins", async (log) => {
      const book = log.book("b");
      const results = await Promise.all(
        Array.from({ length: 64 }, (_, i) =>
          book.append(bytes(String(i)), { tags: ["key"], unless: [{ tag: "key", after: 0 }] }),
        ),
      );
      assert.deepEqual(
        results.map((result) => result.ok),
        Array.from({ length: 64 }, (_, i) => i === 0),
      );
      const winner = accepted(results[0]!);
      for (const result of results.slice(1))
        assert.deepEqual(result, { ok: false, conflict: { tag: "key", seqnum: winner } });
    });

    onLog(suite, "L3 reports the first failing condition in the order given", async (log) => {
      const book = log.book("b");
      const [a, b] = await fill(book, ["1", "a"], ["2", "b"]);
      const result = await book.append(bytes("x"), {
        tags: ["t"],
        unless: [
          { tag: "c", after: 0 },
          { tag: "b", after: 0 },
          { tag: "a", after: 0 },
        ],
      });
      assert.deepEqual(result, { ok: false, conflict: { tag: "b", seqnum: b } });
      assert.ok(a! < b!);
    });

    onLog(suite, "L3 a tag named twice counts with its lowest `after`", async (log) => {
      const book = log.book("b");
      const [last] = await fill(book, ["1", "a"]);
      const twice = [
        { tag: "a", after: last! },
        { tag: "a", after: 0 },
      ];
      for (const unless of [twice, twice.toReversed()]) {
        assert.equal((await book.append(bytes("x"), { tags: ["t"], unless })).ok, false);
      }
    });

    onLog(suite, "L3 sees the tags of its own book only", async (log) => {
      await fill(log.book("other"), ["1", "key"]);
      accepted(await log.book("b").append(bytes("1"), { tags: ["key"], unless: [{ tag: "key", after: 0 }] }));
    });

    onLog(suite, "L3 an empty list is no condition", async (log) => {
      const book = log.book("b");
      accepted(await book.append(bytes("1"), { tags: ["t"], unless: [] }));
    });

    onLog(suite, "L3 takes 1,024 conditions on tags of any script", async (log) => {
      const book = log.book("b");
      const unless = Array.from({ length: log.limits.conditionsPerRecord }, (_, i) => ({ tag: `é${i}`, after: 0 }));
      accepted(await book.append(bytes("1"), { tags: ["é1023"], unless }));
      const result = await book.append(bytes("2"), { tags: ["t"], unless });
      assert.deepEqual(result, { ok: false, conflict: { tag: "é1023", seqnum: 1 } });
    });

    onLog(suite, "L3 a chain of compare-and-set loses no update", async (log) => {
      const book = log.book("counter");
      const increment = async (): Promise<void> => {
        for (;;) {
          const last = await book.readPrev({ tag: "n" });
          const next = (last?.json<number>() ?? 0) + 1;
          const result = await book.append(bytes(String(next)), {
            tags: ["n"],
            unless: [{ tag: "n", after: last?.seqnum ?? 0 }],
          });
          if (result.ok) return;
        }
      };
      await Promise.all(Array.from({ length: 20 }, increment));
      assert.equal((await book.readPrev({ tag: "n" }))!.json(), 20);
    });

    onEveryView(
      suite,
      "L3 decides alike from every view",
      async (book) => void (await fill(book, ["1", "key"], ["2", "other"])),
      async (book) => {
        const last = (await book.readPrev({ tag: "key" }))!.seqnum;
        const refused = await book.append(bytes("x"), { tags: ["key"], unless: [{ tag: "key", after: last - 1 }] });
        assert.deepEqual(refused, { ok: false, conflict: { tag: "key", seqnum: last } });
        accepted(await book.append(bytes("y"), { tags: ["key"], unless: [{ tag: "key", after: last }] }));
      },
    );
  });
}
