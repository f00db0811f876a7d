/** Checkpoints and trims: by several at once, and ended at every point. What is stored stays, and nothing is left over. */
import assert from "node:assert/strict";
import { openLog, type LogBook } from "../../../core/index.js";
import { FaultDisk, VirtualClock } from "../../../core/testing.js";
import { BokiStore, type Collection } from "../../../libs/index.js";
import { tapped, type Taps } from "./tapped-book.js";
import { turn } from "./sessions.js";

interface Item {
  readonly n: number;
}

const indexes = { n: ({ n }: Item) => n % 4 };
const keys = Array.from({ length: 12 }, (_, i) => `k${String(i).padStart(2, "0")}`);
const full = process.env["FULL"] === "1";
let names = 0;
const newUrl = (): string => `memory:housekeeping-${process.pid}-${++names}`;

function open(book: LogBook): { store: BokiStore; items: Collection<Item> } {
  const store = new BokiStore(book);
  return { store, items: store.collection<Item>("items", { indexes, retain: "0s" }) };
}

/** Puts, updates and deletes, the same ones each time. */
async function work(items: Collection<Item>, round: number): Promise<void> {
  await Promise.all(
    keys.map(async (key, i) => {
      if ((i + round) % 5 === 0) await items.delete(key);
      else if ((i + round) % 3 === 0) await items.put(key, { n: i + round });
      else
        for (let left = 3; left > 0; left--) await items.update(key, (draft) => void draft.n++, { initial: { n: i } });
    }),
  );
}

/** All that can be read of a collection, by every way of reading. */
async function contentOf(items: Collection<Item>): Promise<unknown> {
  const scanned: unknown[] = [];
  for await (const { key, value } of items.scan()) scanned.push([key, value.n]);
  const found = await Promise.all([0, 1, 2, 3].map((n) => items.find("n", n)));
  return { scanned, found: found.map((some) => some.map(({ key }) => key)), values: await items.getAll(keys) };
}

async function tagsIn(book: LogBook): Promise<string[]> {
  const tags: string[] = [];
  for await (const record of book.read({ head: true })) tags.push([...record.tags].sort().join(" "));
  return tags.sort();
}

interface End {
  readonly content: unknown;
  readonly tags: string[];
}

/** What is there after one change and a checkpoint more. */
async function finish(book: LogBook): Promise<End> {
  const { store, items } = open(book);
  await items.put("last", { n: 1 });
  await items.checkpoint();
  const content = await contentOf(items);
  await store.close();
  return { content, tags: await tagsIn(book) };
}

/** Work, a checkpoint, work, and a checkpoint that may be ended. Gives what was stored before that. */
async function until(book: LogBook, checkpoint: (items: Collection<Item>) => Promise<void>): Promise<unknown> {
  const { store, items } = open(book);
  await work(items, 0);
  await items.checkpoint();
  await work(items, 1);
  const content = await contentOf(items);
  await checkpoint(items);
  // Nobody closes a store when the process ends.
  void store;
  return content;
}

describe("C2 a checkpoint that ends in the middle", () => {
  async function undisturbed(): Promise<End> {
    await using log = await openLog(newUrl());
    const book = log.book("b");
    await until(book, (items) => items.checkpoint());
    return await finish(book);
  }

  class Ended extends Error {}

  for (const when of ["before", "after"] as const) {
    it(`${when} any call of the log is finished by the next one, and leaves nothing over`, async function () {
      this.timeout(30_000);
      const expected = await undisturbed();
      let points = 0;
      for (let ended = true; ended; points++) {
        const url = newUrl();
        await using keep = await openLog(url);
        const log = await openLog(url);
        let left = Infinity;
        const call = async <T>(next: () => Promise<T>): Promise<T> => {
          if (left < 0 || (left === 0 && when === "before")) throw new Ended();
          const result = await next();
          if (left-- === 0) throw new Ended();
          return result;
        };
        const taps: Taps = { append: (append, next) => call(() => next(append)), trim: (_, next) => call(next) };
        const content = await until(tapped(log.book("b"), taps), async (items) => {
          left = points;
          ended = await items.checkpoint().then(
            () => false,
            (error: unknown) => {
              if (!(error instanceof Ended)) throw error;
              return true;
            },
          );
        });
        const book = keep.book("b");
        const { store, items } = open(book);
        assert.deepEqual(await contentOf(items), content, `ended ${when} call ${points}`);
        await store.close();
        assert.deepEqual(await finish(book), expected, `ended ${when} call ${points}`);
        await log.close();
      }
      assert.ok(points > 20, `${points} calls`);
    });
  }

  it("when the power goes at any call of the disk", async function () {
    this.timeout(120_000);
    const expected = await undisturbed();
    const step = full ? 1 : 5;
    let points = 0;
    for (let ended = true, after = 0; ended; after += step, points++) {
      const clock = new VirtualClock();
      let disk = new FaultDisk({ seed: after });
      let log = await openLog("file:/log", { disk, clock, io: "main" });
      const content = await until(log.book("b"), async (items) => {
        disk.cutPowerAfter(after);
        ended = await items.checkpoint().then(
          () => false,
          (error: unknown) => {
            if (disk.powered) throw error;
            return true;
          },
        );
      });
      disk.cutPowerAfter(0);
      await log.close().catch(() => undefined);
      disk = disk.powerLoss();
      log = await openLog("file:/log", { disk, clock, io: "main" });
      const { store, items } = open(log.book("b"));
      assert.deepEqual(await contentOf(items), content, `the power went after ${after} calls`);
      await store.close();
      assert.deepEqual(await finish(log.book("b")), expected, `the power went after ${after} calls`);
      await log.close();
    }
    assert.ok(points > 5, `${points} points`);
  });
});

describe("C2 two checkpointers at once", () => {
  it("leave what is stored, and one checkpoint", async function () {
    this.timeout(30_000);
    for (let round = 0; round < (full ? 100 : 10); round++) {
      const url = newUrl();
      const logs = [await openLog(url), await openLog(url)];
      const sessions = logs.map((log) => open(log.book("b")));
      const [one, other] = sessions as [(typeof sessions)[0], (typeof sessions)[0]];
      let writing = true;
      const keepHouse = async (items: Collection<Item>): Promise<void> => {
        while (writing) {
          await items.checkpoint();
          await turn();
        }
      };
      const kept = sessions.map(({ items }) => keepHouse(items));
      for (let i = 0; i < 4; i++) await Promise.all([work(one.items, i), work(other.items, i + 1)]);
      writing = false;
      await Promise.all(kept);
      await Promise.all(sessions.map(({ store }) => store.sync()));
      const content = await contentOf(one.items);
      assert.deepEqual(await contentOf(other.items), content);
      await Promise.all(sessions.map(({ items }) => items.checkpoint()));
      await using later = await openLog(url);
      const last = open(later.book("b"));
      assert.deepEqual(await contentOf(last.items), content);
      await last.store.close();
      const { tags } = await finish(later.book("b"));
      assert.equal(tags.filter((tag) => tag === "$k/items").length, 1, "one head");
      assert.equal(tags.filter((tag) => tag === "$k/items/part").length, 1, "its part");
      for (const { store } of sessions) await store.close();
      for (const log of logs) await log.close();
    }
  });
});

describe("a checkpoint beside transactions", () => {
  it("makes none of them conflict", async () => {
    await using log = await openLog(newUrl());
    await using store = new BokiStore(log.book("b"));
    const items = store.collection<Item>("items", { indexes, retain: "0s" });
    for (const key of keys) await items.put(key, { n: 0 });
    let running = true;
    let checkpoints = 0;
    const keepHouse = (async (): Promise<void> => {
      for (; running; checkpoints++) await items.checkpoint();
    })();
    for (let i = 0; i < 200; i++) {
      let runs = 0;
      await store.transaction(async (tx) => {
        runs++;
        await tx.find(items, "n", i % 4);
        for await (const key of tx.keys(items)) assert.ok(keys.includes(key));
        await turn();
        await tx.update(items, keys[i % keys.length]!, (draft) => void draft.n++);
      });
      assert.equal(runs, 1, "it ran again");
    }
    running = false;
    await keepHouse;
    assert.ok(checkpoints > 10, `${checkpoints} checkpoints`);
  });
});
