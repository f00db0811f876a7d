/** A commit is one record: what does not fit into one is refused whole, and the store goes on. */
import assert from "node:assert/strict";
import { BokiStore, openLog, type Collection, type Transaction } from "../../libs/index.js";

const tooLarge: Record<string, (tx: Transaction, things: Collection<unknown>) => void> = {
  "values of more bytes": (tx, things) => {
    void tx.put(things, "large", new Uint8Array(17 * 1024 * 1024));
  },
  "more objects": (tx, things) => {
    for (let i = 0; i < 1_100; i++) void tx.put(things, String(i), 0);
  },
  "longer keys": (tx, things) => {
    for (let i = 0; i < 600; i++) void tx.put(things, String(i).padStart(120), 0);
  },
  "more read objects": (tx, things) => {
    void tx.put(things, "one", 0);
    for (let i = 0; i < 1_100; i++) void tx.get(things, String(i));
  },
};

describe("limits of a commit", () => {
  for (const [what, body] of Object.entries(tooLarge)) {
    it(`LOG_TOO_LARGE is what a transaction gets with ${what} than a record holds`, async () => {
      await using log = await openLog("memory:");
      await using store = new BokiStore(log.book("book"));
      const things = store.collection("things");
      await things.put("before", 1);
      const tail = await log.book("book").tail();
      await assert.rejects(
        store.transaction((tx) => body(tx, things)),
        { code: "LOG_TOO_LARGE", outcome: "none" },
      );
      assert.equal(await log.book("book").tail(), tail);
      await things.put("after", 2);
      assert.deepEqual(await things.getAll(["before", "after"]), [1, 2]);
    });
  }

  it("a transaction of 1,000 objects goes through, and one that looks for the same again and again", async () => {
    await using log = await openLog("memory:");
    await using store = new BokiStore(log.book("book"));
    const things = store.collection<number>("things", { indexes: { value: (value) => value } });
    const plain = store.collection<number>("plain");
    await store.transaction((tx) => {
      for (let i = 0; i < 1_000; i++) void tx.put(plain, String(i), i);
    });
    assert.equal(await plain.get("999"), 999);
    await store.transaction(async (tx) => {
      for (let i = 0; i < 1_100; i++) await tx.find(things, "value", 1);
      await tx.put(things, "one", 1);
    });
    assert.equal((await things.find("value", 1)).length, 1);
  });
});
