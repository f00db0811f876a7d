import assert from "node:assert/strict";
import type { Change } from "../../libs/store/past.js";
import type { Collection } from "../../libs/store/collection.js";
import type { BokiStore } from "../../libs/store/store.js";
import { all, code, gate, nextOf, onEveryView, onStore, take, type Suite } from "./suite.js";

interface Doc {
  n: number;
  text?: string;
}

const docsOf = (store: BokiStore): Collection<Doc> => store.collection<Doc>("docs", { indexes: { n: (doc) => doc.n } });

/** Keys and values of changes. */
const brief = (changes: readonly Change<Doc>[]): (string | number | undefined)[][] =>
  changes.map(({ key, value }) => [key, value?.n]);

export function time(suite: Suite): void {
  suite.describe("time", () => {
    onEveryView(
      suite,
      "at gives what an object was at every position, and history what it has been",
      async (store) => {
        const docs = docsOf(store);
        const versions: { seqnum: number; n: number | undefined }[] = [];
        const note = async (n: number | undefined): Promise<void> => {
          versions.push({ seqnum: (await store.book.tail()) - 1, n });
        };
        await docs.put("other", { n: 1 });
        for (let n = 0; n < 40; n++) {
          if (n % 11 === 10) {
            await docs.delete("d");
            await note(undefined);
          } else if (n % 11 === 0) {
            await docs.put("d", { n, text: "x".repeat(2000) });
            await note(n);
          } else {
            await docs.update("d", (draft) => void (draft.n = n));
            await note(n);
          }
          if (n % 4 === 0) await docs.put("other", { n });
        }
        return versions;
      },
      async (store, versions) => {
        const docs = docsOf(store);
        const tail = await store.book.tail();
        for (let seqnum = 0; seqnum < tail + 3; seqnum += seqnum < 5 ? 1 : 3) {
          const expected = versions.findLast((version) => version.seqnum <= seqnum)?.n;
          assert.equal((await docs.at("d", seqnum))?.n, expected, `at ${seqnum}`);
        }
        assert.equal(await docs.at("never", tail), undefined);
        const history = await all(docs.history("d"));
        assert.deepEqual(
          history.map(({ seqnum, value }) => ({ seqnum, n: value?.n })),
          versions,
        );
        for (const [i, { time }] of history.entries()) assert.ok(i === 0 || time >= history[i - 1]!.time);
        assert.deepEqual(await all(docs.history("never")), []);
        const [from, to] = [versions[12]!.seqnum, versions[20]!.seqnum];
        assert.deepEqual(
          (await all(docs.history("d", { from, to }))).map(({ value }) => value?.n),
          versions.slice(12, 21).map(({ n }) => n),
        );
      },
    );

    onStore(suite, "a transaction, a snapshot and `at` agree at one position", async ({ store }) => {
      const docs = docsOf(store);
      await docs.put("d", { n: 1 });
      await store.snapshot(async (at) => {
        await docs.put("d", { n: 2 });
        assert.deepEqual(await docs.at("d", at.position), await at.get(docs, "d"));
        assert.deepEqual(await docs.at("d", at.position + 1), { n: 2 });
      });
    });

    onStore(suite, "watch gives every change in order, also those to come, from any session", async (opened, bench) => {
      const docs = docsOf(opened.store);
      const other = docsOf((await bench.another(opened)).store);
      await docs.put("a", { n: 1, text: "x".repeat(500) });
      await docs.update("a", (draft) => void (draft.n = 2));
      await opened.store.collection("others").put("x", 1);
      const started = gate();
      const watching = (async () => {
        const changes: Change<Doc>[] = [];
        for await (const change of other.watch({ from: 0 })) {
          changes.push(change);
          if (changes.length === 2) started.open();
          if (changes.length === 8) break;
        }
        return changes;
      })();
      await started.opened;
      await docs.delete("a");
      await opened.store.transaction(async (tx) => {
        await tx.put(docs, "c", { n: 4 });
        await tx.put(docs, "b", { n: 3 });
      });
      await docs.update("b", (draft) => void (draft.n = 5));
      await other.update("c", (draft) => void (draft.text = "new"));
      await docs.put("a", { n: 6 });
      const changes = await watching;
      assert.deepEqual(brief(changes), [
        ["a", 1],
        ["a", 2],
        ["a", undefined],
        ["c", 4],
        ["b", 3],
        ["b", 5],
        ["c", 4],
        ["a", 6],
      ]);
      assert.ok(Object.isFrozen(changes[1]!.value));
      assert.equal(changes[3]!.seqnum, changes[4]!.seqnum);
      assert.deepEqual(await docs.at("a", changes[1]!.seqnum), changes[1]!.value);
      assert.equal(changes[6]!.value!.text, "new");
    });

    onStore(
      suite,
      "watch goes on behind any cursor, also within a transaction, and after reopening",
      async (opened, bench) => {
        const docs = docsOf(opened.store);
        await docs.put("a", { n: 1, text: "x".repeat(500) });
        await opened.store.transaction(async (tx) => {
          for (const [n, key] of ["b", "c", "a"].entries())
            await tx.put(docs, key, { n: 10 + n, text: "y".repeat(500) });
          await tx.put(opened.store.collection("others"), "x", 1);
        });
        for (let n = 20; n < 24; n++) await docs.update("a", (draft) => void (draft.n = n));
        await docs.delete("b");
        const every = await take(9, docs.watch({ from: 0 }));
        const again = docsOf((await bench.reopen(opened)).store);
        for (let i = 0; i < 9; i++) {
          const rest = await take(8 - i, again.watch({ after: every[i]!.cursor }));
          assert.deepEqual(rest, every.slice(i + 1));
          assert.deepEqual(await take(1, again.watch({ from: every[i]!.seqnum })), [
            every.find(({ seqnum }) => seqnum === every[i]!.seqnum),
          ]);
        }
      },
    );

    onStore(suite, "watch begins with what comes from now on, unless told otherwise", async ({ store }) => {
      const docs = docsOf(store);
      await docs.put("a", { n: 1 });
      const watching = docs.watch();
      const next = nextOf(watching);
      await store.sync();
      await docs.put("b", { n: 2 });
      assert.equal((await next).key, "b");
      await watching.return!();
      await docs.put("c", { n: 3 });
    });

    onStore(
      suite,
      "a watch neither skips nor repeats while many write and it is resumed again and again",
      async (opened, bench) => {
        const docs = docsOf(opened.store);
        const other = await bench.another(opened);
        const count = 120;
        const writing = [opened, other].map(async ({ store }, s) => {
          const own = docsOf(store);
          for (let i = 0; i < count / 4; i++) {
            await own.update(`k${i % 5}`, (draft) => void draft.n++, { initial: { n: 0, text: "x".repeat(300) } });
            await store.transaction((tx) => tx.put(own, `s${s}`, { n: i }));
          }
        });
        const seen: Change<Doc>[] = [];
        while (seen.length < count) {
          const after = seen.at(-1)?.cursor;
          const some = docs.watch(after === undefined ? { from: 0 } : { after });
          seen.push(...(await take(Math.min(13, count - seen.length), some)));
        }
        await Promise.all(writing);
        await opened.store.sync();
        for (let k = 0; k < 5; k++) {
          const values = seen.filter(({ key }) => key === `k${k}`).map(({ value }) => value!.n);
          assert.deepEqual(
            values,
            values.map((_, i) => i + 1),
          );
        }
        assert.deepEqual(
          seen.filter(({ key }) => key === "s1").map(({ value }) => value!.n),
          Array.from({ length: count / 4 }, (_, i) => i),
        );
      },
    );

    onStore(suite, "an abort ends a watch that waits, and one that does not", async ({ store }) => {
      const docs = docsOf(store);
      await docs.put("a", { n: 1 });
      const ending = new AbortController();
      const reason = new Error("mine");
      const watching = docs.watch({ from: 0, signal: ending.signal });
      assert.equal((await nextOf(watching)).key, "a");
      const next = nextOf(watching);
      ending.abort(reason);
      await assert.rejects(next, (error: Error) => code("LOG_ABORTED")(error) && error.cause === reason);
      await assert.rejects(all(docs.watch({ from: 0, signal: ending.signal })), code("LOG_ABORTED"));
      await assert.rejects(all(docs.history("a", { signal: ending.signal })), code("LOG_ABORTED"));
      await docs.put("b", { n: 2 });
    });

    onStore(
      suite,
      "building an index, and what changes only an expiry, are no changes to a watcher",
      async ({ store }) => {
        const plain = store.collection<Doc>("docs");
        await plain.put("a", { n: 1 });
        await docsOf(store).ready();
        await plain.update("a", () => undefined, { expiresIn: "1h" });
        await plain.put("b", { n: 2 });
        assert.deepEqual(brief(await take(2, plain.watch({ from: 0 }))), [
          ["a", 1],
          ["b", 2],
        ]);
        assert.equal((await all(plain.history("a"))).length, 1);
      },
    );

    onStore(suite, "watch, at and history refuse what they do not know", async ({ store }) => {
      const docs = docsOf(store);
      await docs.put("a", { n: 1 });
      const first = (options: object): Promise<unknown> => take(1, docs.watch(options));
      await assert.rejects(first({ from: 1, after: "1.1" }), { name: "TypeError", message: /from or after/ });
      await assert.rejects(first({ after: "x" }), { name: "TypeError", message: /cursor/ });
      await assert.rejects(first({ after: 5 }), { name: "TypeError", message: /cursor/ });
      await assert.rejects(first({ from: -1 }), RangeError);
      await assert.rejects(first({ since: 1 }), { name: "TypeError", message: /since/ });
      await assert.rejects(docs.at("a", 1.5), RangeError);
      await assert.rejects(docs.at("", 1), RangeError);
      await assert.rejects(all(docs.history("a", { from: -1 })), RangeError);
      await assert.rejects(all(docs.history("a", { limit: 1 } as never)), { name: "TypeError", message: /limit/ });
    });
  });
}
