/** Unique indexes beside writers that do not declare them, such as the old version of a program during a deployment. */
import assert from "node:assert/strict";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Collection, CollectionOptions } from "../../libs/store/collection.js";
import type { BokiStore } from "../../libs/store/store.js";
import { all, code, gate, onEveryView, onStore, type Suite } from "./suite.js";

interface User {
  email?: string | readonly string[];
  n?: number;
}

const indexes = { email: { by: (user: User) => user.email, unique: true } };

const usersOf = (store: BokiStore, options: CollectionOptions<User> = {}): Collection<User> =>
  store.collection<User>("users", { indexes, ...options });

/** A handle of a program that knows of no index. */
const oldOf = (store: BokiStore, options: CollectionOptions<User> = {}): Collection<User> =>
  store.collection<User>("users", options);

const found = async (users: Collection<User>, email: string): Promise<string[]> =>
  (await users.find("email", email)).map(({ key }) => key);

/** `STORE_UNIQUE`, with the objects that have the entry. */
const taken =
  (...keys: string[]) =>
  (error: unknown): boolean => {
    code("STORE_UNIQUE", /"email"/, ...keys.map((key) => new RegExp(`"${key}"`)))(error);
    const { key, keys: owners } = error as { key?: string; keys?: readonly string[] };
    assert.deepEqual([key, owners], [keys[0], keys]);
    return true;
  };

/** Lets all values pass, some of them when it is told to. */
function slowSchema(isSlow: (user: User) => boolean = () => true): {
  schema: StandardSchemaV1<unknown, User>;
  reached: Promise<void>;
  go: () => void;
} {
  const [reached, go] = [gate(), gate()];
  const validate = async (value: unknown): Promise<{ value: User }> => {
    if (!isSlow(value as User)) return { value: value as User };
    reached.open();
    await go.opened;
    return { value: value as User };
  };
  const schema = { "~standard": { version: 1, vendor: "test", validate } } as const;
  return { schema, reached: reached.opened, go: () => go.open() };
}

export function unique(suite: Suite): void {
  suite.describe("unique indexes", () => {
    for (const where of ["of this session", "of another session"]) {
      onStore(
        suite,
        `a value that an old program ${where} takes while a write is on its way is not taken again`,
        async (opened, bench) => {
          const { store } = opened;
          const old = oldOf(where === "of this session" ? store : (await bench.another(opened)).store);
          const { schema, reached, go } = slowSchema();
          const users = usersOf(store, { schema });
          await users.ready();
          const writing = users.put("c", { email: "1@x" });
          await reached;
          await old.put("b", { email: "1@x" });
          go();
          await assert.rejects(writing, taken("b"));
          let runs = 0;
          const running = store.transaction(async (tx) => {
            runs++;
            await tx.put(users, "c", { email: "2@x" });
            if (runs === 1) await old.update("b", (draft) => void (draft.email = "2@x"));
          });
          await assert.rejects(running, taken("b"));
          // Once more where the entry that the old program did not write has to be written first.
          assert.ok(runs === 2 || runs === 3, `${runs}`);
          assert.equal(await users.get("c"), undefined);
          // What is free now can be taken.
          await users.put("c", { email: "1@x" });
          // Both are on their way at once, the old program's first.
          const ready = usersOf(store);
          await ready.ready();
          await Promise.all([old.get("d"), ready.get("e")]);
          const both = [old.put("d", { email: "3@x" }), ready.put("e", { email: "3@x" })];
          const [, refused] = await Promise.allSettled(both);
          assert.equal(refused!.status, "rejected");
          taken("d")((refused as PromiseRejectedResult).reason);
        },
      );
    }

    onEveryView(
      suite,
      "what old programs have doubled is shown and told, and all goes on",
      async (store) => {
        const users = usersOf(store);
        await users.put("a", { email: "1@x" });
        await oldOf(store).put("b", { email: "1@x" });
        await oldOf(store).put("z", { email: ["2@x", "3@x"] });
      },
      async (store) => {
        const users = usersOf(store);
        assert.deepEqual(await found(users, "1@x"), ["a", "b"]);
        await assert.rejects(users.ready(), taken("a", "b"));
        await assert.rejects(users.put("c", { email: "1@x" }), taken("a", "b"));
        await assert.rejects(
          store.transaction((tx) => tx.put(users, "c", { email: "1@x" })),
          taken("a", "b"),
        );
        // Who has it keeps it until somebody mends it, and nothing else is held up.
        await users.put("other", { email: "4@x" });
        await users.update("b", (draft) => void (draft.n = 1));
        await store.transaction(async (tx) => {
          for (const key of ["a", "b"]) await tx.update(users, key, (draft) => void (draft.n = 2));
        });
        assert.deepEqual(await found(users, "1@x"), ["a", "b"]);
        await users.put("b", { email: ["1@x", "5@x"] });
        await assert.rejects(users.put("b", { email: ["1@x", "2@x"] }), taken("z"));
        await users.put("b", { email: "6@x" });
        await users.ready();
        assert.deepEqual(await found(users, "1@x"), ["a"]);
        await assert.rejects(users.put("b", { email: "1@x" }), taken("a"));
      },
    );

    onStore(suite, "a unique index over data that is not unique is built, and tells of it", async (opened, bench) => {
      const old = oldOf(opened.store);
      for (const key of ["a", "b", "c"]) await old.put(key, { email: key === "c" ? "2@x" : "1@x" });
      const users = usersOf(opened.store);
      await users.put("d", { email: "3@x" });
      await assert.rejects(users.put("e", { email: "1@x" }), taken("a", "b"));
      await assert.rejects(users.ready(), taken("a", "b"));
      const again = await bench.reopen(opened);
      await assert.rejects(usersOf(again.store).ready(), taken("a", "b"));
      await usersOf(again.store).delete("a");
      await usersOf(again.store).ready();
      assert.deepEqual(await found(usersOf(again.store), "1@x"), ["b"]);
    });

    onStore(suite, "an object that an old program changes all the time holds up nobody else", async ({ store }) => {
      const [users, old] = [usersOf(store), oldOf(store)];
      await users.put("a", { email: "1@x" });
      // Where a server has the log, the writer below may come later than what is looked for.
      await old.put("hot", { email: "2@x", n: -1 });
      let [done, writes] = [false, 0];
      const writing = (async () => {
        for (; !done; writes++) await old.put("hot", { email: "2@x", n: writes });
      })();
      for (let n = 0; n < 5; n++) {
        await users.update("a", (draft) => void (draft.n = n));
        await store.transaction((tx) => tx.update(users, "a", (draft) => void (draft.n = -n)));
        assert.deepEqual(await found(users, "1@x"), ["a"]);
        assert.deepEqual(await found(users, "2@x"), ["hot"]);
      }
      done = true;
      await writing;
      assert.ok(writes > 10, `only ${writes} writes`);
      await users.ready();
      await assert.rejects(users.put("b", { email: "2@x" }), taken("hot"));
    });

    onStore(suite, "two handles in one transaction do not take a value twice", async ({ store }) => {
      for (const second of [usersOf(store), oldOf(store)]) {
        const both = store.transaction(async (tx) => {
          await tx.put(second, "a", { email: "1@x" });
          await tx.put(usersOf(store), "b", { email: "1@x" });
        });
        await assert.rejects(both, { name: "TypeError", message: /another handle/ });
      }
      assert.deepEqual(await all(usersOf(store).keys()), []);
    });

    onStore(suite, "what comes while an index is being built counts for who waits for that", async ({ store }) => {
      const old = oldOf(store);
      await old.put("slow", { email: "1@x", n: 7 });
      const { schema, reached, go } = slowSchema(({ n }) => n === 7);
      const users = usersOf(store, { version: 2, schema });
      const building = users.ready();
      await reached;
      await old.put("b", { email: "2@x" });
      const running = store.transaction(async (tx) => {
        await tx.put(users, "c", { email: "2@x" });
        // Its commit waits for the building by then.
        setImmediate(go);
      });
      await assert.rejects(running, taken("b"));
      await building;
    });

    onStore(suite, "what cannot be read is one object, and does not hide another", async ({ store, book }) => {
      const old = oldOf(store);
      // Damaged: a patch where there is nothing that it fits.
      await old.put("bad", { email: "x".repeat(500), n: 1 });
      await old.update("bad", (draft) => void (draft.n = 2));
      const patch = (await book.readPrev())!;
      await old.put("bad", 7 as User);
      await book.append(patch.data, { tags: patch.tags });
      const users = usersOf(store);
      await users.ready();
      await users.put("a", { email: "1@x" });
      await users.delete("bad");
      await old.put("b", { email: "2@x" });
      await assert.rejects(users.put("c", { email: "2@x" }), taken("b"));
    });

    onStore(suite, "a value is not taken while an object that may have it cannot be read", async ({ store }) => {
      const old = oldOf(store);
      await old.put("odd", { email: "1@x" });
      await old.put("a", { email: "2@x", n: 1 });
      const migrate = (value: unknown): unknown => {
        if ((value as User).n === undefined) throw new Error("no number");
        return value;
      };
      const strict = usersOf(store, { version: 2, migrate });
      // A program of version 3 that does not declare the index.
      const newer = oldOf(store, { version: 3 });
      const odd = code("STORE_INVALID", /"email"/, /"odd"/, /no number/, /migrate/);
      const ahead = code("STORE_VERSION", /"email"/, /"new"/, /version 3/);
      for (const [key, refused] of [
        ["odd", odd],
        ["new", ahead],
      ] as const) {
        if (key === "new") await newer.put(key, { email: "1@x" });
        await assert.rejects(strict.put("b", { email: "3@x" }), refused);
        await assert.rejects(
          store.transaction((tx) => tx.put(strict, "b", { email: "3@x" })),
          refused,
        );
        // Nothing else is held up: what takes no value, nor who replaces what cannot be read.
        await strict.update("a", (draft) => void (draft.n = 2));
        await strict.put("none", { n: 1 });
        await strict.delete("none");
        assert.equal(await strict.get("b"), undefined);
        if (key === "odd") await strict.put("odd", { email: "1@x", n: 1 });
        else await strict.put("odd", { email: "1@x", n: 2 });
      }
      await newer.delete("new");
      await strict.put("b", { email: "3@x" });
    });

    onStore(suite, "new objects with other values hold nobody up", async ({ store }) => {
      const users = usersOf(store);
      await users.ready();
      let runs = 0;
      await store.transaction(async (tx) => {
        runs++;
        await tx.find(users, "email", "1@x");
        await tx.put(users, "a", { email: "2@x" });
        await users.put(`b${runs}`, { email: `${runs}3@x` });
      });
      assert.equal(runs, 1);
      assert.deepEqual(await all(users.keys()), ["a", "b1"]);
    });
  });
}
