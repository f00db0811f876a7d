/** F4: commits that others removed before a store heard of them. It begins anew behind them, and gives no wrong value on the way. */
import assert from "node:assert/strict";
import { openLog } from "../../core/index.js";
import { BokiStore, type Collection } from "../../libs/index.js";
import type { Log } from "../../core/index.js";
import { inFolder, inMemory } from "../remote/subject.js";
import { serve, type Served } from "../remote/serve.js";
import { until } from "../remote/served.js";
import { all, code } from "./suite.js";

interface Item {
  readonly n: number;
  readonly text: string;
}

interface Side {
  readonly log: Log;
  readonly store: BokiStore;
  readonly items: Collection<Item>;
}

const item = (n: number): Item => ({ n, text: "x".repeat(300) });
const indexes = { n: ({ n }: Item) => n };

function on(log: Log): Side {
  const store = new BokiStore(log.book("b"));
  return { log, store, items: store.collection<Item>("items", { retain: "0s", indexes }) };
}

/** The process that has the log, a client of it, and the way to cut the client off. */
interface Both {
  readonly owner: Side;
  readonly client: Side;
  /** Does something that the client hears of only when it is connected again, and not of each commit. */
  readonly unheard: (work: () => Promise<void>) => Promise<void>;
  /** The same, but that the client hears of each commit, once it has the connection again. */
  readonly away: (work: () => Promise<void>) => Promise<void>;
}

async function both(make: typeof inMemory, body: (both: Both) => Promise<void>): Promise<void> {
  const { url, dispose } = make();
  const logs: Log[] = [];
  const stores: BokiStore[] = [];
  // Without a cache, records that are given late are read from the disk: that takes a moment.
  const options = make === inFolder ? { cacheBytes: 0 } : {};
  const open = async (at: string): Promise<Side> => {
    const side = on(await openLog(at, options));
    logs.push(side.log);
    stores.push(side.store);
    return side;
  };
  const owner = await open(url);
  let server: Served = await serve(url, 0, options);
  const client = await open(server.url);
  let gaps = 0;
  const gap = (): void => void gaps++;
  await client.log.book("b").subscribe({ record: () => undefined, gap, end: () => undefined });
  const away = async (work: () => Promise<void>): Promise<void> => {
    await server.close();
    await work();
    server = await serve(url, server.port, options);
  };
  const unheard = async (work: () => Promise<void>): Promise<void> => {
    const before = gaps;
    await away(async () => {
      await work();
      await owner.items.checkpoint();
    });
    await client.log.book("b").sync();
    assert.equal(gaps, before + 1, "there was no gap");
  };
  try {
    await body({ owner, client, unheard, away });
  } finally {
    for (const store of stores) await store.close();
    for (const log of logs) await log.close();
    await server.close();
    dispose();
  }
}

async function contentOf({ items }: Side): Promise<unknown> {
  const scanned = (await all(items.scan())).map(({ key, value }) => [key, value.n]);
  const found = await Promise.all([1, 2, 3, 4].map((n) => items.find("n", n)));
  const values = await items.getAll(["a", "b", "c", "d"]);
  return { scanned, found: found.map((some) => some.map(({ key }) => key)), values: values.map((value) => value?.n) };
}

for (const [name, make] of Object.entries({ "memory:": inMemory, "file:": inFolder })) {
  describe(`F4 a store on grpc: of ${name} that missed commits`, () => {
    /** a, b and c, which the client has open. */
    async function begin({ owner, client }: Both): Promise<void> {
      for (const [i, key] of ["a", "b", "c"].entries()) await owner.items.put(key, item(i + 1));
      await client.store.sync();
      assert.deepEqual(await contentOf(client), await contentOf(owner));
    }

    /** What was 1, 2, 3 is 2, nothing and 3, and d is 4. */
    async function change({ items }: Side): Promise<void> {
      await items.put("a", item(1));
      await items.update("a", (draft) => void draft.n++);
      await items.delete("b");
      await items.put("d", item(4));
    }

    it("sees what is there now, by every way of reading", async () => {
      await both(make, async (each) => {
        await begin(each);
        const { owner, client, unheard } = each;
        await unheard(() => change(owner));
        // Each way comes first once: nothing is opened by another one.
        assert.equal((await client.items.get("a"))!.n, 2);
        await unheard(async () => void (await owner.items.put("a", item(3))));
        assert.deepEqual(
          (await client.items.find("n", 3)).map(({ key }) => key),
          ["a", "c"],
        );
        await unheard(async () => void (await owner.items.put("c", item(4))));
        assert.deepEqual(
          (await all(client.items.scan())).map(({ value }) => value.n),
          [3, 4, 4],
        );
        await unheard(async () => void (await owner.items.delete("d")));
        assert.deepEqual(await all(client.items.keys()), ["a", "c"]);
        await unheard(async () => void (await owner.items.put("a", item(1))));
        assert.deepEqual(await contentOf(client), await contentOf(owner));
      });
    });

    it("has all that was committed before a sync, though it comes late", async () => {
      await both(make, async (each) => {
        await begin(each);
        const { owner, client, away } = each;
        for (let round = 0; round < 5; round++) {
          await away(async () => {
            for (let i = 0; i < 10; i++) await owner.items.put("a", { n: 10 * round + i, text: "x".repeat(300_000) });
          });
          await client.store.sync();
          assert.equal((await client.items.get("a"))!.n, 10 * round + 9);
        }
      });
    });

    it("writes on what is there now: plainly, and in a transaction that had begun before", async () => {
      await both(make, async (each) => {
        await begin(each);
        const { owner, client, unheard } = each;
        await unheard(() => change(owner));
        assert.equal((await client.items.update("a", (draft) => void draft.n++)).n, 3);
        let runs = 0;
        await client.store.transaction(async (tx) => {
          const before = await tx.get(client.items, "a");
          if (runs++ === 0) await unheard(async () => void (await owner.items.put("a", item(3))));
          await tx.put(client.items, "a", item(before!.n + (await tx.find(client.items, "n", 3)).length));
        });
        assert.ok(runs > 1);
        assert.equal((await client.items.get("a"))!.n, 5);
        await owner.store.sync();
        assert.deepEqual(await contentOf(client), await contentOf(owner));
      });
    });

    it("keeps what an open snapshot can know, and says LOG_TRIMMED of the rest", async () => {
      await both(make, async (each) => {
        await begin(each);
        const { owner, client, unheard } = each;
        await client.store.snapshot(async (at) => {
          await unheard(() => change(owner));
          const seen = await Promise.allSettled(["a", "b", "c", "d"].map((key) => at.get(client.items, key)));
          for (const [i, result] of seen.entries()) {
            if (result.status === "fulfilled") assert.equal(result.value?.n, [1, 2, 3, undefined][i]);
            else code("LOG_TRIMMED")(result.reason);
          }
          assert.equal(seen[2]!.status, "fulfilled", "c is as it was");
          await assert.rejects(at.find(client.items, "n", 1), (error: { retryable?: boolean }) => {
            return code("LOG_TRIMMED")(error) && error.retryable === true;
          });
        });
        assert.deepEqual(await contentOf(client), await contentOf(owner));
      });
    });

    it("hears of its own commits that were under way", async () => {
      await both(make, async (each) => {
        await begin(each);
        const { owner, client, unheard } = each;
        let writing: Promise<unknown> | undefined;
        await unheard(async () => {
          await change(owner);
          writing = Promise.all([
            client.items.put("b", item(2)),
            client.items.update("c", (draft) => void draft.n++),
            client.store.transaction((tx) => tx.update(client.items, "a", (draft) => void draft.n++)),
          ]);
        });
        await writing;
        assert.deepEqual(
          (await client.items.getAll(["a", "b", "c", "d"])).map((value) => value?.n),
          [3, 2, 4, 4],
        );
        await owner.store.sync();
        assert.deepEqual(await contentOf(client), await contentOf(owner));
      });
    });

    it("sees a new index, and gives what it writes an entry in it", async () => {
      await both(make, async (each) => {
        await begin(each);
        const { owner, client, unheard } = each;
        const byText = { ...indexes, length: ({ text }: Item) => text.length };
        const other = owner.store.collection<Item>("items", { retain: "0s", indexes: byText });
        await unheard(() => other.ready());
        await client.items.put("d", item(4));
        await owner.store.sync();
        assert.deepEqual(
          (await other.find("length", 300)).map(({ key }) => key),
          ["a", "b", "c", "d"],
        );
      });
    });

    it("goes on to delete what expires", async () => {
      await both(make, async (each) => {
        await begin(each);
        const { owner, client, unheard } = each;
        await unheard(async () => void (await owner.items.put("d", item(4), { expiresIn: "1s" })));
        // Only the client is there to delete it.
        await owner.store.close();
        for await (const { key, value } of client.items.watch({ from: 0 }))
          if (key === "d" && value === undefined) break;
      });
    });
  });
}

it("a transaction that finds no server fails, and the next one runs once it is there", async () => {
  const { url, dispose } = inFolder();
  let server = await serve(url);
  const { log, store, items } = on(await openLog(server.url, { timeoutMs: 500 }));
  try {
    await server.close();
    const put = (): Promise<void> => store.transaction((tx) => tx.put(items, "a", item(1)));
    await assert.rejects(put(), code("LOG_TIMEOUT"));
    server = await serve(url, server.port);
    // On a busy machine half a second may not be enough.
    const isTimeout = code("LOG_TIMEOUT");
    await until("a transaction runs", () => put().then(() => true, (error: unknown) => !isTimeout(error))); // prettier-ignore
    assert.deepEqual(await items.get("a"), item(1));
  } finally {
    await store.close();
    await log.close();
    await server.close();
    dispose();
  }
});
