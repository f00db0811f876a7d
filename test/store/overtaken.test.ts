/** Writes that a close overtakes wherever they are: they are done, or say why not. */
import assert from "node:assert/strict";
import { BokiStore, openLog } from "../../libs/index.js";

describe("a close of the store", () => {
  for (const indexes of [{}, { self: (value: number) => value }]) {
    const kind = "self" in indexes ? "with an index" : "without indexes";

    it(`is what the writes to a collection ${kind} that it overtakes tell of`, async () => {
      await using log = await openLog("memory:");
      let overtaken = 0;
      // The close comes a little later each time.
      for (let turns = 0; turns < 200; turns++) {
        const closing = new BokiStore(log.book(`book-${turns}`));
        const things = closing.collection<number>("things", { indexes });
        const results = Promise.allSettled([0, 1, 2].map((i) => things.put(String(i), i)));
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        await closing.close();
        for (const result of await results) {
          if (result.status === "fulfilled") continue;
          assert.equal((result.reason as { code?: string }).code, "STORE_CLOSED");
          overtaken++;
        }
      }
      assert.ok(overtaken > 0);
    });
  }
});
