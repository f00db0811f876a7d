/** What comes at an awkward moment: checkpoints and trims under a transaction, definitions under a write, the end of a store. */
import assert from "node:assert/strict";
import { openLog, type Log } from "../../../core/index.js";
import { BokiStore, type Collection } from "../../../libs/index.js";
import { tapped, type Taps } from "./tapped-book.js";
import { turn } from "./sessions.js";

interface Item {
  readonly n: number;
}

interface Session {
  readonly log: Log;
  readonly store: BokiStore;
  readonly items: Collection<Item>;
}

let names = 0;
const newUrl = (): string => `memory:late-${process.pid}-${++names}`;
const byN = { n: ({ n }: Item) => n };

interface Opening {
  readonly indexed?: boolean;
  readonly taps?: Taps;
  /** Every value waits for it. */
  readonly validate?: () => Promise<void>;
}

async function open(url: string, { indexed = true, taps = {}, validate }: Opening = {}): Promise<Session> {
  const log = await openLog(url);
  const store = new BokiStore(tapped(log.book("b"), taps));
  const check = async (value: unknown): Promise<{ value: Item }> => {
    await validate!();
    return { value: value as Item };
  };
  const schema = { "~standard": { version: 1, vendor: "test", validate: check } } as const;
  const options = { ...(indexed ? { indexes: byN } : {}), ...(validate === undefined ? {} : { schema }) };
  return { log, store, items: store.collection<Item>("items", { retain: "0s", ...options }) };
}

async function close(...sessions: readonly Session[]): Promise<void> {
  for (const { store, log } of sessions) {
    await store.close();
    await log.close();
  }
}

async function keysOf(items: Collection<Item>): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of items.keys()) keys.push(key);
  return keys;
}

const found = async (items: Collection<Item>, n: number): Promise<string[]> =>
  (await items.find("n", n)).map(({ key }) => key);

describe("S1 a checkpoint by another session under a transaction", () => {
  /** b has begun a transaction; a has changed, checkpointed and trimmed meanwhile. */
  async function under(body: (b: Session, change: () => Promise<void>) => Promise<void>): Promise<void> {
    const url = newUrl();
    const a = await open(url);
    await a.items.put("x", { n: 1 });
    await a.items.put("y", { n: 1 });
    await a.items.put("y", { n: 2 });
    await a.items.put("w", { n: 5 });
    const b = await open(url);
    let changes = 0;
    const change = async (): Promise<void> => {
      if (changes++ > 0) return;
      await a.items.put("y", { n: 3 });
      await a.items.delete("x");
      await a.items.put("z", { n: 1 });
      await a.items.checkpoint();
    };
    await body(b, change);
    await close(a, b);
  }

  it("runs it again where it wants to read what is trimmed", async () => {
    await under(async ({ store, items }, change) => {
      const seen = await store.transaction(async (tx) => {
        await change();
        return [await tx.get(items, "x"), await tx.get(items, "y")];
      });
      assert.deepEqual(seen, [undefined, { n: 3 }]);
    });
  });

  it("runs it again where it wants to scan or find what is not known any more", async () => {
    await under(async ({ store, items }, change) => {
      const keys = await store.transaction(async (tx) => {
        await change();
        const keys: string[] = [];
        for await (const key of tx.keys(items)) keys.push(key);
        return keys;
      });
      assert.deepEqual(keys, ["w", "y", "z"]);
    });
    await under(async ({ store, items }, change) => {
      const found = await store.transaction(async (tx) => {
        await change();
        return tx.find(items, "n", 1);
      });
      assert.deepEqual(
        found.map(({ key }) => key),
        ["z"],
      );
    });
  });

  it("leaves no entry of an index behind where it writes", async () => {
    await under(async ({ store, items }, change) => {
      await store.transaction(async (tx) => {
        await change();
        await tx.put(items, "w", { n: 7 });
      });
      assert.deepEqual(await found(items, 5), []);
      assert.deepEqual(await found(items, 7), ["w"]);
      await items.put("w", { n: 8 });
      assert.deepEqual(await found(items, 7), []);
      assert.deepEqual(await found(items, 8), ["w"]);
    });
  });

  // y is what changes first: its stream is trimmed up to the very position of the snapshot.
  for (const key of ["x", "y"]) {
    it(`ends a snapshot that wants to read what is trimmed with LOG_TRIMMED (${key})`, async () => {
      await under(async ({ store, items }, change) => {
        await store.sync();
        const late = store.snapshot(async (at) => {
          await change();
          return at.get(items, key);
        });
        await assert.rejects(late, { code: "LOG_TRIMMED" });
      });
    });
  }
});

describe("K1 keys that are loaded while another session checkpoints and trims", () => {
  it("are all there", async () => {
    const url = newUrl();
    const a = await open(url);
    for (let i = 0; i < 50; i++) await a.items.put(`k${String(i).padStart(2, "0")}`, { n: i % 5 });
    let interrupted = 0;
    const taps: Taps = {
      // Between the look for a checkpoint and the first record, and between two records.
      read: async function* ({ tag }, next) {
        if (tag === "$c/items" && interrupted++ === 0) await a.items.checkpoint();
        for await (const record of next()) {
          if (tag === "$c/items" && interrupted++ === 5) {
            await a.items.put("late", { n: 1 });
            await a.items.checkpoint();
          }
          yield record;
        }
      },
    };
    const b = await open(url, { indexed: false, taps });
    const keys = await keysOf(b.items);
    assert.ok(interrupted > 0);
    assert.deepEqual(
      keys.filter((key) => key !== "late"),
      await keysOf(a.items).then((all) => all.filter((key) => key !== "late")),
    );
    assert.equal(keys.length >= 50, true);
    await b.store.sync();
    assert.deepEqual(await keysOf(b.items), await keysOf(a.items));
    await close(a, b);
  });
});

describe("K1 keys of a book that was trimmed by its owner", () => {
  it("are those that are left", async () => {
    const url = newUrl();
    const a = await open(url);
    for (const key of ["x", "y"]) await a.items.put(key, { n: 1 });
    const book = a.log.book("b");
    await book.trim({ upTo: (await book.tail()) - 1 });
    await a.items.put("z", { n: 1 });
    const b = await open(url, { indexed: false });
    assert.deepEqual(await keysOf(b.items), ["z"]);
    await close(a, b);
  });
});

describe("an index that another session defines while a write is under way", () => {
  it("has the entry of the write", async () => {
    const url = newUrl();
    let defined: Promise<void> = Promise.resolve();
    // A schema that takes its time, until there is the index.
    const older = await open(url, { indexed: false, validate: () => defined });
    await older.items.put("x", { n: 1 });
    const newer = await open(url);
    defined = newer.items.ready();
    await Promise.all([
      older.items.put("x", { n: 2 }),
      older.items.put("y", { n: 2 }),
      older.store.transaction((tx) => tx.put(older.items, "z", { n: 2 })),
    ]);
    await newer.store.sync();
    assert.deepEqual(await found(newer.items, 1), []);
    assert.deepEqual(await found(newer.items, 2), ["x", "y", "z"]);
    await close(older, newer);
  });
});

describe("a store that is closed while writes are under way", () => {
  it("loses none that was acknowledged, and writes over nothing", async () => {
    for (let after = 0; after < 20; after++) {
      const url = newUrl();
      const a = await open(url, { indexed: after % 2 === 0 });
      const b = await open(url, { indexed: after % 2 === 0 });
      await a.items.put("x", { n: 0 });
      await b.store.sync();
      let acknowledged = 0;
      let unknown = 0;
      const add = async ({ store, items }: Session, inTransaction: boolean): Promise<void> => {
        for (let i = 0; i < 10; i++) {
          try {
            if (inTransaction) await store.transaction((tx) => tx.update(items, "x", (draft) => void draft.n++));
            else await items.update("x", (draft) => void draft.n++);
            acknowledged++;
          } catch (error) {
            assert.equal((error as { code?: string }).code, "STORE_CLOSED");
            unknown++;
            return;
          }
        }
      };
      const adding = [add(a, true), add(a, false), add(a, true), add(b, true), add(b, false)];
      for (let i = 0; i < after; i++) await turn();
      await a.store.close();
      await Promise.all(adding);
      await b.store.sync();
      const { n } = (await b.items.get("x"))!;
      assert.ok(
        n >= acknowledged && n <= acknowledged + unknown,
        `${acknowledged} were acknowledged, and ${n} are there`,
      );
      await close(b);
      await a.log.close();
    }
  });
});

describe("a plain write inside a transaction", () => {
  it("waits for nobody who waits for the transaction", async () => {
    const url = newUrl();
    const a = await open(url);
    const b = await open(url);
    await a.items.put("x", { n: 0 });
    await b.store.sync();
    let runs = 0;
    let others: Promise<unknown> = Promise.resolve();
    let start!: () => void;
    const started = new Promise<void>((resolve) => (start = resolve));
    // Not inside the transaction: it waits for its turn.
    const outside = started.then(() => a.items.update("x", (draft) => void (draft.n += 100)));
    await a.store.transaction(async (tx) => {
      runs++;
      await tx.update(a.items, "x", (draft) => void draft.n++);
      // Refused the first time, it has the turn of x from then on.
      if (runs === 1) await b.items.put("x", { n: 10 });
      if (runs === 2) {
        start();
        await turn();
        others = a.items.update("y", (draft) => void draft.n++, { initial: { n: 0 } });
        await a.items.update("x", (draft) => void (draft.n += 1000));
      }
    });
    await Promise.all([outside, others]);
    assert.equal((await a.items.get("x"))!.n, 1111);
    await close(a, b);
  });
});
