import assert from "node:assert/strict";
import { BokiStore } from "../../libs/store/store.js";
import { transaction, type Transaction } from "../../libs/transaction.js";
import { all, code, onStore, type Opened, type Suite } from "./suite.js";

/** Registers a case after which the store must work as before, and nothing must have been written. */
function onBadInput(suite: Suite, title: string, body: (opened: Opened) => Promise<void>): void {
  onStore(suite, title, async (opened, bench) => {
    const values = opened.store.collection<{ n: number }>("values");
    await values.put("good", { n: 1 });
    const tail = await opened.book.tail();
    await body(opened);
    assert.equal(await opened.book.tail(), tail, "something was written");
    assert.deepEqual(await values.update("good", (draft) => void draft.n++), { n: 2 });
    await opened.store.transaction((tx) => tx.update(values, "good", (draft) => void draft.n++));
    const again = (await bench.renew(opened)).store.collection("values");
    assert.deepEqual(await all(again.scan()), [{ key: "good", value: { n: 3 } }]);
  });
}

const bad = (name: "TypeError" | "RangeError", ...named: RegExp[]): ((error: unknown) => boolean) => {
  return (error) => {
    assert.ok(error instanceof Error);
    assert.equal(error.name, name, error.stack);
    for (const pattern of named) assert.match(error.message, pattern);
    return true;
  };
};

export function badInput(suite: Suite): void {
  suite.describe("bad input", () => {
    onBadInput(suite, "values that cannot be stored name the path", async ({ store }) => {
      const values = store.collection("values");
      const cycle: { list: unknown[] } = { list: [] };
      cycle.list.push({ up: cycle });
      const cases: [unknown, RegExp][] = [
        [() => 1, /function/],
        [{ a: { b: [1, () => 1] } }, /\.a\.b\[1\].*function/],
        [{ a: new Map([["k", Symbol("s")]]) }, /\.a\.get\("k"\).*symbol/],
        [cycle, /\.list\[0\]\.up.*cycle/],
        [{ a: new (class Thing {})() }, /\.a.*Thing/],
        [{ a: Promise.resolve(1) }, /\.a.*await/],
        [{ a: new WeakMap() }, /\.a.*WeakMap/],
        [undefined, /undefined.*delete/],
      ];
      for (const [value, message] of cases) {
        await assert.rejects(values.put("bad", value), bad("TypeError", message));
        await assert.rejects(
          store.transaction((tx) => tx.put(values, "bad", value)),
          bad("TypeError", message),
        );
        if (value !== undefined)
          await assert.rejects(
            values.update("bad", (draft) => draft, { initial: value }),
            bad("TypeError", message),
          );
      }
      await assert.rejects(
        values.update("good", (draft) => void ((draft as { f: unknown }).f = { g: () => 1 })),
        bad("TypeError", /\.f\.g.*function/),
      );
      await assert.rejects(
        values.update("good", () => ({ f: Symbol("s") })),
        bad("TypeError", /\.f.*symbol/),
      );
    });

    onBadInput(suite, "keys that are empty, too long, or no text", async ({ store }) => {
      const values = store.collection("values", { indexes: { n: () => 1 } });
      await store.collection("values").get("x");
      const cases: [unknown, "TypeError" | "RangeError"][] = [
        ["", "RangeError"],
        ["x".repeat(129), "RangeError"],
        ["é".repeat(65), "RangeError"],
        ["\ud800", "TypeError"],
        [5, "TypeError"],
        [undefined, "TypeError"],
        [null, "TypeError"],
      ];
      const plain = store.collection("values");
      void values;
      for (const [given, name] of cases) {
        const key = given as string;
        const calls: (() => Promise<unknown>)[] = [
          () => plain.get(key),
          () => plain.has(key),
          () => plain.getAll(["good", key]),
          () => plain.put(key, 1),
          () => plain.update(key, () => 1),
          () => plain.delete(key),
          () => plain.at(key, 1),
          () => all(plain.history(key)),
          () => store.transaction((tx) => tx.get(plain, key)),
          () => store.transaction((tx) => tx.getAll(plain, [key])),
          () => store.transaction((tx) => tx.put(plain, key, 1)),
          () => store.transaction((tx) => tx.update(plain, key, () => 1)),
          () => store.transaction((tx) => tx.delete(plain, key)),
          () => store.snapshot((at) => at.get(plain, key)),
        ];
        for (const call of calls)
          await assert.rejects(call(), (error: Error) => error.name === name || bad(name)(error), String(call));
      }
    });

    onBadInput(suite, "recipes that are async, or change and return, or are none", async ({ store }) => {
      const values = store.collection<{ n: number }>("values");
      const cases: [unknown, RegExp][] = [
        [async (draft: { n: number }) => void draft.n++, /async/],
        [() => Promise.reject(new Error("lost")), /async/],
        ["x", /recipe/],
        [undefined, /recipe/],
      ];
      for (const [recipe, message] of cases) {
        await assert.rejects(values.update("good", recipe as never), bad("TypeError", message));
        await assert.rejects(
          store.transaction((tx) => tx.update(values, "good", recipe as never)),
          bad("TypeError", message),
        );
      }
      const both = (draft: { n: number }): { n: number } => {
        draft.n = 5;
        return { n: 6 };
      };
      await assert.rejects(values.update("good", both), /returned a new value \*and\* modified its draft|both/);
    });

    onBadInput(suite, "an object over the record limit, whose remedy is named", async ({ store, log }) => {
      const values = store.collection<{ text: string }>("values");
      const text = "x".repeat(log.limits.recordBytes);
      await assert.rejects(values.put("large", { text }), code("LOG_TOO_LARGE", /split/));
      await assert.rejects(
        values.update("large", (draft) => draft, { initial: { text } }),
        code("LOG_TOO_LARGE", /split/),
      );
      const half = text.slice(0, text.length / 2 + 10);
      await assert.rejects(
        store.transaction(async (tx) => {
          await tx.put(values, "a", { text: half });
          await tx.put(values, "b", { text: half });
        }),
        code("LOG_TOO_LARGE", /fewer at once/),
      );
    });

    onBadInput(suite, "more objects at once than a record has conditions for", async ({ store }) => {
      const values = store.collection<{ n: number }>("values");
      await assert.rejects(
        store.transaction(async (tx) => {
          for (let n = 0; n < 1100; n++) await tx.put(values, `k${n}`, { n });
        }),
        code("LOG_TOO_LARGE", /fewer objects/),
      );
    });

    onBadInput(suite, "names and options of stores and collections", async ({ store, book, log }) => {
      for (const name of ["", "a/b", "x".repeat(61)]) assert.throws(() => store.collection(name), RangeError);
      assert.throws(() => store.collection(5 as never), TypeError);
      assert.throws(() => store.collection("c", { index: {} } as never), bad("TypeError", /index/));
      assert.throws(() => store.collection("c", { indexes: { "a/b": () => 1 } }), RangeError);
      assert.throws(() => store.collection("c", { indexes: { a: "email" as never } }), bad("TypeError", /"a"/));
      assert.throws(() => store.collection("c", { indexes: { a: { unique: true } as never } }), TypeError);
      assert.throws(() => store.collection("c", { schema: {} as never }), bad("TypeError", /Standard Schema/));
      assert.throws(() => store.collection("c", { migrate: 1 as never }), bad("TypeError", /migrate/));
      for (const version of [0, 1.5, -1, "2" as never])
        assert.throws(() => store.collection("c", { version }), RangeError);
      assert.throws(() => store.collection("c", { retain: "always" }), bad("RangeError", /always/));
      assert.throws(() => store.collection("c", { retain: -1 }), RangeError);
      assert.throws(() => new BokiStore(log as never), bad("TypeError", /book/));
      assert.throws(() => new BokiStore(undefined as never), bad("TypeError", /book/));
      assert.throws(() => new BokiStore(book, { cache: 1 } as never), bad("TypeError", /cache/));
      assert.throws(() => new BokiStore(book, { cacheBytes: 1000 }), bad("RangeError", /65536/));
      assert.throws(() => new BokiStore(book, { codec: { id: 5 } as never }), RangeError);
    });

    onBadInput(suite, "options and arguments of calls", async ({ store, book }) => {
      const values = store.collection<{ n: number }>("values");
      const tx = (body: (tx: Transaction) => Promise<unknown>): Promise<unknown> => store.transaction(body);
      const calls: [() => Promise<unknown>, RegExp][] = [
        [() => values.put("a", { n: 1 }, { ttl: 5 } as never), /ttl/],
        [() => values.update("good", (draft) => draft, { ttl: 5 } as never), /ttl/],
        [() => values.delete("good", { ttl: 5 } as never), /ttl/],
        [() => values.getAll("good" as never), /array/],
        [() => all(values.keys({ start: "a" } as never)), /start/],
        [() => all(values.scan({ prefix: 5 } as never)), /prefix/],
        [() => tx((tx) => all(tx.scan(values, { start: "a" } as never))), /start/],
        [() => tx((tx) => tx.getAll(values, "good" as never)), /array/],
        [() => tx((tx) => tx.get("values" as never, "good")), /collection/],
        [() => tx((tx) => tx.put({} as never, "good", { n: 9 })), /collection/],
        [() => store.transaction(undefined as never), /function/],
        [() => transaction(book, 5 as never), /function/],
        [() => store.transaction(() => 1, { attempt: 1 } as never), /attempt/],
        [() => store.snapshot(undefined as never), /function/],
      ];
      for (const [call, message] of calls) await assert.rejects(call(), bad("TypeError", message), String(call));
      await assert.rejects(all(values.keys({ limit: -1 })), bad("RangeError", /limit/));
      for (const attempts of [0, -1, 1.5, NaN])
        await assert.rejects(
          store.transaction(() => 1, { attempts }),
          bad("RangeError", /attempts/),
        );
      // A call that gives a promise rejects, also inside a transaction.
      await store.transaction(async (tx) => {
        const wrong = tx.getAll(values, "good" as never);
        await assert.rejects(wrong, TypeError);
      });
    });
  });
}
