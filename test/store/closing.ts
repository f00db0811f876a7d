import assert from "node:assert/strict";
import { BokiStore } from "../../libs/store/store.js";
import { all, code, gate, onStore, type Suite } from "./suite.js";

interface Doc {
  n: number;
}

export function closing(suite: Suite): void {
  suite.describe("closing", () => {
    onStore(suite, "a closed store refuses everything, and the log stays open", async ({ store, book }) => {
      const docs = store.collection<Doc>("docs", { indexes: { n: (doc) => doc.n } });
      const second = new BokiStore(book, suite.options);
      const others = second.collection<Doc>("docs");
      await docs.put("a", { n: 1 });
      assert.deepEqual(await others.get("a"), { n: 1 });
      await Promise.all([store.close(), store.close()]);
      await store.close();
      const closed = code("STORE_CLOSED");
      const calls: (() => Promise<unknown>)[] = [
        () => docs.get("a"),
        () => docs.has("a"),
        () => docs.getAll(["a"]),
        () => docs.put("a", { n: 2 }),
        () => docs.update("a", (draft) => void draft.n++),
        () => docs.delete("a"),
        () => docs.find("n", 1),
        () => all(docs.keys()),
        () => all(docs.scan()),
        () => docs.at("a", 1),
        () => all(docs.history("a")),
        () => docs.watch({ from: 0 }).next(),
        () => docs.ready(),
        () => docs.checkpoint(),
        () => store.sync(),
        () => store.transaction(() => 1),
        () => store.snapshot(() => 1),
        () => second.transaction((tx) => tx.put(docs, "a", { n: 3 })),
      ];
      for (const call of calls) await assert.rejects(call(), closed, String(call));
      assert.throws(() => store.collection("docs"), closed);
      assert.deepEqual(await others.update("a", (draft) => void draft.n++), { n: 2 });
      await second.close();
      assert.ok((await book.tail()) > 1);
    });

    onStore(suite, "what waits when the store is closed is told so", async ({ store }) => {
      const docs = store.collection<Doc>("docs");
      await docs.put("a", { n: 1 });
      const watching = assert.rejects(docs.watch().next(), code("STORE_CLOSED"));
      await store.sync();
      const never = gate();
      const running = assert.rejects(
        store.transaction(async (tx) => {
          await tx.put(docs, "a", { n: 2 });
          await never.opened;
        }),
        code("STORE_CLOSED"),
      );
      await store.close();
      never.open();
      await Promise.all([watching, running]);
    });

    onStore(suite, "writes under way when the store is closed are whole or refused", async (opened, bench) => {
      const { store, book } = opened;
      const docs = store.collection<Doc>("docs");
      await docs.put("a", { n: 0 });
      const writes = Array.from({ length: 20 }, (_, i) =>
        i % 2 === 0 ? docs.update("a", (draft) => void draft.n++) : docs.put(`k${i}`, { n: i }),
      );
      const settled = Promise.allSettled(writes);
      await store.close();
      const results = await settled;
      for (const result of results) if (result.status === "rejected") code("STORE_CLOSED")(result.reason);
      const again = new BokiStore(book).collection<Doc>("docs");
      for (const [i, { status }] of results.entries()) {
        if (i % 2 === 1) assert.equal(await again.has(`k${i}`), status === "fulfilled");
      }
      const updated = results.filter(({ status }, i) => i % 2 === 0 && status === "fulfilled").length;
      assert.equal((await again.get("a"))!.n, updated);
      void bench;
    });

    onStore(suite, "when the log is closed, what waits and what comes is told so", async ({ store, log }) => {
      const docs = store.collection<Doc>("docs", { indexes: { n: (doc) => doc.n } });
      await docs.put("a", { n: 1 });
      const closed = code("LOG_CLOSED");
      const watching = assert.rejects(docs.watch().next(), closed);
      await store.sync();
      const open = gate();
      const running = assert.rejects(
        store.transaction(async (tx) => {
          await tx.put(docs, "b", { n: 2 });
          await open.opened;
        }),
        closed,
      );
      await log.close();
      open.open();
      await Promise.all([watching, running]);
      const calls: (() => Promise<unknown>)[] = [
        () => docs.get("never read"),
        () => docs.put("a", { n: 2 }),
        () => docs.update("a", (draft) => void draft.n++),
        () => all(docs.history("a")),
        () => docs.checkpoint(),
        () => store.sync(),
        () => store.transaction((tx) => tx.put(docs, "a", { n: 3 })),
      ];
      for (const call of calls) await assert.rejects(call(), closed, String(call));
      await store.close();
    });

    onStore(suite, "`await using` closes a store", async ({ book }) => {
      let kept: BokiStore;
      {
        await using store = new BokiStore(book);
        kept = store;
        await store.collection("docs").put("a", 1);
      }
      await assert.rejects(kept.sync(), code("STORE_CLOSED"));
    });
  });
}
