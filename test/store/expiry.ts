import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { VirtualClock } from "../../core/testing.js";
import type { Transaction } from "../../libs/transaction.js";
import type { Collection } from "../../libs/store/collection.js";
import type { BokiStore } from "../../libs/store/store.js";
import { all, code, nextOf, onStore, take, type Bench, type Opened, type Suite } from "./suite.js";

interface Token {
  n: number;
  user?: string;
}

const tokensOf = (store: BokiStore): Collection<Token> =>
  store.collection<Token>("tokens", { indexes: { user: { by: (token) => token.user, unique: true } } });

/** What becomes of a key next. */
async function fateOf(tokens: Collection<Token>, key: string, from: number): Promise<Token | undefined> {
  for await (const change of tokens.watch({ from })) if (change.key === key) return change.value;
  throw new Error("the watch ended");
}

export function expiry(suite: Suite): void {
  function onClock(title: string, body: (opened: Opened, clock: VirtualClock, bench: Bench) => Promise<void>): void {
    let clock!: VirtualClock;
    onStore(
      suite,
      title,
      (opened, bench) => body(opened, clock, bench),
      () => (clock = new VirtualClock()),
    );
  }

  suite.describe("expiry", () => {
    onClock("an object is hidden when its time has come, everywhere", async ({ store }, clock) => {
      const tokens = tokensOf(store);
      await tokens.put("short", { n: 1, user: "ada" }, { expiresIn: "10s" });
      await tokens.put("long", { n: 2, user: "bob" }, { expiresIn: 60_000 });
      await tokens.put("ever", { n: 3, user: "carl" });
      clock.advance(9_999);
      assert.equal(await tokens.has("short"), true);
      assert.deepEqual(await all(tokens.keys()), ["ever", "long", "short"]);
      clock.advance(1);
      assert.equal(await tokens.get("short"), undefined);
      assert.equal(await tokens.has("short"), false);
      assert.deepEqual(await tokens.getAll(["short", "long"]), [undefined, { n: 2, user: "bob" }]);
      assert.deepEqual(await all(tokens.keys()), ["ever", "long"]);
      assert.deepEqual(
        (await all(tokens.scan())).map(({ key }) => key),
        ["ever", "long"],
      );
      assert.deepEqual(await tokens.find("user", "ada"), []);
      await store.transaction(async (tx) => {
        assert.equal(await tx.get(tokens, "short"), undefined);
        assert.deepEqual(await all(tx.keys(tokens)), ["ever", "long"]);
      });
      await assert.rejects(
        tokens.update("short", (draft) => void draft.n++),
        code("STORE_NOT_FOUND"),
      );
    });

    onClock("it is deleted by itself then, which a watcher sees", async (opened, clock) => {
      const tokens = tokensOf(opened.store);
      const { seqnum } = await tokens.put("a", { n: 1 }, { expiresIn: "10s" });
      await opened.store.sync();
      await tokens.ready();
      clock.advance(10_000);
      assert.equal(await fateOf(tokens, "a", seqnum + 1), undefined);
      assert.deepEqual(
        (await all(tokens.history("a"))).map(({ value }) => value?.n),
        [1, undefined],
      );
    });

    onClock(
      "one that was given more time, or all of it, is not deleted, and those behind it are",
      async ({ store }, clock) => {
        const tokens = tokensOf(store);
        await tokens.ready();
        await tokens.put("kept", { n: 1 }, { expiresIn: "1s" });
        await tokens.update("kept", () => undefined, { expiresIn: null });
        clock.advance(2_000);
        const { seqnum } = await tokens.put("next", { n: 2 }, { expiresIn: "1s" });
        clock.advance(1_000);
        assert.equal(await fateOf(tokens, "next", seqnum + 1), undefined);
        assert.deepEqual(await tokens.get("kept"), { n: 1 });
      },
    );

    onClock(
      "an update keeps the time, one with expiresIn sets it, null ends it, a put forgets it",
      async ({ store }, clock) => {
        const tokens = tokensOf(store);
        const value = { n: 0, user: "x".repeat(300) };
        for (const key of ["kept", "set", "null", "put", "rewritten"])
          await tokens.put(key, { ...value, user: key + value.user }, { expiresIn: "10s" });
        await tokens.update("kept", (draft) => void draft.n++);
        await tokens.update("set", (draft) => void draft.n++, { expiresIn: "1m" });
        await tokens.update("null", () => undefined, { expiresIn: null });
        await tokens.put("put", { n: 9 });
        // So many that a whole value is written, which says nothing else of the time.
        for (let i = 0; i < 30; i++) await tokens.update("rewritten", (draft) => void draft.n++);
        clock.advance(9_000);
        assert.equal((await all(tokens.keys())).length, 5);
        clock.advance(1_000);
        assert.deepEqual(await all(tokens.keys()), ["null", "put", "set"]);
        assert.deepEqual(await tokens.getAll(["kept", "rewritten"]), [undefined, undefined]);
        clock.advance(50_000);
        assert.deepEqual(await all(tokens.keys()), ["null", "put"]);
        assert.equal((await tokens.get("null"))!.n, 0);
      },
    );

    onClock("expiresIn in a transaction counts from its commit", async ({ store }, clock) => {
      const tokens = tokensOf(store);
      await store.transaction(async (tx) => {
        await tx.put(tokens, "a", { n: 1 }, { expiresIn: "10s" });
        await tx.update(tokens, "b", (draft) => void draft.n++, { initial: { n: 0 }, expiresIn: "20s" });
        clock.advance(5_000);
      });
      clock.advance(9_999);
      assert.deepEqual(await all(tokens.keys()), ["a", "b"]);
      clock.advance(1);
      assert.deepEqual(await all(tokens.keys()), ["b"]);
      clock.advance(10_000);
      assert.deepEqual(await all(tokens.keys()), []);
    });

    onClock("a snapshot goes on showing what was there when it began", async ({ store }, clock) => {
      const tokens = tokensOf(store);
      const { seqnum } = await tokens.put("a", { n: 1, user: "ada" }, { expiresIn: "10s" });
      await store.snapshot(async (at) => {
        clock.advance(20_000);
        assert.equal(await fateOf(tokens, "a", seqnum + 1), undefined);
        assert.deepEqual(await at.get(tokens, "a"), { n: 1, user: "ada" });
        assert.deepEqual(await all(at.keys(tokens)), ["a"]);
        assert.equal((await at.find(tokens, "user", "ada")).length, 1);
      });
      assert.equal(await tokens.get("a"), undefined);
    });

    onClock("what has expired can be put again, and its unique value taken once", async (opened, clock) => {
      const { store } = opened;
      const tokens = tokensOf(store);
      await tokens.put("a", { n: 1, user: "ada" }, { expiresIn: "10s" });
      clock.advance(10_000);
      // Before or behind the deletion: there is no difference.
      await tokens.put("b", { n: 2, user: "ada" });
      await assert.rejects(tokens.put("a", { n: 3, user: "ada" }), code("STORE_UNIQUE", /"b"/));
      await tokens.put("a", { n: 4, user: "eve" });
      assert.deepEqual(await all(tokens.keys()), ["a", "b"]);
      assert.deepEqual(
        (await tokens.find("user", "ada")).map(({ key }) => key),
        ["b"],
      );
      assert.deepEqual(await tokens.update("c", (draft) => void draft.n++, { initial: { n: 0 } }), { n: 1 });
    });

    onClock("a unique value is not taken from an object that lives on meanwhile", async ({ store }, clock) => {
      const tokens = tokensOf(store);
      const ways: ((tx: Transaction) => Promise<unknown>)[] = [
        (tx) => tx.update(tokens, "a", () => undefined, { expiresIn: null }),
        (tx) => tx.put(tokens, "a", { n: 2, user: "ada" }),
      ];
      for (const way of ways) {
        await tokens.put("a", { n: 1, user: "ada" }, { expiresIn: "10s" });
        let runs = 0;
        await store.transaction(async (tx) => {
          if (++runs > 1) return;
          await way(tx);
          // The wall clock is set forward, which no timer takes notice of: nobody has deleted it yet.
          const now = clock.now.bind(clock);
          clock.now = () => now() + 10_000;
          await tokens.put("b", { n: 3, user: "ada" });
        });
        assert.equal(runs, 2);
        assert.deepEqual(
          (await tokens.find("user", "ada")).map(({ key }) => key),
          ["b"],
        );
        await tokens.delete("b");
      }
      // And the other way round: it lives on before the other commit is there.
      await tokens.put("a", { n: 1, user: "ada" }, { expiresIn: "10s" });
      const now = clock.now.bind(clock);
      clock.now = () => now() + 10_000;
      const running = store.transaction(async (tx) => {
        await tx.put(tokens, "b", { n: 3, user: "ada" });
        clock.now = now;
        await tokens.update("a", () => undefined, { expiresIn: null });
      });
      await assert.rejects(running, code("STORE_UNIQUE", /"a"/));
    });

    onClock("watch, at and history know when an object was there", async ({ store }, clock) => {
      const tokens = store.collection<Token>("tokens");
      const value = { n: 1, user: "x".repeat(300) };
      const { seqnum } = await tokens.put("a", value, { expiresIn: "10s" });
      await tokens.update("a", () => undefined, { expiresIn: null });
      clock.advance(30_000);
      await tokens.update("a", (draft) => void draft.n++);
      const changes = await take(2, tokens.watch({ from: 0 }));
      assert.deepEqual(
        changes.map((change) => change.value?.n),
        [1, 2],
      );
      assert.deepEqual(
        (await all(tokens.history("a"))).map((version) => version.value?.n),
        [1, 2],
      );
      assert.equal((await tokens.at("a", seqnum))!.n, 1);
      assert.equal((await tokens.at("a", changes[1]!.seqnum))!.n, 2);
    });

    onClock("after reopening it is as before: hidden, and deleted", async (opened, clock, bench) => {
      const { seqnum } = await tokensOf(opened.store).put("a", { n: 1, user: "ada" }, { expiresIn: "10s" });
      await tokensOf(opened.store).put("b", { n: 2 }, { expiresIn: "1h" });
      await tokensOf(opened.store).checkpoint();
      const again = await bench.reopen(opened);
      clock.advance(10_000);
      const tokens = tokensOf(again.store);
      assert.equal(await tokens.get("a"), undefined);
      assert.deepEqual(await all(tokens.keys()), ["b"]);
      clock.advance(1);
      assert.equal(await fateOf(tokens, "a", seqnum + 1), undefined);
      assert.deepEqual(await tokens.get("b"), { n: 2 });
    });

    onClock("each of several is deleted at its own time, with nothing else going on", async ({ store }, clock) => {
      const tokens = tokensOf(store);
      await tokens.put("c", { n: 3 }, { expiresIn: "9s" });
      await tokens.put("a", { n: 1 }, { expiresIn: "1s" });
      const { seqnum } = await tokens.put("b", { n: 2 }, { expiresIn: "5s" });
      const watching = tokens.watch({ from: seqnum + 1 });
      for (const [key, ms] of Object.entries({ a: 1_000, b: 4_000, c: 4_000 })) {
        clock.advance(ms);
        assert.equal((await nextOf(watching)).key, key);
        // The deletion ends, and looks for the next.
        await setImmediate();
      }
      await watching.return!();
    });

    onClock("many that expire at once are all deleted", async ({ store }, clock) => {
      const tokens = tokensOf(store);
      await Promise.all(
        Array.from({ length: 400 }, (_, n) => tokens.put(`k${n}`, { n }, { expiresIn: 1000 + (n % 3) })),
      );
      const { seqnum } = await tokens.put("last", { n: -1 });
      clock.advance(2_000);
      const deleted = await take(400, tokens.watch({ from: seqnum + 1 }));
      assert.equal(new Set(deleted.map(({ key }) => key)).size, 400);
      assert.ok(deleted.every(({ value }) => value === undefined));
      assert.deepEqual(await all(tokens.keys()), ["last"]);
    });

    onClock("one that is damaged is deleted all the same", async ({ store, book }, clock) => {
      const tokens = tokensOf(store);
      await tokens.put("a", { n: 1, list: [{ n: 1 }], text: "x".repeat(300) } as Token, { expiresIn: "10s" });
      await tokens.update("a", (draft) => void ((draft as unknown as { list: Token[] }).list[0]!.n = 2));
      const patch = (await book.readPrev())!;
      await tokens.put("a", { n: 1 }, { expiresIn: "10s" });
      const { seqnum } = await book.append(patch.data, { tags: patch.tags });
      await store.sync();
      await assert.rejects(tokens.get("a"), code("STORE_DAMAGED"));
      clock.advance(10_000);
      const [deleted] = await take(1, tokens.watch({ from: seqnum + 1 }));
      assert.deepEqual([deleted!.key, deleted!.value], ["a", undefined]);
      assert.equal(await tokens.get("a"), undefined);
    });

    onClock("what is no duration is refused", async ({ store }) => {
      const tokens = tokensOf(store);
      await assert.rejects(tokens.put("a", { n: 1 }, { expiresIn: "soon" }), { name: "RangeError", message: /soon/ });
      await assert.rejects(tokens.put("a", { n: 1 }, { expiresIn: -1 }), RangeError);
      await assert.rejects(tokens.put("a", { n: 1 }, { expiresIn: null as never }), TypeError);
      await assert.rejects(tokens.put("a", { n: 1 }, { expires: 1 } as never), {
        name: "TypeError",
        message: /expires/,
      });
      await assert.rejects(
        tokens.update("a", () => undefined, { initial: { n: 1 }, expiresIn: {} as never }),
        TypeError,
      );
      const writes = [
        () => store.transaction((tx) => tx.put(tokens, "a", { n: 1 }, { expires: 1 } as never)),
        () => store.transaction((tx) => tx.update(tokens, "a", () => ({ n: 1 }), { expires: 1 } as never)),
      ];
      for (const write of writes) await assert.rejects(write(), { name: "TypeError", message: /expires/ });
      assert.equal(await tokens.get("a"), undefined);
    });
  });
}
