/** K1: whoever looks at a position sees the same there: two handles, two stores, two sessions, and one that is opened late. */
import assert from "node:assert/strict";
import { openLog } from "../../../core/index.js";
import { pick, randomSource } from "../../../core/testing/random.js";
import { BokiStore, type Collection } from "../../../libs/index.js";
import { serve } from "../../remote/serve.js";

interface Item {
  readonly n: number;
  readonly list: readonly number[];
}

const keys = ["a", "b", "c", "d"];
const indexes = { n: ({ n }: Item) => n % 3 };
let names = 0;

/** Random changes, alone and together. */
async function change(store: BokiStore, items: Collection<Item>, random: () => number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const edit = (draft: { n: number; list: readonly number[] }): void => {
      draft.n++;
      draft.list = [...draft.list, i];
    };
    const initial = { n: 0, list: [] };
    const chance = random();
    const key = pick(random, keys);
    if (chance < 0.2) await items.put(key, { n: i, list: [] });
    else if (chance < 0.3) await items.delete(key);
    else if (chance < 0.7) await items.update(key, edit, { initial });
    else {
      await store.transaction(async (tx) => {
        for (const each of [key, pick(random, keys)]) await tx.update(items, each, edit, { initial });
      });
    }
  }
}

interface Seen {
  readonly values: readonly (Item | undefined)[];
  readonly found: readonly (readonly string[])[];
  readonly scanned: readonly string[];
}

async function lookAt(store: BokiStore, items: Collection<Item>): Promise<readonly [position: number, seen: Seen]> {
  return store.snapshot(async (at) => {
    const scanned: string[] = [];
    for await (const key of at.keys(items)) scanned.push(key);
    const found = await Promise.all([0, 1, 2].map((n) => at.find(items, "n", n)));
    const seen = {
      values: await at.getAll(items, keys),
      found: found.map((some) => some.map(({ key }) => key)),
      scanned,
    };
    return [at.position, seen];
  });
}

/** All changes of a, as history and as a watch show them. */
async function storyOf(items: Collection<Item>): Promise<unknown> {
  const history = [];
  for await (const version of items.history("a")) history.push(version);
  const watched = [];
  for await (const { key, seqnum, time, value, cursor } of items.watch({ from: 0 })) {
    if (key === "a") watched.push({ seqnum, time, value, cursor });
    if (watched.length === history.length) break;
  }
  assert.deepEqual(
    watched.map(({ cursor: _, ...version }) => version),
    history,
  );
  return watched;
}

describe("K1 what is seen at a position", () => {
  for (const isServed of [false, true]) {
    const who = isServed ? "the owner of a log and the clients of its server" : "all handles, stores and sessions";
    it(`is the same for ${who}, and in the past`, async function () {
      this.timeout(30_000);
      await everybodyLooks(isServed);
    });
  }

  async function everybodyLooks(isServed: boolean): Promise<void> {
    const url = `memory:same-${process.pid}-${++names}`;
    const random = randomSource(Number(process.env["SEED"] ?? 7));
    const server = isServed ? await serve(url) : undefined;
    const elsewhere = server?.url ?? url;
    const logs = [await openLog(url), await openLog(elsewhere), await openLog(elsewhere)];
    const [one, two, other, late] = [
      new BokiStore(logs[0]!.book("b")),
      new BokiStore(logs[0]!.book("b")),
      new BokiStore(logs[1]!.book("b")),
      new BokiStore(logs[2]!.book("b"), { cacheBytes: 65_536 }),
    ];
    const open = (store: BokiStore): Collection<Item> =>
      store.collection<Item>("items", { indexes, retain: "forever" });
    const viewers: (readonly [BokiStore, Collection<Item>])[] = [
      [one, open(one)],
      [one, open(one)],
      [two, open(two)],
      [other, open(other)],
    ];
    const seenAt = new Map<number, Seen>();
    const look = async ([store, items]: readonly [BokiStore, Collection<Item>]): Promise<void> => {
      const [position, seen] = await lookAt(store, items);
      const before = seenAt.get(position);
      if (before === undefined) seenAt.set(position, seen);
      else assert.deepEqual(seen, before, `at ${position}`);
    };
    let looks = 0;
    for (let round = 0; round < 40; round++) {
      const writing = viewers.map(([store, items]) => change(store, items, random, 4));
      for (let i = 0; i < 5; i++) {
        await Promise.all(viewers.map(look));
        looks += viewers.length;
      }
      await Promise.all(writing);
      if (round === 20) await viewers[0]![1].checkpoint();
      await other.sync();
      await one.sync();
      await Promise.all(viewers.map(look));
      looks += viewers.length;
      if (round === 30) viewers.push([late, open(late)]);
    }
    assert.ok(seenAt.size > 40 && looks > 2 * seenAt.size, `${looks} looks at ${seenAt.size} positions`);
    for (const [, items] of [viewers[1]!, viewers[3]!, viewers[4]!]) {
      for (const [position, { values }] of seenAt) {
        const past = await Promise.all(keys.map((key) => items.at(key, position)));
        assert.deepEqual(past, values, `the past at ${position}`);
      }
    }
    const [first, ...others] = await Promise.all(
      [viewers[0]!, viewers[3]!, viewers[4]!].map(([, items]) => storyOf(items)),
    );
    for (const story of others) assert.deepEqual(story, first);
    await Promise.all([one, two, other, late].map((store) => store.close()));
    await Promise.all(logs.map((log) => log.close()));
    await server?.close();
  }

  it("is what a transaction has written, through whichever handle", async () => {
    await using log = await openLog("memory:");
    await using store = new BokiStore(log.book("b"));
    const [first, second] = [store.collection<Item>("items"), store.collection<Item>("items")];
    await first.put("a", { n: 0, list: [] });
    const twice = store.transaction(async (tx) => {
      await tx.update(first, "a", (draft) => void draft.n++);
      await tx.update(second, "a", (draft) => void draft.n++);
    });
    // Two handles may see values in different versions: what one has written is not for the other to go on from.
    await assert.rejects(twice, TypeError);
    assert.equal((await first.get("a"))!.n, 0);
  });

  it("stays the same while changes come, of which some change no key", async () => {
    await using log = await openLog("memory:");
    await using store = new BokiStore(log.book("b"));
    const items = store.collection<Item>("items", { indexes });
    await items.put("a", { n: 0, list: [] });
    await store.snapshot(async (at) => {
      await items.update("a", (draft) => void (draft.list = [1]));
      await items.put("b", { n: 0, list: [] });
      const keys: string[] = [];
      for await (const key of at.keys(items)) keys.push(key);
      assert.deepEqual(keys, ["a"]);
      assert.equal((await at.find(items, "n", 0)).length, 1);
    });
  });

  it("is the object's own, though the record before has changed others too", async () => {
    const url = `memory:same-${process.pid}-${++names}`;
    await using log = await openLog(url);
    await using store = new BokiStore(log.book("b"));
    const items = store.collection<Item>("items");
    const long = Array.from({ length: 1000 }, (_, i) => i);
    for (const key of keys) await items.put(key, { n: keys.indexOf(key) * 100, list: long });
    for (let i = 0; i < 8; i++) {
      await store.transaction(async (tx) => {
        for (const key of keys) await tx.update(items, key, (draft) => void draft.n++);
      });
    }
    // Each reads an object that is closed there, and leaves what it found beside the record.
    for (const key of [...keys, ...keys]) {
      const reader = await openLog(url);
      await using readerStore = new BokiStore(reader.book("b"));
      const { n } = (await readerStore.collection<Item>("items").get(key))!;
      assert.equal(n, keys.indexOf(key) * 100 + 8, key);
      await readerStore.close();
      await reader.close();
    }
  });

  it("is where a session was, for one that is opened with it", async () => {
    const url = `memory:same-${process.pid}-${++names}`;
    const log = await openLog(url);
    const store = new BokiStore(log.book("b"));
    const items = store.collection<Item>("items");
    for (let n = 0; n < 50; n++) {
      await items.put("a", { n, list: [] });
      const next = await openLog(url, { session: log.session });
      const nextStore = new BokiStore(next.book("b"));
      assert.equal((await nextStore.collection<Item>("items").get("a"))!.n, n);
      await nextStore.close();
      await next.close();
    }
    await store.close();
    await log.close();
  });
});
