/** What is over stays over, says so, and holds nobody else up: closed stores and logs. */
import assert from "node:assert/strict";
import { BokiStore, openLog, type Log } from "../../libs/index.js";

describe("ends", () => {
  let log: Log;
  let store: BokiStore;
  beforeEach(async () => {
    log = await openLog("memory:");
    store = new BokiStore(log.book("book"));
  });
  afterEach(async () => {
    await store.close();
    await log.close();
  });

  for (const indexes of [{}, { self: (value: number) => value }]) {
    const kind = "self" in indexes ? "with an index" : "without indexes";

    it(`LOG_CLOSED is what a collection ${kind} says when its log was closed`, async () => {
      const things = store.collection<number>("things", { indexes });
      await things.put("a", 1);
      await log.close();
      const calls: Record<string, () => Promise<unknown>> = {
        get: () => things.get("a"),
        put: () => things.put("a", 2),
        update: () => things.update("a", (value) => value + 1),
        delete: () => things.delete("a"),
        keys: () => things.keys().next(),
        history: () => things.history("a").next(),
        transaction: () => store.transaction((tx) => tx.put(things, "a", 3)),
        snapshot: () => store.snapshot((at) => at.get(things, "a")),
      };
      for (const [name, call] of Object.entries(calls)) await assert.rejects(call, { code: "LOG_CLOSED" }, name);
    });

    it(`STORE_CLOSED is what a write to a collection ${kind} says that a close overtakes while it opens`, async () => {
      // The close comes a little later each time.
      for (let turns = 0; turns < 200; turns++) {
        const closing = new BokiStore(log.book(`book-${turns}`));
        const things = closing.collection<number>("things", { indexes });
        const results = Promise.allSettled([0, 1, 2].map((i) => things.put(String(i), i)));
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        await closing.close();
        for (const result of await results)
          if (result.status === "rejected") assert.equal((result.reason as { code?: string }).code, "STORE_CLOSED");
      }
    });
  }

  it("STORE_CLOSED is what a closed store says also of objects that another one has open", async () => {
    const things = store.collection<number>("things");
    await things.put("a", 1);
    await using other = new BokiStore(log.book("book"));
    assert.equal(await other.collection<number>("things").get("a"), 1);
    await store.close();
    await assert.rejects(things.get("a"), { code: "STORE_CLOSED" });
    await assert.rejects(things.has("a"), { code: "STORE_CLOSED" });
    await assert.rejects(
      other.transaction((tx) => tx.get(things, "a")),
      { code: "STORE_CLOSED" },
    );
    assert.equal(await other.collection<number>("things").get("a"), 1);
  });
});
