/** What is stored and not acceptable any more is in nobody's way: it can be replaced and deleted. */
import assert from "node:assert/strict";
import { BokiStore, openLog } from "../../libs/index.js";
import { z } from "zod";

describe("values of older versions that are refused", () => {
  const kinds = {
    "the schema": { version: 2, schema: z.string() },
    migrate: {
      version: 2,
      migrate: (): string => {
        throw new Error("cannot be brought up");
      },
    },
  };
  for (const [what, options] of Object.entries(kinds)) {
    it(`can be replaced and deleted, though ${what} refuses them`, async () => {
      await using log = await openLog("memory:");
      await using store = new BokiStore(log.book("book"));
      const old = store.collection<unknown>("things");
      for (const key of ["a", "b", "c", "d"]) await old.put(key, 7);

      const things = store.collection<string>("things", options);
      const refusal = what === "migrate" ? { message: "cannot be brought up" } : { code: "STORE_INVALID" };
      await assert.rejects(things.get("a"), refusal);
      await assert.rejects(
        things.update("a", (value) => value),
        refusal,
      );
      await assert.rejects(
        store.transaction((tx) => tx.get(things, "a")),
        refusal,
      );
      await things.put("a", "new");
      await things.delete("b");
      await store.transaction(async (tx) => {
        await tx.put(things, "c", "new");
        await tx.delete(things, "d");
      });
      assert.deepEqual(await things.getAll(["a", "b", "c", "d"]), ["new", undefined, "new", undefined]);
    });
  }
});
