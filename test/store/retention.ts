import assert from "node:assert/strict";
import { VirtualClock } from "../../core/testing.js";
import type { Collection } from "../../libs/store/collection.js";
import type { BokiStore } from "../../libs/store/store.js";
import { all, code, dataBytes, nextOf, onStore, take, type Suite } from "./suite.js";

interface Item {
  n: number;
  text: string;
}

const itemsOf = (store: BokiStore, retain: string): Collection<Item> =>
  store.collection<Item>("items", { retain, indexes: { n: (item) => item.n % 10 } });

const item = (n: number): Item => ({ n, text: "x".repeat(400) });

/** 40 objects with 25 changes each, some deleted. */
async function fill(items: Collection<Item>): Promise<void> {
  for (let round = 0; round < 25; round++) {
    await Promise.all(
      Array.from({ length: 40 }, (_, i) => {
        const key = `k${10 + i}`;
        if (round % 12 === 0) return items.put(key, item(i));
        return i < 5 && round === 24 - 1
          ? items.delete(key)
          : items.update(key, (draft) => void draft.n++, { initial: item(i) });
      }),
    );
  }
}

export function retention(suite: Suite): void {
  suite.describe("retention", () => {
    onStore(
      suite,
      '"0s": a checkpoint trims all but what is current, which stays right, also reopened',
      async (opened, bench) => {
        const items = itemsOf(opened.store, "0s");
        const { seqnum: first } = await items.put("k10", item(0));
        await fill(items);
        const scanned = await all(items.scan());
        const before = (await opened.log.stats()).records;
        const bytes = await dataBytes(opened.book);
        await items.checkpoint();
        const after = (await opened.log.stats()).records;
        assert.ok(after < before / 4, `${after} of ${before} records are left`);
        assert.ok((await dataBytes(opened.book)) < bytes / 2);
        await assert.rejects(items.at("k10", first), code("LOG_TRIMMED"));
        await assert.rejects(take(1, items.watch({ from: first })), code("LOG_TRIMMED"));
        await assert.rejects(all(items.history("k10", { from: first })), code("LOG_TRIMMED"));
        let at = opened;
        for (const way of ["", "renewed", "reopened", "another"] as const) {
          if (way === "renewed") at = await bench.renew(at);
          if (way === "reopened") at = await bench.reopen(at);
          if (way === "another") at = await bench.another(at);
          const again = itemsOf(at.store, "0s");
          assert.deepEqual(await all(again.scan()), scanned, way);
          for (const { key, value } of scanned) assert.deepEqual(await again.get(key), value, way);
          assert.equal(
            (await again.find("n", 3)).length,
            scanned.filter(({ value }) => value.n % 10 === 3).length,
            way,
          );
          assert.equal(
            (await all(again.history("k30"))).at(-1)!.value!.n,
            scanned.find(({ key }) => key === "k30")!.value.n,
          );
          await assert.rejects(again.at("k10", first), code("LOG_TRIMMED"));
          assert.deepEqual(await again.at("k30", await at.book.tail()), await again.get("k30"));
        }
        const items2 = itemsOf(at.store, "0s");
        await items2.update("k30", (draft) => void (draft.n = -1));
        await items2.put("k10", item(99));
        assert.equal((await items2.get("k30"))!.n, -1);
        assert.equal((await items2.get("k10"))!.n, 99);
      },
    );

    onStore(suite, "what was deleted takes no room, and its key is free", async (opened, bench) => {
      const items = itemsOf(opened.store, "0s");
      await items.put("kept", item(0));
      for (let n = 0; n < 30; n++) {
        await items.put(`k${n}`, item(n));
        await items.update(`k${n}`, (draft) => void draft.n++);
        await items.delete(`k${n}`);
      }
      await items.checkpoint();
      const { records } = await opened.log.stats();
      assert.ok(records < 10, `${records} records are left of one object`);
      const again = itemsOf((await bench.reopen(opened)).store, "0s");
      assert.equal(await again.get("k3"), undefined);
      await assert.rejects(
        again.update("k3", (draft) => void draft.n++),
        code("STORE_NOT_FOUND"),
      );
      await again.put("k3", item(33));
      assert.deepEqual(await all(again.keys()), ["k3", "kept"]);
      await again.checkpoint();
      assert.equal((await again.get("k3"))!.n, 33);
    });

    onStore(
      suite,
      "checkpoints again and again, with changes between, and from two sessions at once",
      async (opened, bench) => {
        const other = await bench.another(opened);
        const items = itemsOf(opened.store, "0s");
        const theirs = itemsOf(other.store, "0s");
        const model = new Map<string, number>();
        for (let round = 0; round < 12; round++) {
          const writers = [items, theirs].map(async (writer, w) => {
            for (let i = 0; i < 6; i++) {
              const key = `${w}-${(round * 5 + i) % 9}`;
              if ((round + i) % 7 === 6) {
                await writer.delete(key);
                model.delete(key);
              } else if (i % 2 === 0) {
                await writer.put(key, item(round));
                model.set(key, round);
              } else {
                await writer.update(key, (draft) => void (draft.n = 100 + round), { initial: item(0) });
                model.set(key, 100 + round);
              }
            }
          });
          const checkpoints = round % 3 === 0 ? [items.checkpoint()] : [items.checkpoint(), theirs.checkpoint()];
          await Promise.all([...writers, ...checkpoints]);
          await Promise.all([opened.store.sync(), other.store.sync()]);
          for (const each of [items, theirs]) {
            const found = await all(each.scan());
            assert.deepEqual(
              found.map(({ key, value }) => [key, value.n]),
              [...model].sort(([a], [b]) => (a < b ? -1 : 1)),
              `round ${round}`,
            );
          }
        }
        await items.checkpoint();
        const again = itemsOf((await bench.reopen(opened)).store, "0s");
        assert.deepEqual(
          (await all(again.scan())).map(({ key, value }) => [key, value.n]),
          [...model].sort(([a], [b]) => (a < b ? -1 : 1)),
        );
        const left = (await dataBytes(other.book)) / (model.size * 450);
        assert.ok(left < 6, `${left} times what is live is left`);
      },
    );

    const clocks: VirtualClock[] = [];
    onStore(
      suite,
      '"1h" by default: what was within the hour can be read, what was before cannot; "forever" keeps all',
      async ({ store, book, log }) => {
        const clock = clocks.at(-1)!;
        const items = store.collection<Item>("items");
        const forever = itemsOf(store, "forever");
        const { seqnum: first } = await items.put("a", item(0));
        await items.put("a", item(1));
        await items.put("b", item(1));
        clock.advance(1_000_000);
        const { seqnum: second } = await items.put("a", item(2));
        clock.advance(3_000_000);
        await items.put("a", item(3));
        await forever.checkpoint();
        assert.equal((await items.at("a", first))!.n, 0);
        const records = (await log.stats()).records;
        await items.checkpoint();
        assert.ok((await log.stats()).records <= records + 2);
        await assert.rejects(items.at("a", first), code("LOG_TRIMMED"));
        assert.equal((await items.at("a", second))!.n, 2);
        assert.equal((await items.at("b", second))!.n, 1);
        // What it was when the hour began is kept too.
        assert.deepEqual(
          (await all(items.history("a"))).map(({ value }) => value!.n),
          [1, 2, 3],
        );
        assert.equal((await items.at("a", await book.tail()))!.n, 3);
        clock.advance(3_600_000);
        await items.put("c", item(4));
        await items.checkpoint();
        await assert.rejects(items.at("a", second), code("LOG_TRIMMED"));
        assert.deepEqual(
          (await all(items.scan())).map(({ value }) => value.n),
          [3, 1, 4],
        );
      },
      () => clocks[clocks.push(new VirtualClock()) - 1]!,
    );

    onStore(
      suite,
      "a snapshot of this session keeps what it shows; a transaction runs again",
      async (opened, bench) => {
        const { store } = opened;
        const items = itemsOf(store, "0s");
        await fill(items);
        const scanned = await all(items.scan());
        const fresh = await bench.renew(opened);
        const again = itemsOf(fresh.store, "0s");
        await fresh.store.snapshot(async (at) => {
          for (const { key } of scanned) await again.put(key, item(1000));
          await again.delete("k20");
          await again.checkpoint();
          await again.checkpoint();
          assert.deepEqual(await all(at.scan(again)), scanned);
          assert.equal((await at.find(again, "n", 3)).length, scanned.filter(({ value }) => value.n % 10 === 3).length);
        });
        await again.checkpoint();
        assert.equal((await all(again.scan())).length, scanned.length - 1);
      },
    );

    onStore(
      suite,
      "a transaction whose position another session has trimmed away runs again",
      async (opened, bench) => {
        const other = itemsOf((await bench.another(opened)).store, "0s");
        const items = itemsOf(opened.store, "0s");
        await other.put("a", item(1));
        await other.put("b", item(1));
        await opened.store.sync();
        let runs = 0;
        const read = await opened.store.transaction(async (tx) => {
          runs++;
          if (runs === 1) {
            await other.put("a", item(2));
            await other.put("b", item(2));
            await other.checkpoint();
          }
          const [a, b] = [await tx.get(items, "a"), await tx.get(items, "b")];
          const keys = await all(tx.keys(items));
          await tx.put(items, "c", item(a!.n + b!.n));
          return [a!.n, b!.n, keys.length];
        });
        assert.deepEqual(read, [2, 2, 2]);
        assert.equal((await items.get("c"))!.n, 4);
      },
    );

    onStore(
      suite,
      "a watch that is behind what is trimmed says so, and one that is not goes on",
      async (opened, bench) => {
        const { store } = opened;
        const items = itemsOf(store, "0s");
        const other = await bench.another(opened);
        const watcher = itemsOf(other.store, "0s").watch({ from: 0 });
        await items.put("a", item(1));
        await items.put("b", item(1));
        assert.equal((await nextOf(watcher)).key, "a");
        const next = nextOf(watcher);
        assert.equal((await next).key, "b");
        const waiting = nextOf(watcher);
        await items.put("a", item(2));
        assert.equal((await waiting).value!.n, 2);
        await items.checkpoint();
        const behind = nextOf(watcher);
        await items.put("a", item(3));
        assert.equal((await behind).value!.n, 3);
        // Nobody asks while this happens.
        await items.put("a", item(4));
        await items.put("b", item(5));
        await items.checkpoint();
        // A session on a log of another process hears of trims at the latest now.
        await other.store.sync();
        await assert.rejects(watcher.next(), code("LOG_TRIMMED"));
      },
    );

    onStore(suite, "a watch can be resumed behind the last change, trimmed or not", async ({ store }) => {
      const items = itemsOf(store, "0s");
      await items.put("a", item(1));
      await items.put("a", item(2));
      const { cursor } = (await take(2, items.watch({ from: 0 })))[1]!;
      await items.checkpoint();
      const watching = items.watch({ after: cursor });
      const next = nextOf(watching);
      await items.put("a", item(3));
      assert.equal((await next).value!.n, 3);
      await watching.return!();
    });
  });
}
