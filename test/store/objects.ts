import assert from "node:assert/strict";
import * as fc from "fast-check";
import { BokiStore } from "../../libs/store/store.js";
import { all, code, onEveryView, onStore, type Suite } from "./suite.js";

interface Rich {
  when: Date;
  big: bigint;
  bytes: Uint8Array;
  map: Map<string, { n: number; inner: Map<number, string[]> }>;
  set: Set<string>;
  nothing: undefined;
  list: (number | null)[];
}

const rich = (): Rich => ({
  when: new Date(86_400_000),
  big: 2n ** 80n,
  bytes: new Uint8Array([0, 255, 7]),
  map: new Map([["a", { n: 1, inner: new Map([[7, ["x", "y"]]]) }]]),
  set: new Set(["one", "two"]),
  nothing: undefined,
  list: [1, null, -0, NaN, Infinity],
});

interface Counter {
  n: number;
}

export function objects(suite: Suite): void {
  suite.describe("objects", () => {
    onEveryView(
      suite,
      "get, has and getAll give what was put, in the order of the keys",
      async (store) => {
        const users = store.collection<Counter>("users");
        for (let n = 0; n < 5; n++) await users.put(`u${n}`, { n });
        await users.put("u1", { n: 11 });
        await users.delete("u2");
      },
      async (store) => {
        const users = store.collection<Counter>("users");
        assert.deepEqual(await users.get("u0"), { n: 0 });
        assert.deepEqual(await users.get("u1"), { n: 11 });
        assert.equal(await users.get("u2"), undefined);
        assert.equal(await users.get("never"), undefined);
        assert.deepEqual(
          [await users.has("u0"), await users.has("u2"), await users.has("never")],
          [true, false, false],
        );
        assert.deepEqual(await users.getAll(["u4", "never", "u0", "u2", "u4"]), [
          { n: 4 },
          undefined,
          { n: 0 },
          undefined,
          { n: 4 },
        ]);
        assert.deepEqual(await users.getAll([]), []);
      },
    );

    onEveryView(
      suite,
      "Map, Set, Date, bigint, Uint8Array and their changes survive",
      async (store) => {
        const values = store.collection<Rich>("values");
        await values.put("as put", rich());
        await values.put("changed", rich());
        return values.update("changed", (draft) => {
          draft.map.get("a")!.inner.get(7)!.push("z");
          draft.map.set("b", { n: 2, inner: new Map() });
          draft.set.delete("one");
          draft.set.add("three");
          draft.when = new Date(1);
          draft.bytes = new Uint8Array([9]);
          draft.list.pop();
        });
      },
      async (store, changed) => {
        const values = store.collection<Rich>("values");
        assert.deepStrictEqual(await values.get("as put"), rich());
        assert.deepStrictEqual(await values.get("changed"), {
          ...rich(),
          map: new Map([
            ["a", { n: 1, inner: new Map([[7, ["x", "y", "z"]]]) }],
            ["b", { n: 2, inner: new Map() }],
          ]),
          set: new Set(["two", "three"]),
          when: new Date(1),
          bytes: new Uint8Array([9]),
          list: [1, null, -0, NaN],
        });
        assert.deepStrictEqual(await values.get("changed"), changed);
      },
    );

    onEveryView(
      suite,
      "any value can be an object: null, false, 0, a text, an array",
      async (store) => {
        const values = store.collection("values");
        for (const [i, value] of [null, false, 0, "", [1]].entries()) await values.put(String(i), value);
      },
      async (store) => {
        const values = store.collection("values");
        assert.deepEqual(await values.getAll(["0", "1", "2", "3", "4"]), [null, false, 0, "", [1]]);
        assert.equal(await values.has("0"), true);
        // And be updated.
        assert.deepEqual(await values.update("0", () => ({ was: null })), { was: null });
        assert.equal(await values.update("2", (n) => (n as number) + 1), 1);
      },
    );

    onEveryView(
      suite,
      "values are frozen, also what is in Map and Set",
      async (store) => {
        const values = store.collection<Rich>("values");
        await values.put("put", rich());
        await values.put("updated", rich());
        await values.update("updated", (draft) => void draft.map.get("a")!.inner.set(8, ["new"]));
      },
      async (store) => {
        const values = store.collection<Rich>("values");
        for (const key of ["put", "updated"]) {
          const value = (await values.get(key))!;
          const inner = value.map.get("a")!;
          assert.throws(() => (value.big = 1n), TypeError);
          assert.throws(() => value.list.push(1), TypeError);
          assert.throws(() => value.map.set("b", inner));
          assert.throws(() => value.map.clear());
          assert.throws(() => value.set.add("three"));
          assert.throws(() => (inner.n = 2), TypeError);
          assert.throws(() => inner.inner.delete(7));
          assert.throws(() => inner.inner.get(7)!.push("z"), TypeError);
        }
        assert.deepStrictEqual(await values.get("put"), rich());
      },
    );

    onStore(suite, "put copies: what becomes of the value afterwards changes nothing", async ({ store }) => {
      const values = store.collection<Rich>("values");
      const value = rich();
      const put = values.put("v", value);
      value.list.push(99);
      value.bytes[0] = 1;
      value.when.setTime(5);
      value.map.clear();
      await put;
      assert.deepStrictEqual(await values.get("v"), rich());
      assert.ok(!Object.isFrozen(value), "the caller's own value was frozen");
    });

    onStore(suite, "put and delete give the seqnum of their record, in order", async ({ store, book }) => {
      const users = store.collection<Counter>("users");
      const put = await users.put("u", { n: 1 });
      const deleted = await users.delete("u");
      assert.ok(put.seqnum > 0 && deleted.seqnum > put.seqnum);
      assert.equal((await book.readPrev())!.seqnum, deleted.seqnum);
      const tail = await book.tail();
      assert.equal(typeof (await users.delete("u")).seqnum, "number");
      assert.equal(typeof (await users.delete("never")).seqnum, "number");
      assert.equal(await book.tail(), tail, "deleting what is not there wrote something");
    });

    onStore(suite, "update gives the new value; recipes may change, return, or do nothing", async ({ store, book }) => {
      const users = store.collection<{ n: number; tags?: Map<string, string[]> }>("users");
      await users.put("u", { n: 1 });
      assert.deepEqual(await users.update("u", (draft) => void (draft.n += 1)), { n: 2 });
      assert.deepEqual(await users.update("u", ({ n }) => ({ n: n * 10 })), { n: 20 });
      const tail = await book.tail();
      assert.deepEqual(await users.update("u", () => undefined), { n: 20 });
      assert.deepEqual(await users.update("u", (draft) => draft), { n: 20 });
      assert.equal(await book.tail(), tail, "an update that changes nothing wrote something");
      assert.deepEqual(await users.get("u"), { n: 20 });
    });

    onStore(suite, "a recipe that throws changes nothing, and its error comes back", async ({ store, book }) => {
      const users = store.collection<Counter>("users");
      await users.put("u", { n: 1 });
      const tail = await book.tail();
      const fault = new Error("mine");
      const failing = users.update("u", (draft) => {
        draft.n = 99;
        throw fault;
      });
      await assert.rejects(failing, (error) => error === fault);
      assert.deepEqual(await users.get("u"), { n: 1 });
      assert.equal(await book.tail(), tail);
    });

    onStore(suite, "update of nothing fails, unless there is something to begin with", async ({ store }) => {
      const users = store.collection<Counter>("users");
      await assert.rejects(
        users.update("u", (draft) => void draft.n++),
        code("STORE_NOT_FOUND", /users/, /"u"/),
      );
      const initial = { n: 10 };
      const increment = (): Promise<Counter> => users.update("u", (draft) => void draft.n++, { initial });
      assert.deepEqual(await increment(), { n: 11 });
      assert.deepEqual(await increment(), { n: 12 });
      assert.deepEqual(initial, { n: 10 });
      await users.delete("u");
      await assert.rejects(
        users.update("u", (draft) => void draft.n++),
        code("STORE_NOT_FOUND"),
      );
      assert.deepEqual(await increment(), { n: 11 });
      assert.deepEqual(await users.update("as it is", () => undefined, { initial }), { n: 10 });
      assert.deepEqual(await users.get("as it is"), { n: 10 });
    });

    onStore(
      suite,
      "an update of a large object appends few bytes, and every so often all of it",
      async ({ store, book }) => {
        const large = store.collection<{ n: number; text: string }>("large");
        await large.put("o", { n: 0, text: "x".repeat(20_000) });
        const sizes: number[] = [];
        for (let n = 1; n <= 60; n++) {
          await large.update("o", (draft) => void (draft.n = n));
          sizes.push((await book.readPrev())!.size);
        }
        const whole = sizes.filter((size) => size > 20_000).length;
        assert.ok(whole >= 1 && whole <= 6, `${whole} of 60 records hold the whole value`);
        assert.ok(sizes.filter((size) => size < 200).length === 60 - whole, String(sizes));
        // Where patches are larger than the value, the value is written.
        await large.put("small", { n: 0, text: "" });
        const { size } = (await book.readPrev())!;
        await large.update("small", (draft) => void Object.assign(draft, { n: 1, text: "x" }));
        assert.ok((await book.readPrev())!.size <= size + 1);
      },
    );

    onEveryView(
      suite,
      "many updates of one object are all there, whatever was patched and whatever was whole",
      async (store) => {
        const lists = store.collection<{ list: string[]; by: Record<string, number> }>("lists");
        await lists.put("l", { list: [], by: {} });
        for (let i = 0; i < 70; i++) {
          await lists.update("l", (draft) => {
            draft.list.push(`entry ${i}`);
            draft.by[`k${i % 7}`] = i;
            if (i % 10 === 9) draft.list.splice(0, 8);
          });
        }
      },
      async (store) => {
        const { list, by } = (await store.collection<{ list: string[]; by: object }>("lists").get("l"))!;
        const expected: string[] = [];
        for (let i = 0; i < 70; i++) {
          expected.push(`entry ${i}`);
          if (i % 10 === 9) expected.splice(0, 8);
        }
        assert.deepEqual(list, expected);
        assert.deepEqual(by, { k0: 63, k1: 64, k2: 65, k3: 66, k4: 67, k5: 68, k6: 69 });
      },
    );

    onStore(
      suite,
      "S5 writes of one object that wait become one record, in order, and each has its result",
      async (at) => {
        const { store, book } = at;
        const users = store.collection<Counter>("users");
        await users.put("u", { n: 0 });
        const tail = await book.tail();
        const results = await Promise.all(
          Array.from({ length: 100 }, () => users.update("u", (draft) => void draft.n++)),
        );
        assert.deepEqual(
          results,
          Array.from({ length: 100 }, (_, i) => ({ n: i + 1 })),
        );
        assert.deepEqual(await users.get("u"), { n: 100 });
        const records = (await book.tail()) - tail;
        assert.ok(records <= 10, `100 updates at once took ${records} records`);
      },
    );

    onStore(suite, "S5 of writes that go together, one that fails does not touch the others", async ({ store }) => {
      const users = store.collection<Counter>("users");
      await users.put("u", { n: 0 });
      const fault = new Error("mine");
      const results = await Promise.allSettled(
        Array.from({ length: 30 }, (_, i) =>
          users.update("u", (draft) => {
            draft.n++;
            if (i % 3 === 1) throw fault;
          }),
        ),
      );
      for (const [i, result] of results.entries()) {
        if (i % 3 === 1) assert.equal(result.status === "rejected" && result.reason, fault);
        else assert.equal(result.status, "fulfilled");
      }
      assert.deepEqual(await users.get("u"), { n: 20 });
    });

    onStore(suite, "updates of one object from two sessions at once lose nothing", async (opened, bench) => {
      const other = await bench.another(opened);
      const collections = [opened, other].map(({ store }) => store.collection<Counter>("users"));
      const once = async (users: (typeof collections)[number]): Promise<void> => {
        for (let i = 0; i < 20; i++) await users.update("u", (draft) => void draft.n++, { initial: { n: 0 } });
      };
      await Promise.all(collections.flatMap((users) => [once(users), once(users)]));
      await Promise.all([opened.store.sync(), other.store.sync()]);
      for (const users of collections) assert.deepEqual(await users.get("u"), { n: 80 });
    });

    onStore(suite, "handles and stores of one book see what each other writes at once", async ({ store, book }) => {
      const second = new BokiStore(book, suite.options);
      const users = store.collection<Counter>("users");
      const others = [store.collection<Counter>("users"), second.collection<Counter>("users")];
      for (const other of others) assert.equal(await other.get("u"), undefined);
      await users.put("u", { n: 1 });
      for (const other of others) assert.deepEqual(await other.get("u"), { n: 1 });
      await others[1]!.update("u", (draft) => void (draft.n = 2));
      assert.deepEqual(await users.get("u"), { n: 2 });
      // One store less changes nothing for the other.
      await second.close();
      await users.put("u", { n: 3 });
      assert.deepEqual(await users.get("u"), { n: 3 });
    });

    onEveryView(
      suite,
      "more objects than are kept open are all there",
      async (store) => {
        const many = store.collection<{ n: number; text: string }>("many");
        await Promise.all(Array.from({ length: 150 }, (_, n) => many.put(`o${n}`, { n, text: "x".repeat(1000 + n) })));
        for (let n = 0; n < 150; n += 3) await many.update(`o${n}`, (draft) => void (draft.n = -n));
        await Promise.all(
          Array.from({ length: 150 }, (_, n) => many.update(`o${n}`, (draft) => void (draft.text += "y"))),
        );
      },
      async (store) => {
        const many = store.collection<{ n: number; text: string }>("many");
        const keys = Array.from({ length: 150 }, (_, n) => `o${n}`);
        const values = await many.getAll(keys);
        for (const [n, value] of values.entries())
          assert.deepEqual(value, { n: n % 3 === 0 ? 0 - n : n, text: `${"x".repeat(1000 + n)}y` });
        for (const [n, key] of keys.entries()) assert.deepEqual(await many.get(key), values[n]);
      },
    );

    onStore(suite, "collections are apart, also where keys look like paths", async ({ store }) => {
      const a = store.collection("a");
      const b = store.collection("b");
      await a.put("b/k", 1);
      await b.put("k", 2);
      await a.put("k", 3);
      assert.deepEqual([await a.get("b/k"), await b.get("k"), await a.get("k")], [1, 2, 3]);
      assert.deepEqual(await all(a.keys()), ["b/k", "k"]);
      await b.delete("k");
      assert.deepEqual([await a.get("b/k"), await b.get("k"), await a.get("k")], [1, undefined, 3]);
    });

    onStore(suite, "patches and whole values give the same object, for any recipes", async (opened, bench) => {
      let at = opened;
      const run = fc.asyncProperty(
        fc.array(fc.array(edit, { minLength: 1, maxLength: 6 }), { maxLength: 30 }),
        async (updates) => {
          const live = at.store.collection<Doc>("docs");
          await live.put("doc", { ...doc(), pad: "x".repeat(3000) });
          for (const edits of updates)
            await live.update("doc", (draft) => {
              for (const each of edits) apply(draft, each);
            });
          const value = await live.get("doc");
          at = await bench.renew(at);
          const read = await reading(at.store);
          assert.deepStrictEqual(read, value);
          const expected = { ...doc(), pad: "x".repeat(3000) };
          for (const edits of updates) for (const each of edits) apply(expected, each);
          assert.deepStrictEqual(read, expected);
        },
      );
      await fc.assert(run, { numRuns: 12, ...seeds() });
    });
  });
}

function seeds(): fc.Parameters<unknown> {
  const { SEED, FC_PATH } = process.env;
  return { ...(SEED === undefined ? {} : { seed: Number(SEED) }), ...(FC_PATH === undefined ? {} : { path: FC_PATH }) };
}

interface Doc {
  pad: string;
  list: { id: number; set: Set<number> }[];
  map: Map<string, Map<number, { n: number }>>;
  set: Set<number>;
  record: Record<string, number[]>;
}

const doc = (): Doc => ({ pad: "", list: [], map: new Map(), set: new Set(), record: {} });
const reading = (store: BokiStore): Promise<Doc | undefined> => store.collection<Doc>("docs").get("doc");

const edit = fc.record({ kind: fc.nat(9), a: fc.nat(4), b: fc.nat(4) });

/** One of the changes that a recipe may make. */
function apply(draft: Doc, { kind, a, b }: { kind: number; a: number; b: number }): void {
  const key = `k${a}`;
  switch (kind) {
    case 0:
      return void draft.list.push({ id: a, set: new Set([b]) });
    case 1:
      return void draft.list.splice(a, 1);
    case 2:
      return void draft.list.unshift({ id: b, set: new Set() });
    case 3:
      return void draft.list[a]?.set.add(b);
    case 4:
      return void draft.map.set(key, new Map([[b, { n: a }]]));
    case 5: {
      const found = draft.map.get(key)?.get(b);
      if (found !== undefined) found.n += 10;
      return;
    }
    case 6:
      return void draft.map.get(key)?.set(b, { n: b });
    case 7:
      if (!draft.set.delete(a)) draft.set.add(a);
      return;
    case 8:
      return void (draft.record[key] ??= []).push(b);
    default:
      if (!draft.map.delete(key)) delete draft.record[key];
  }
}
