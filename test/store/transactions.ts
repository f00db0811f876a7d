import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { transaction, type Transaction } from "../../libs/transaction.js";
import type { BokiStore } from "../../libs/store/store.js";
import type { Collection } from "../../libs/store/collection.js";
import { all, code, gate, onEveryView, onStore, type Suite } from "./suite.js";

interface Account {
  balance: number;
  owner?: string;
}

const accountsOf = (store: BokiStore): Collection<Account> =>
  store.collection<Account>("accounts", { indexes: { owner: (account) => account.owner } });

export function transactions(suite: Suite): void {
  suite.describe("transactions", () => {
    onEveryView(
      suite,
      "S2 objects of several collections change at once, in one record",
      async (store) => {
        const accounts = accountsOf(store);
        const log = store.collection<{ from: string }>("log");
        await accounts.put("a", { balance: 100 });
        await accounts.put("b", { balance: 0 });
        const tail = await store.book.tail();
        const given = await store.transaction(async (tx) => {
          const from = (await tx.get(accounts, "a"))!;
          tx.update(accounts, "a", (draft) => void (draft.balance -= 30)).catch(() => undefined);
          await tx.update(accounts, "b", (draft) => void (draft.balance += 30));
          await tx.put(log, "1", { from: "a" });
          await tx.delete(log, "0");
          return from.balance;
        });
        assert.equal(given, 100);
        assert.equal((await store.book.tail()) - tail, 1);
      },
      async (store) => {
        const accounts = accountsOf(store);
        assert.deepEqual(await accounts.getAll(["a", "b"]), [{ balance: 70 }, { balance: 30 }]);
        assert.deepEqual(await store.collection("log").get("1"), { from: "a" });
        const versions = await Promise.all(["a", "b"].map((key) => all(accounts.history(key))));
        assert.equal(versions[0]!.at(-1)!.seqnum, versions[1]!.at(-1)!.seqnum);
      },
    );

    onStore(suite, "S1 a transaction sees its own writes: get, getAll, has, find, scan, keys", async ({ store }) => {
      const accounts = accountsOf(store);
      for (const key of ["a", "b", "c"]) await accounts.put(key, { balance: 1, owner: "ada" });
      await store.transaction(async (tx) => {
        await tx.put(accounts, "aa", { balance: 2, owner: "ada" });
        await tx.delete(accounts, "b");
        assert.deepEqual(await tx.update(accounts, "c", (draft) => void (draft.owner = "bob")), {
          balance: 1,
          owner: "bob",
        });
        assert.deepEqual(await tx.get(accounts, "aa"), { balance: 2, owner: "ada" });
        assert.deepEqual([await tx.has(accounts, "b"), await tx.has(accounts, "aa")], [false, true]);
        assert.deepEqual(await tx.getAll(accounts, ["aa", "b"]), [{ balance: 2, owner: "ada" }, undefined]);
        assert.deepEqual(
          (await tx.find(accounts, "owner", "ada")).map(({ key }) => key),
          ["a", "aa"],
        );
        assert.deepEqual(
          (await tx.find(accounts, "owner", "bob")).map(({ key }) => key),
          ["c"],
        );
        assert.deepEqual(await all(tx.keys(accounts)), ["a", "aa", "c"]);
        assert.deepEqual(await all(tx.keys(accounts, { prefix: "a", after: "a" })), ["aa"]);
        assert.deepEqual(await all(tx.scan(accounts, { limit: 2 })), [
          { key: "a", value: { balance: 1, owner: "ada" } },
          { key: "aa", value: { balance: 2, owner: "ada" } },
        ]);
        assert.deepEqual(
          (await all(tx.scan(accounts, { after: "aa" }))).map(({ value }) => value.owner),
          ["bob"],
        );
        // Nobody else sees them yet.
        assert.deepEqual(await all(accounts.keys()), ["a", "b", "c"]);
      });
      assert.deepEqual(await all(accounts.keys()), ["a", "aa", "c"]);
    });

    onStore(
      suite,
      "S1 writes that are not awaited are seen by what follows them, and are in the commit",
      async (opened, bench) => {
        await accountsOf(opened.store).put("a", { balance: 1, owner: "ada" });
        // Nothing is open: each operation has something to wait for.
        const { store } = await bench.renew(opened);
        const accounts = accountsOf(store);
        await store.transaction(async (tx) => {
          void tx.update(accounts, "a", (draft) => void (draft.owner = "bob"));
          void tx.update(accounts, "a", (draft) => void (draft.balance = 2));
          void tx.put(accounts, "b", { balance: 3, owner: "bob" });
          assert.deepEqual(
            (await tx.find(accounts, "owner", "bob")).map(({ key }) => key),
            ["a", "b"],
          );
          void tx.delete(accounts, "b");
          assert.deepEqual(await all(tx.keys(accounts)), ["a"]);
          void tx.put(accounts, "c", { balance: 4 });
          assert.deepEqual(
            (await all(tx.scan(accounts))).map(({ key, value }) => [key, value.balance]),
            [
              ["a", 2],
              ["c", 4],
            ],
          );
          void tx.update(accounts, "c", (draft) => void draft.balance++);
        });
        assert.deepEqual(await accounts.getAll(["a", "b", "c"]), [
          { balance: 2, owner: "bob" },
          undefined,
          { balance: 5 },
        ]);
      },
    );

    onStore(suite, "an exception rolls back, and nothing is in the log", async ({ store, book }) => {
      const accounts = accountsOf(store);
      await accounts.put("a", { balance: 1 });
      const tail = await book.tail();
      const fault = new Error("mine");
      const failing = store.transaction(async (tx) => {
        await tx.put(accounts, "a", { balance: 2 });
        await tx.put(accounts, "b", { balance: 2 });
        throw fault;
      });
      await assert.rejects(failing, (error) => error === fault);
      assert.equal(await book.tail(), tail);
      assert.deepEqual(await accounts.getAll(["a", "b"]), [{ balance: 1 }, undefined]);
    });

    onStore(
      suite,
      "a write that fails ends the transaction, awaited or not, caught or not",
      async ({ store, book }) => {
        const accounts = accountsOf(store);
        await accounts.put("a", { balance: 1 });
        const tail = await book.tail();
        const failing = [
          (tx: Transaction) => void tx.update(accounts, "none", (draft) => void draft.balance++),
          (tx: Transaction) => tx.update(accounts, "none", (draft) => void draft.balance++).catch(() => undefined),
          (tx: Transaction) => tx.update(accounts, "none", (draft) => void draft.balance++),
        ];
        for (const fail of failing) {
          const running = store.transaction(async (tx) => {
            await tx.put(accounts, "a", { balance: 2 });
            await fail(tx);
          });
          await assert.rejects(running, code("STORE_NOT_FOUND"));
        }
        assert.equal(await book.tail(), tail);
      },
    );

    onStore(suite, "S4 runs again when something that it read was changed, and only then", async ({ store }) => {
      const accounts = accountsOf(store);
      await accounts.put("a", { balance: 1 });
      await accounts.put("b", { balance: 1 });
      const runs: number[] = [];
      await store.transaction(async (tx) => {
        const { balance } = (await tx.get(accounts, "a"))!;
        runs.push(balance);
        if (runs.length === 1) await accounts.update("a", (draft) => void (draft.balance = 10));
        await accounts.update("b", (draft) => void draft.balance++);
        await tx.put(accounts, "c", { balance });
      });
      assert.deepEqual(runs, [1, 10]);
      assert.deepEqual(await accounts.getAll(["a", "b", "c"]), [{ balance: 10 }, { balance: 3 }, { balance: 10 }]);
    });

    onStore(
      suite,
      "S1 it conflicts with a change of what it found absent, looked up, or scanned",
      async (opened, bench) => {
        const { store } = opened;
        const other = accountsOf((await bench.another(opened)).store);
        const accounts = accountsOf(store);
        await accounts.put("a", { balance: 1, owner: "ada" });
        const reads: Record<string, (tx: Transaction) => Promise<unknown>> = {
          get: (tx) => tx.get(accounts, "b"),
          has: (tx) => tx.has(accounts, "b"),
          find: (tx) => tx.find(accounts, "owner", "bob"),
          scan: (tx) => all(tx.scan(accounts, { prefix: "b" })),
          keys: (tx) => all(tx.keys(accounts, { prefix: "b" })),
        };
        for (const [name, read] of Object.entries(reads)) {
          await accounts.delete("b");
          let runs = 0;
          await store.transaction(async (tx) => {
            runs++;
            await read(tx);
            if (runs === 1) await other.put("b", { balance: 1, owner: "bob" });
            await tx.put(accounts, "result", { balance: runs });
          });
          assert.equal(runs, 2, `${name} was not protected`);
        }
        // And not with what does not concern it.
        let runs = 0;
        await store.transaction(async (tx) => {
          runs++;
          await tx.find(accounts, "owner", "carl");
          await tx.get(accounts, "c");
          if (runs === 1) await other.put("b", { balance: 2, owner: "bob" });
          await tx.put(accounts, "result", { balance: runs });
        });
        assert.equal(runs, 1);
      },
    );

    onStore(
      suite,
      "S4 gives up after so many attempts, with STORE_CONFLICT and nothing in the log",
      async ({ store }) => {
        const accounts = accountsOf(store);
        await accounts.put("a", { balance: 0 });
        let runs = 0;
        const failing = store.transaction(
          async (tx) => {
            runs++;
            const { balance } = (await tx.get(accounts, "a"))!;
            await accounts.update("a", (draft) => void draft.balance++);
            await tx.put(accounts, "copy", { balance });
          },
          { attempts: 3 },
        );
        await assert.rejects(failing, (error: { code?: string; retryable?: boolean }) => {
          assert.equal(error.code, "STORE_CONFLICT");
          assert.equal(error.retryable, true);
          return true;
        });
        assert.equal(runs, 3);
        assert.deepEqual(await accounts.getAll(["a", "copy"]), [{ balance: 3 }, undefined]);
      },
    );

    onStore(suite, "transfers from two sessions at once keep the sum", async (opened, bench) => {
      const other = await bench.another(opened);
      const names = ["a", "b", "c", "d"];
      for (const name of names) await accountsOf(opened.store).put(name, { balance: 100 });
      let seed = 1;
      const pick = (): string => names[(seed = (seed * 48_271) % 2_147_483_647) % names.length]!;
      const transfer = async ({ store }: typeof opened): Promise<void> => {
        const accounts = accountsOf(store);
        for (let i = 0; i < 12; i++) {
          const [from, to] = [pick(), pick()];
          await store.transaction(async (tx) => {
            const { balance } = (await tx.get(accounts, from))!;
            await tx.update(accounts, from, (draft) => void (draft.balance = balance - 7));
            await tx.update(accounts, to, (draft) => void (draft.balance += 7));
          });
        }
      };
      const sums: number[] = [];
      let done = false;
      const watch = async ({ store }: typeof opened): Promise<void> => {
        const accounts = accountsOf(store);
        while (!done) {
          await store.snapshot(async (at) => {
            let sum = 0;
            for (const name of names) sum += (await at.get(accounts, name))!.balance;
            sums.push(sum);
          });
          await setImmediate();
        }
      };
      const watching = [watch(opened), watch(other)];
      await Promise.all([transfer(opened), transfer(opened), transfer(other), transfer(other)]);
      done = true;
      await Promise.all(watching);
      assert.ok(sums.length > 2);
      assert.deepEqual([...new Set(sums)], [400]);
      await other.store.sync();
      for (const { store } of [opened, other]) {
        const values = await accountsOf(store).getAll(names);
        assert.equal(
          values.reduce((sum, value) => sum + value!.balance, 0),
          400,
        );
      }
    });

    onStore(suite, "write skew does not happen", async (opened, bench) => {
      const other = await bench.another(opened);
      await accountsOf(opened.store).put("a", { balance: 1 });
      await accountsOf(opened.store).put("b", { balance: 1 });
      const withdraw = ({ store }: typeof opened, key: string): Promise<void> =>
        store.transaction(async (tx) => {
          const accounts = accountsOf(store);
          const [a, b] = await tx.getAll(accounts, ["a", "b"]);
          if (a!.balance + b!.balance === 2) await tx.update(accounts, key, (draft) => void (draft.balance = 0));
        });
      await Promise.all([withdraw(opened, "a"), withdraw(other, "b")]);
      await opened.store.sync();
      const values = await accountsOf(opened.store).getAll(["a", "b"]);
      assert.equal(values[0]!.balance + values[1]!.balance, 1);
    });

    onStore(
      suite,
      "one that only reads appends nothing, and runs once whatever is written meanwhile",
      async ({ store, book }) => {
        const accounts = accountsOf(store);
        await accounts.put("a", { balance: 1 });
        await accounts.put("b", { balance: 1 });
        let tail = 0;
        let runs = 0;
        const read = await store.transaction(async (tx) => {
          runs++;
          const a = await tx.get(accounts, "a");
          await accounts.put("a", { balance: 2 });
          await accounts.put("b", { balance: 2 });
          tail = await book.tail();
          return [a, await tx.get(accounts, "b"), await all(tx.keys(accounts))];
        });
        assert.deepEqual(read, [{ balance: 1 }, { balance: 1 }, ["a", "b"]]);
        assert.equal(runs, 1);
        assert.equal(await book.tail(), tail);
      },
    );

    onStore(suite, "an object that only a transaction has read is seen as others change it", async (opened, bench) => {
      const accounts = accountsOf(opened.store);
      assert.equal(await opened.store.transaction((tx) => tx.get(accounts, "a")), undefined);
      const other = await bench.another(opened);
      await accountsOf(other.store).put("a", { balance: 5 });
      await opened.store.sync();
      assert.deepEqual(await accounts.get("a"), { balance: 5 });
    });

    onStore(
      suite,
      "a snapshot keeps its position while others write and while objects are closed",
      async (opened, bench) => {
        const { store, book } = opened;
        const accounts = accountsOf(store);
        const other = accountsOf((await bench.another(opened)).store);
        const keys = Array.from({ length: 60 }, (_, i) => `k${String(i).padStart(2, "0")}`);
        const value = (balance: number): Account => ({ balance, owner: "o".repeat(3000) });
        await Promise.all(keys.map((key) => accounts.put(key, value(1))));
        await store.snapshot(async (at) => {
          const position = at.position;
          for (const key of keys.slice(0, 10)) assert.equal((await at.get(accounts, key))!.balance, 1);
          await Promise.all(keys.map((key) => accounts.update(key, (draft) => void (draft.balance = 2))));
          await Promise.all(keys.map((key) => other.put(key, { balance: 3, owner: "new" })));
          await other.delete(keys[0]!);
          await other.put("later", value(1));
          await store.sync();
          const tail = await book.tail();
          assert.equal((await accounts.get(keys[5]!))!.balance, 3);
          for (const key of keys) assert.equal((await at.get(accounts, key))!.balance, 1, key);
          assert.deepEqual(await all(at.keys(accounts)), keys);
          assert.equal((await all(at.scan(accounts))).filter((found) => found.value.balance === 1).length, 60);
          assert.equal((await at.find(accounts, "owner", "new")).length, 0);
          assert.equal((await at.find(accounts, "owner", "o".repeat(3000))).length, 60);
          assert.equal(at.position, position);
          assert.equal(await book.tail(), tail, "a snapshot wrote something");
        });
        assert.deepEqual(await all(accounts.keys()), [...keys.slice(1), "later"]);
      },
    );

    onStore(suite, "many transactions over more objects than are kept open lose nothing", async (opened, bench) => {
      const other = await bench.another(opened);
      const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
      const owner = "o".repeat(4000);
      await Promise.all(keys.map((key) => accountsOf(opened.store).put(key, { balance: 0, owner })));
      const work = async ({ store }: typeof opened, from: number): Promise<void> => {
        const accounts = store.collection<Account>("accounts");
        for (let i = 0; i < keys.length; i++) {
          const [a, b] = [keys[(from + i) % keys.length]!, keys[(from + 7 * i + 1) % keys.length]!];
          if (a === b) continue;
          await store.transaction(async (tx) => {
            await tx.update(accounts, a, (draft) => void draft.balance++);
            await tx.update(accounts, b, (draft) => void draft.balance--);
          });
        }
      };
      await Promise.all([work(opened, 0), work(opened, 13), work(other, 3), work(other, 21)]);
      await opened.store.sync();
      const values = await accountsOf(opened.store).getAll(keys);
      assert.equal(
        values.reduce((sum, value) => sum + value!.balance, 0),
        0,
      );
      const again = await bench.renew(opened);
      assert.deepEqual(await accountsOf(again.store).getAll(keys), values);
    });

    onStore(suite, "tx used after its end is refused", async ({ store, book }) => {
      const accounts = accountsOf(store);
      await accounts.put("a", { balance: 1 });
      const ended: Transaction[] = [];
      await store.transaction((tx) => void ended.push(tx));
      await assert.rejects(
        store.transaction((tx) => {
          ended.push(tx);
          throw new Error("mine");
        }),
        /mine/,
      );
      const tail = await book.tail();
      const used = { name: "TypeError", message: /transaction has ended/ };
      for (const tx of ended) {
        await assert.rejects(tx.get(accounts, "a"), used);
        await assert.rejects(tx.getAll(accounts, ["a"]), used);
        await assert.rejects(tx.put(accounts, "a", { balance: 2 }), used);
        await assert.rejects(
          tx.update(accounts, "a", (draft) => void draft.balance++),
          used,
        );
        await assert.rejects(tx.delete(accounts, "a"), used);
        await assert.rejects(tx.find(accounts, "owner", "ada"), used);
        await assert.rejects(async () => all(tx.scan(accounts)), used);
        await assert.rejects(async () => all(tx.keys(accounts)), used);
      }
      let at: Parameters<Parameters<BokiStore["snapshot"]>[0]>[0] | undefined;
      await store.snapshot((snapshot) => void (at = snapshot));
      await assert.rejects(at!.get(accounts, "a"), used);
      assert.equal(await book.tail(), tail);
    });

    onStore(suite, "a transaction inside a transaction is refused, also later in it", async ({ store, book }) => {
      const accounts = accountsOf(store);
      const nested = { name: "TypeError", message: /inside a transaction/ };
      await store.transaction(async (tx) => {
        await assert.rejects(
          store.transaction(() => undefined),
          nested,
        );
        await tx.put(accounts, "a", { balance: 1 });
        await assert.rejects(
          transaction(book, () => undefined),
          nested,
        );
      });
      assert.deepEqual(await accounts.get("a"), { balance: 1 });
      // One after the other, and side by side, is something else.
      await Promise.all([1, 2].map((n) => store.transaction((tx) => tx.put(accounts, `k${n}`, { balance: n }))));
      assert.deepEqual(await all(accounts.keys()), ["a", "k1", "k2"]);
    });

    onStore(suite, "a transaction inside one is refused also when another has ended meanwhile", async ({ store }) => {
      const accounts = accountsOf(store);
      const begun = gate();
      const other = begun.opened.then(() => store.transaction((tx) => tx.put(accounts, "b", { balance: 2 })));
      await store.transaction(async (tx) => {
        begun.open();
        await other;
        await assert.rejects(
          store.transaction(() => undefined),
          { name: "TypeError", message: /inside a transaction/ },
        );
        await tx.put(accounts, "a", { balance: 1 });
      });
      assert.deepEqual(await all(accounts.keys()), ["a", "b"]);
    });

    onStore(suite, "what a transaction has started may run one of its own when that has ended", async ({ store }) => {
      const accounts = accountsOf(store);
      const ended = gate();
      let later: Promise<void> | undefined;
      await store.transaction(async (tx) => {
        later ??= ended.opened.then(() => store.transaction((own) => own.put(accounts, "b", { balance: 2 })));
        await tx.put(accounts, "a", { balance: 1 });
      });
      ended.open();
      await later;
      assert.deepEqual(await all(accounts.keys()), ["a", "b"]);
    });

    onStore(suite, "objects of another book or another log are refused", async (opened, bench) => {
      const accounts = accountsOf(opened.store);
      const other = await bench.another(opened);
      const { log } = opened;
      const { BokiStore: Store } = await import("../../libs/store/store.js");
      const elsewhere = new Store(log.book("elsewhere"), suite.options);
      const strangers = [accountsOf(elsewhere), accountsOf(other.store)];
      for (const stranger of strangers) {
        const failing = opened.store.transaction(async (tx) => {
          await tx.put(accounts, "a", { balance: 1 });
          await tx.put(stranger, "a", { balance: 1 });
        });
        await assert.rejects(failing, { name: "TypeError", message: /one book/ });
      }
      assert.equal(await accounts.get("a"), undefined);
      await elsewhere.close();
    });

    onStore(suite, "what one handle has written is not read or written through another", async ({ store, book }) => {
      const [first, second] = [accountsOf(store), accountsOf(store)];
      await first.put("a", { balance: 1 });
      const tail = await book.tail();
      const uses: Record<string, (tx: Transaction) => Promise<unknown>> = {
        get: (tx) => tx.get(second, "a"),
        has: (tx) => tx.has(second, "a"),
        getAll: (tx) => tx.getAll(second, ["b", "a"]),
        find: (tx) => tx.find(second, "owner", "ada"),
        scan: (tx) => all(tx.scan(second)),
        keys: (tx) => all(tx.keys(second)),
        put: (tx) => tx.put(second, "a", { balance: 3 }),
        update: (tx) => tx.update(second, "a", (draft) => void draft.balance++),
        delete: (tx) => tx.delete(second, "a"),
        "put of another": (tx) => tx.put(second, "c", { balance: 3 }),
      };
      const refused = { name: "TypeError", message: /"a" of "accounts".*one handle/ };
      for (const [name, use] of Object.entries(uses)) {
        const awaited = store.transaction(async (tx) => {
          await tx.put(first, "a", { balance: 2, owner: "ada" });
          await use(tx);
        });
        await assert.rejects(awaited, refused, name);
        const atOnce = store.transaction(async (tx) => {
          await tx.get(second, "a");
          await Promise.all([tx.update(first, "a", (draft) => void draft.balance++), use(tx)]);
        });
        await assert.rejects(atOnce, refused, name);
      }
      // A read that is refused does no harm, and those of other objects go on.
      await assert.rejects(
        store.transaction(async (tx) => {
          await tx.put(first, "a", { balance: 2 });
          await assert.rejects(tx.get(second, "a"), refused);
          assert.equal(await tx.get(second, "b"), undefined);
          throw new Error("mine");
        }),
        /mine/,
      );
      assert.equal(await book.tail(), tail);
      // What both only read, and objects that the other one has not written, are seen through both.
      await store.transaction(async (tx) => {
        const sum = (await tx.get(first, "a"))!.balance + (await tx.get(second, "a"))!.balance;
        assert.deepEqual(await all(tx.keys(second)), ["a"]);
        await tx.put(first, "b", { balance: sum });
        assert.deepEqual(await tx.get(second, "a"), { balance: 1 });
      });
      assert.deepEqual(await second.get("b"), { balance: 2 });
    });

    onStore(suite, "a plain write inside a transaction takes place at once, on its own", async ({ store }) => {
      const accounts = accountsOf(store);
      let runs = 0;
      await store.transaction(async (tx) => {
        runs++;
        await tx.update(accounts, "a", (draft) => void draft.balance++, { initial: { balance: 0 } });
        if (runs < 4) await accounts.update("a", (draft) => void (draft.balance += 100), { initial: { balance: 0 } });
        await accounts.put("b", { balance: runs });
      });
      assert.deepEqual(await accounts.getAll(["a", "b"]), [{ balance: 301 }, { balance: 4 }]);
    });

    onStore(
      suite,
      "a plain write inside does not wait for one outside that waits for the transaction",
      async ({ store }) => {
        const accounts = accountsOf(store);
        await accounts.put("a", { balance: 0 });
        const [second, outside] = [gate(), gate()];
        let runs = 0;
        const running = store.transaction(async (tx) => {
          runs++;
          await tx.update(accounts, "a", (draft) => void draft.balance++);
          if (runs === 1) await accounts.update("a", (draft) => void (draft.balance += 10));
          if (runs === 2) {
            second.open();
            await outside.opened;
            await accounts.update("a", (draft) => void (draft.balance += 100));
          }
        });
        await second.opened;
        const waiting = accounts.update("a", (draft) => void (draft.balance += 1000));
        outside.open();
        await Promise.all([running, waiting]);
        assert.deepEqual(await accounts.get("a"), { balance: 1111 });
      },
    );

    onStore(suite, "an abort ends the waiting for another attempt", async ({ store }) => {
      const accounts = accountsOf(store);
      const ending = new AbortController();
      let runs = 0;
      const failing = store.transaction(
        async (tx) => {
          runs++;
          await tx.get(accounts, "a");
          await accounts.put("a", { balance: runs });
          if (runs === 6) ending.abort();
          await tx.put(accounts, "b", { balance: runs });
        },
        { signal: ending.signal },
      );
      await assert.rejects(failing, code("LOG_ABORTED"));
      assert.equal(runs, 6);
      assert.equal(await accounts.get("b"), undefined);
    });

    onStore(suite, "`transaction(book, ...)` is the same as that of the store", async ({ store, book }) => {
      const accounts = accountsOf(store);
      await accounts.put("a", { balance: 1 });
      const given = await transaction(book, async (tx) => {
        await tx.update(accounts, "a", (draft) => void draft.balance++);
        return tx.get(accounts, "a");
      });
      assert.deepEqual(given, { balance: 2 });
      assert.deepEqual(await accounts.get("a"), { balance: 2 });
    });
  });
}
