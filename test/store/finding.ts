import assert from "node:assert/strict";
import type { Collection } from "../../libs/store/collection.js";
import type { BokiStore } from "../../libs/store/store.js";
import type { IndexValue } from "../../libs/objects.js";
import { all, code, gate, onEveryView, onStore, take, type Suite } from "./suite.js";

interface User {
  email?: string | null;
  tags?: readonly IndexValue[];
  n?: number;
}

/** Each of its indexes in its own way. */
const usersOf = (store: BokiStore): Collection<User> =>
  store.collection<User>("users", {
    indexes: {
      email: { by: (user) => user.email, unique: true },
      tag: (user) => user.tags,
      n: { by: (user) => user.n },
    },
  });

const plainOf = (store: BokiStore): Collection<User> => store.collection<User>("users");

const found = async (users: Collection<User>, index: string, value: IndexValue): Promise<string[]> =>
  (await users.find(index, value)).map(({ key }) => key);

export function finding(suite: Suite): void {
  suite.describe("finding", () => {
    onEveryView(
      suite,
      "keys and scan are in the order of the keys, by prefix, after and limit",
      async (store) => {
        const users = plainOf(store);
        for (const [n, key] of ["b2", "a", "b10", "c", "b", "b1", "é", "Z", "b3"].entries())
          await users.put(key, { n });
        await users.delete("b3");
        await users.update("b1", (draft) => void (draft.n = 50));
      },
      async (store) => {
        const users = plainOf(store);
        const keys = ["Z", "a", "b", "b1", "b10", "b2", "c", "é"];
        assert.deepEqual(await all(users.keys()), keys);
        assert.deepEqual(
          (await all(users.scan())).map(({ key, value }) => [key, value.n]),
          keys.map((key, i) => [key, [7, 1, 4, 50, 2, 0, 3, 6][i]]),
        );
        assert.deepEqual(await all(users.keys({ prefix: "b" })), ["b", "b1", "b10", "b2"]);
        assert.deepEqual(await all(users.keys({ prefix: "b1" })), ["b1", "b10"]);
        assert.deepEqual(await all(users.keys({ prefix: "none" })), []);
        assert.deepEqual(await all(users.keys({ after: "b1" })), ["b10", "b2", "c", "é"]);
        assert.deepEqual(await all(users.keys({ after: "b11" })), ["b2", "c", "é"]);
        assert.deepEqual(await all(users.keys({ prefix: "b", after: "b" })), ["b1", "b10", "b2"]);
        assert.deepEqual(await all(users.keys({ prefix: "b", after: "a" })), ["b", "b1", "b10", "b2"]);
        assert.deepEqual(await all(users.keys({ prefix: "b", after: "z" })), []);
        assert.deepEqual(await all(users.keys({ limit: 3 })), ["Z", "a", "b"]);
        assert.deepEqual(await all(users.keys({ limit: 0 })), []);
        assert.deepEqual(
          (await all(users.scan({ prefix: "b", after: "b1", limit: 1 }))).map(({ key }) => key),
          ["b10"],
        );
        // Page by page is the same as all at once.
        const pages: string[] = [];
        for (let after: string | undefined; ; after = pages.at(-1)) {
          const page = await all(users.keys({ limit: 3, after }));
          pages.push(...page);
          if (page.length < 3) break;
        }
        assert.deepEqual(pages, keys);
      },
    );

    onStore(
      suite,
      "a scan shows the objects as they were when it began, whatever others write",
      async (opened, bench) => {
        const users = plainOf(opened.store);
        const other = plainOf((await bench.another(opened)).store);
        const keys = Array.from({ length: 30 }, (_, n) => `k${10 + n}`);
        for (const [n, key] of keys.entries()) await users.put(key, { n });
        const seen: [string, number][] = [];
        let first = true;
        for await (const { key, value } of users.scan()) {
          seen.push([key, value.n!]);
          if (!first) continue;
          first = false;
          for (const key of keys) await users.update(key, (draft) => void (draft.n = 100));
          await other.delete("k20");
          await other.put("k15x", { n: 1 });
          await opened.store.sync();
        }
        assert.deepEqual(
          seen,
          keys.map((key, n) => [key, n]),
        );
        assert.equal((await all(users.keys())).length, 30);
        // One that is left early holds nothing up.
        assert.equal((await take(1, users.scan())).length, 1);
        await users.put("k10", { n: 0 });
      },
    );

    onEveryView(
      suite,
      "an index finds by one value, several or none, and tells types apart",
      async (store) => {
        const users = usersOf(store);
        const date = new Date(7);
        await users.put("none", {});
        await users.put("null", { email: null, tags: [] });
        await users.put("one", { tags: [1] });
        await users.put("text", { tags: ["1"] });
        await users.put("big", { tags: [1n] });
        await users.put("true", { tags: [true, true] });
        await users.put("date", { tags: [date] });
        await users.put("many", { tags: [1, "1", 1n, true, date, "", "a\0b", "a\u0001b", "x".repeat(5000), 0.5, -0] });
        await users.put("near", { tags: ["a", "a\0", "x".repeat(4999), 5] });
      },
      async (store) => {
        const users = usersOf(store);
        assert.deepEqual(await found(users, "tag", 1), ["many", "one"]);
        assert.deepEqual(await found(users, "tag", "1"), ["many", "text"]);
        assert.deepEqual(await found(users, "tag", 1n), ["big", "many"]);
        assert.deepEqual(await found(users, "tag", true), ["many", "true"]);
        assert.deepEqual(await found(users, "tag", false), []);
        assert.deepEqual(await found(users, "tag", new Date(7)), ["date", "many"]);
        assert.deepEqual(await found(users, "tag", 7), []);
        assert.deepEqual(await found(users, "tag", 0), ["many"]);
        for (const text of ["", "a\0b", "a\u0001b", "x".repeat(5000)])
          assert.deepEqual(await found(users, "tag", text), ["many"]);
        for (const text of ["a", "a\0", "x".repeat(4999)]) assert.deepEqual(await found(users, "tag", text), ["near"]);
        assert.deepEqual((await users.find("tag", "1"))[1], { key: "text", value: { tags: ["1"] } });
      },
    );

    onEveryView(
      suite,
      "an index follows put, update and delete",
      async (store) => {
        const users = usersOf(store);
        await users.put("a", { email: "a@x", tags: ["red", "blue"] });
        await users.put("b", { email: "b@x", tags: ["red"] });
        await users.put("c", { email: "c@x", tags: ["red"] });
        await users.update("a", (draft) => void (draft.tags = ["blue", "green"]));
        await users.put("b", { email: "b2@x" });
        await users.delete("c");
        await users.put("d", { email: "c@x" });
        await users.update("d", (draft) => void (draft.n = 5));
      },
      async (store) => {
        const users = usersOf(store);
        assert.deepEqual(await found(users, "tag", "red"), []);
        assert.deepEqual(await found(users, "tag", "blue"), ["a"]);
        assert.deepEqual(await found(users, "tag", "green"), ["a"]);
        assert.deepEqual(await found(users, "email", "a@x"), ["a"]);
        assert.deepEqual(await found(users, "email", "b@x"), []);
        assert.deepEqual(await found(users, "email", "b2@x"), ["b"]);
        assert.deepEqual(await found(users, "email", "c@x"), ["d"]);
        assert.deepEqual(await found(users, "n", 5), ["d"]);
      },
    );

    onStore(suite, "S1 an index says at every position what the objects say", async (opened, bench) => {
      const { store } = opened;
      const users = usersOf(store);
      const other = await bench.another(opened);
      const strangers = plainOf(other.store);
      let seed = 7;
      const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
      const model = new Map<string, User>();
      const snapshots: Promise<void>[] = [];
      const done = gate();
      for (let i = 0; i < 60; i++) {
        const key = `k${next(6)}`;
        const user = { n: next(3), tags: [next(3), `t${next(3)}`] };
        const way = next(6);
        // One that knows no index, another session, and the same.
        const writer = i % 5 === 0 ? strangers : i % 5 === 1 ? plainOf(store) : users;
        if (way === 0) {
          await writer.delete(key);
          model.delete(key);
        } else if (way === 1 && model.has(key)) {
          await writer.update(key, (draft) => void Object.assign(draft, user));
          model.set(key, { ...user });
        } else {
          await writer.put(key, user);
          model.set(key, user);
        }
        await store.sync();
        const expected = new Map(model);
        const checked = store.snapshot(async (at) => {
          // Some look while this is the last position, others when much has been written behind it.
          if (i % 2 === 0) await done.opened;
          for (let n = 0; n < 3; n++) {
            const names = (by: (user: User) => boolean): string[] =>
              [...expected]
                .filter(([, user]) => by(user))
                .map(([key]) => key)
                .sort();
            const keys = async (index: string, value: IndexValue): Promise<string[]> =>
              (await at.find(users, index, value)).map(({ key }) => key);
            assert.deepEqual(
              await keys("n", n),
              names((user) => user.n === n),
              `at step ${i}`,
            );
            assert.deepEqual(
              await keys("tag", n),
              names(({ tags }) => tags!.includes(n)),
              `at step ${i}`,
            );
            assert.deepEqual(
              await keys("tag", `t${n}`),
              names(({ tags }) => tags!.includes(`t${n}`)),
              `at step ${i}`,
            );
          }
          assert.deepEqual(await all(at.keys(users)), [...expected.keys()].sort());
        });
        snapshots.push(checked);
        if (i % 2 === 1) await checked;
        else checked.catch(() => undefined);
      }
      done.open();
      await Promise.all(snapshots);
    });

    onEveryView(
      suite,
      "a unique index refuses a second object, and lets values go that are free again",
      async (store) => {
        const users = usersOf(store);
        await users.put("ada", { email: "ada@x" });
        await users.put("bob", { email: "bob@x" });
        await users.put("bob", { email: "bob@x", n: 1 });
        await assert.rejects(users.put("eve", { email: "ada@x" }), (error: { key?: string; index?: string }) => {
          code("STORE_UNIQUE", /email/, /ada@x/, /"ada"/)(error);
          return error.key === "ada" && error.index === "email";
        });
        await assert.rejects(
          users.update("bob", (draft) => void (draft.email = "ada@x")),
          code("STORE_UNIQUE"),
        );
        const tail = await store.book.tail();
        await assert.rejects(
          store.transaction(async (tx) => {
            await tx.put(users, "x", { n: 9 });
            await tx.put(users, "eve", { email: "bob@x" });
          }),
          code("STORE_UNIQUE"),
        );
        await assert.rejects(
          store.transaction(async (tx) => {
            await tx.put(users, "x", { email: "new@x" });
            await tx.put(users, "y", { email: "new@x" });
          }),
          code("STORE_UNIQUE"),
        );
        assert.equal(await store.book.tail(), tail);
      },
      async (store) => {
        const users = usersOf(store);
        assert.deepEqual(await all(users.scan()), [
          { key: "ada", value: { email: "ada@x" } },
          { key: "bob", value: { email: "bob@x", n: 1 } },
        ]);
        await assert.rejects(users.put("eve", { email: "ada@x" }), code("STORE_UNIQUE"));
        await users.update("ada", (draft) => void (draft.email = "ada2@x"));
        await users.put("eve", { email: "ada@x" });
        await users.delete("bob");
        await users.put("carl", { email: "bob@x" });
        // Objects without a value do not meet.
        await users.put("nobody", {});
        await users.put("nobody else", { email: null });
      },
    );

    onStore(suite, "two objects swap their unique values in one transaction", async ({ store }) => {
      const users = usersOf(store);
      await users.put("a", { email: "1@x" });
      await users.put("b", { email: "2@x" });
      await store.transaction(async (tx) => {
        await tx.update(users, "a", (draft) => void (draft.email = "2@x"));
        await tx.update(users, "b", (draft) => void (draft.email = "1@x"));
      });
      assert.deepEqual(await found(users, "email", "1@x"), ["b"]);
      assert.deepEqual(await found(users, "email", "2@x"), ["a"]);
      await store.transaction(async (tx) => {
        await tx.delete(users, "a");
        await tx.put(users, "c", { email: "2@x" });
      });
      assert.deepEqual(await found(users, "email", "2@x"), ["c"]);
    });

    onStore(suite, "a transaction cannot take what another object in it keeps", async ({ store }) => {
      const users = usersOf(store);
      await users.put("a", { email: "1@x" });
      const orders: ("keep" | "take")[][] = [
        ["keep", "take"],
        ["take", "keep"],
      ];
      for (const order of orders) {
        const failing = store.transaction(async (tx) => {
          for (const each of order) {
            if (each === "keep") await tx.update(users, "a", (draft) => void (draft.n = (draft.n ?? 0) + 1));
            else await tx.put(users, "b", { email: "1@x" });
          }
        });
        await assert.rejects(failing, code("STORE_UNIQUE"), order.join());
      }
      assert.deepEqual(await found(users, "email", "1@x"), ["a"]);
    });

    onStore(
      suite,
      "of many that take a unique value at once, from two sessions, one gets it",
      async (opened, bench) => {
        const other = await bench.another(opened);
        await usersOf(opened.store).ready();
        await usersOf(other.store).ready();
        for (let round = 0; round < 5; round++) {
          const email = `${round}@x`;
          const tries = [opened, other].flatMap(({ store }, s) =>
            Array.from({ length: 6 }, (_, i) => {
              const users = usersOf(store);
              const key = `${round}-${s}-${i}`;
              return i % 2 === 0 ? users.put(key, { email }) : store.transaction((tx) => tx.put(users, key, { email }));
            }),
          );
          const results = await Promise.allSettled(tries);
          const refused = results.filter((result) => result.status === "rejected");
          assert.equal(refused.length, results.length - 1);
          for (const { reason } of refused) code("STORE_UNIQUE")(reason);
          await opened.store.sync();
          assert.equal((await found(usersOf(opened.store), "email", email)).length, 1);
        }
        assert.equal((await all(usersOf(opened.store).keys())).length, 5);
      },
    );

    onStore(suite, "an index is added to existing data, with progress, while others write", async (opened, bench) => {
      const plain = plainOf(opened.store);
      const other = plainOf((await bench.another(opened)).store);
      await Promise.all(Array.from({ length: 600 }, (_, n) => plain.put(`k${n}`, { n: n % 10 })));
      const users = usersOf(opened.store);
      const progress: [number, number][] = [];
      const building = users.ready({ onProgress: ({ done, total }) => void progress.push([done, total]) });
      const writing = Array.from({ length: 40 }, (_, i) => other.put(`k${i * 10}`, { n: 77 }));
      await Promise.all([building, ...writing]);
      await opened.store.sync();
      assert.ok(progress.length >= 2, "no progress was shown");
      for (const [i, [done, total]] of progress.entries()) {
        assert.ok(done <= total);
        if (i > 0) assert.ok(done > progress[i - 1]![0]);
      }
      assert.equal(progress.at(-1)![0], progress.at(-1)![1]);
      assert.equal((await users.find("n", 77)).length, 40);
      assert.equal((await users.find("n", 3)).length, 60);
      assert.equal((await users.find("n", 0)).length, 20);
      const again = usersOf((await bench.reopen(opened)).store);
      assert.equal((await again.find("n", 77)).length, 40);
    });

    onStore(suite, "who gives up waiting for an index leaves the others waiting for theirs", async (opened, bench) => {
      const plain = plainOf(opened.store);
      await Promise.all(Array.from({ length: 600 }, (_, n) => plain.put(`k${n}`, { n })));
      const users = usersOf((await bench.renew(opened)).store);
      const ending = new AbortController();
      const progress: number[] = [];
      const first = users.ready({ signal: ending.signal, onProgress: () => ending.abort() });
      const second = users.ready({ onProgress: ({ done }) => void progress.push(done) });
      const third = users.find("n", 5);
      await assert.rejects(first, code("LOG_ABORTED"));
      await second;
      assert.deepEqual(
        (await third).map(({ key }) => key),
        ["k5"],
      );
      assert.ok(progress.length > 0, "the second one was shown no progress");
    });

    onStore(
      suite,
      "what is changed by a handle that does not know the index is found all the same",
      async (opened, bench) => {
        const users = usersOf(opened.store);
        const other = await bench.another(opened);
        await users.put("a", { n: 1, email: "a@x" });
        await users.put("b", { n: 1 });
        await users.put("c", { n: 1 });
        const old = plainOf(other.store);
        await other.store.sync();
        await old.update("a", (draft) => void (draft.n = 2));
        await old.put("d", { n: 2 });
        await old.delete("c");
        await other.store.transaction(async (tx) => {
          await tx.update(old, "b", (draft) => void (draft.n = 3));
          await tx.put(old, "e", { n: 2, email: "e@x" });
        });
        await opened.store.sync();
        assert.deepEqual(await found(users, "n", 2), ["a", "d", "e"]);
        assert.deepEqual(await found(users, "n", 1), []);
        assert.deepEqual(await found(users, "n", 3), ["b"]);
        await assert.rejects(users.put("f", { email: "e@x" }), code("STORE_UNIQUE"));
        // Also where it happens in the middle of a transaction.
        let runs = 0;
        await opened.store.transaction(async (tx) => {
          runs++;
          const before = await tx.find(users, "n", 9);
          if (runs === 1) await old.put("g", { n: 9 });
          await tx.put(users, "count", { n: 100 + before.length });
        });
        assert.deepEqual(await users.get("count"), { n: 101 });
      },
    );

    onStore(suite, "find names the object that cannot be brought up, and the index, as get does", async ({ store }) => {
      const migrate = (value: unknown): unknown => {
        if ((value as User).n === 13) throw new Error("no thirteen");
        return value;
      };
      const newer = store.collection<User>("users", { version: 2, migrate, indexes: { n: ({ n }) => n } });
      const named = code("STORE_INVALID", /"bad"/, /index "n"/, /no thirteen/);
      // Its entry is not known: it may be any.
      await plainOf(store).put("bad", { n: 13 });
      await plainOf(store).put("good", { n: 1 });
      await newer.ready();
      const why = await newer.get("bad").catch((error: unknown) => error as Error);
      code("STORE_INVALID", /"bad"/, /no thirteen/)(why);
      assert.equal(((why as Error).cause as Error).message, "no thirteen");
      for (const n of [1, 13]) await assert.rejects(newer.find("n", n), named);
      await assert.rejects(
        store.transaction((tx) => tx.find(newer, "n", 1)),
        named,
      );
      // It holds nobody up, and can be replaced.
      await newer.update("good", (draft) => void (draft.tags = [1]));
      await newer.put("bad", { n: 2 });
      assert.deepEqual(await found(newer, "n", 1), ["good"]);
      // Where its entry is known, it concerns who looks for that.
      await store.collection<User>("users", { indexes: { n: ({ n }) => n } }).put("worse", { n: 13 });
      assert.deepEqual(await found(newer, "n", 1), ["good"]);
      await assert.rejects(newer.find("n", 13), code("STORE_INVALID", /"worse"/, /index "n"/));
      // A value of a newer version is one that cannot be read, too.
      await store.collection<User>("users", { version: 3 }).put("worse", { n: 1 });
      await assert.rejects(newer.find("n", 2), code("STORE_VERSION", /"worse"/, /index "n"/));
      await newer.update("good", (draft) => void (draft.tags = [2]));
    });

    onStore(suite, "find names the object for which the function of an index throws", async ({ store }) => {
      await plainOf(store).put("a", { email: "A@x" });
      await plainOf(store).put("b", {});
      const lower = store.collection<User>("users", { indexes: { lower: ({ email }) => email!.toLowerCase() } });
      const named = { name: "TypeError", message: /"lower".*"b"/ };
      await assert.rejects(lower.ready(), named);
      await assert.rejects(lower.put("b", { n: 1 }), named);
      await plainOf(store).put("b", { email: "B@x" });
      assert.deepEqual(await found(lower, "lower", "b@x"), ["b"]);
    });

    onStore(suite, "find names the indexes there are when asked for another", async ({ store }) => {
      await assert.rejects(usersOf(store).find("name", "x"), { name: "TypeError", message: /email, tag, n/ });
      await assert.rejects(plainOf(store).find("email", "x"), { name: "TypeError", message: /none/ });
      const users = usersOf(store);
      await assert.rejects(users.find("email", {} as never), { name: "TypeError", message: /strings, numbers/ });
      await assert.rejects(users.put("a", { tags: [{} as never] }), { name: "TypeError", message: /"tag"/ });
      await users.put("a", { tags: [1] });
      assert.deepEqual(await found(users, "tag", 1), ["a"]);
    });
  });
}
