/**
 * The known ways in which transactions go wrong, one by one, between two sessions. Each is played a second time on a store
 * whose commits have no conditions: there it must come about, or the test would show nothing.
 */
import assert from "node:assert/strict";
import { openLog, type Log } from "../../../core/index.js";
import { BokiStore, StoreConflictError, type Collection, type Transaction } from "../../../libs/index.js";
import { tapped, withoutConditions } from "./tapped-book.js";

interface Item {
  readonly n: number;
  readonly color?: string;
}

interface Session {
  readonly log: Log;
  readonly store: BokiStore;
  readonly items: Collection<Item>;
}

const indexes = { color: ({ color }: Item) => color };
let names = 0;

async function open(url: string, broken: boolean, withIndexes = true): Promise<Session> {
  const log = await openLog(url);
  const book = log.book("b");
  const store = new BokiStore(broken ? tapped(book, withoutConditions) : book);
  return { log, store, items: store.collection<Item>("items", withIndexes ? { indexes } : {}) };
}

/** Two sessions of one log in memory. */
async function withTwo(broken: boolean, play: (a: Session, b: Session) => Promise<void>): Promise<void> {
  const url = `memory:anomalies-${process.pid}-${++names}`;
  const [a, b] = [await open(url, broken), await open(url, broken)];
  try {
    await a.items.ready();
    await b.items.ready();
    await play(a, b);
  } finally {
    for (const { store, log } of [a, b]) {
      await store.close();
      await log.close();
    }
  }
}

type Body = (tx: Transaction) => Promise<unknown>;

/** Runs two transactions so that each has read before the other one writes. Gives how often they ran. */
async function overlapped(
  [a, readA, writeA]: readonly [Session, Body, Body],
  [b, readB, writeB]: readonly [Session, Body, Body],
): Promise<number> {
  let runs = 0;
  let waiting: (() => void)[] = [];
  const meet = async (): Promise<void> => {
    // Only the first run of each waits for the other one.
    if (++runs > 2) return;
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (waiting.length === 2) for (const go of waiting.splice(0)) go();
    });
  };
  const run = ({ store }: Session, read: Body, write: Body): Promise<unknown> =>
    store.transaction(async (tx) => {
      await read(tx);
      await meet();
      await write(tx);
    });
  await Promise.all([run(a, readA, writeA), run(b, readB, writeB)]);
  waiting = [];
  return runs;
}

/** Plays it with the rule and without: `happened` says whether the anomaly came about. */
function anomaly(title: string, play: (a: Session, b: Session) => Promise<boolean>): void {
  it(title, async () => {
    let happened: boolean | undefined;
    await withTwo(false, async (a, b) => void (happened = await play(a, b)));
    assert.equal(happened, false, "it happened");
    await withTwo(true, async (a, b) => void (happened = await play(a, b)));
    assert.equal(happened, true, "it did not happen where nothing prevents it, so that this test shows nothing");
  });
}

/** Writes down how many objects are of a color, while the only one, a red one, is changed by somebody else. */
function looksUp(color: string, expected: number, change: (b: Session) => Promise<unknown>) {
  return async (a: Session, b: Session): Promise<boolean> => {
    await a.items.put("x", { n: 1, color: "red" });
    await b.store.sync();
    let changing: Promise<unknown> | undefined;
    await a.store.transaction(async (tx) => {
      const found = await tx.find(a.items, "color", color);
      // Not awaited: it is before the transaction in the log, and not known here yet.
      changing ??= change(b);
      await tx.put(a.items, "seen", { n: found.length });
    });
    await changing;
    return (await a.items.get("seen"))!.n !== expected;
  };
}

/** Counts what a look-up gives, and takes a place if there is none. */
function takeIfNone(count: (tx: Transaction, items: Collection<Item>) => Promise<number>, value: Item) {
  return async (a: Session, b: Session): Promise<boolean> => {
    const take = (session: Session, key: string): readonly [Session, Body, Body] => {
      let seen = 0;
      return [
        session,
        async (tx) => (seen = await count(tx, session.items)),
        async (tx) => (seen === 0 ? tx.put(session.items, key, value) : undefined),
      ];
    };
    await overlapped(take(a, "k1"), take(b, "k2"));
    await a.store.sync();
    const keys: string[] = [];
    for await (const key of a.items.keys({ prefix: "k" })) keys.push(key);
    return keys.length === 2;
  };
}

async function scanned(tx: Transaction, items: Collection<Item>): Promise<number> {
  let count = 0;
  for await (const _ of tx.scan(items, { prefix: "k" })) count++;
  return count;
}

describe("S1 does not happen:", () => {
  anomaly("write skew", async (a, b) => {
    await a.items.put("x", { n: 1 });
    await a.items.put("y", { n: 1 });
    await b.store.sync();
    // One of the two must stay: each is given up only while the other one is there.
    const giveUp = (session: Session, mine: string): readonly [Session, Body, Body] => {
      let sum = 0;
      const read = async (tx: Transaction): Promise<void> => {
        const [x, y] = await tx.getAll(session.items, ["x", "y"]);
        sum = x!.n + y!.n;
      };
      return [session, read, async (tx) => (sum === 2 ? tx.put(session.items, mine, { n: 0 }) : undefined)];
    };
    await overlapped(giveUp(a, "x"), giveUp(b, "y"));
    await a.store.sync();
    const [x, y] = await a.items.getAll(["x", "y"]);
    return x!.n + y!.n === 0;
  });

  anomaly("lost update", async (a, b) => {
    await a.items.put("x", { n: 0 });
    await b.store.sync();
    const add = (session: Session): readonly [Session, Body, Body] => {
      let n = 0;
      return [
        session,
        async (tx) => (n = (await tx.get(session.items, "x"))!.n),
        (tx) => tx.put(session.items, "x", { n: n + 1 }),
      ];
    };
    await overlapped(add(a), add(b));
    await a.store.sync();
    return (await a.items.get("x"))!.n === 1;
  });

  anomaly("lost update of plain updates", async (a, b) => {
    await a.items.put("x", { n: 0 });
    await b.store.sync();
    const add = ({ items }: Session): Promise<unknown> => items.update("x", (draft) => void draft.n++);
    for (let i = 0; i < 20; i++) await Promise.all([add(a), add(b)]);
    await a.store.sync();
    return (await a.items.get("x"))!.n < 40;
  });

  anomaly(
    "a phantom by absent key",
    takeIfNone(async (tx, items) => (await tx.getAll(items, ["k1", "k2"])).filter((one) => one !== undefined).length, {
      n: 1,
    }),
  );

  anomaly(
    "a phantom by index look-up",
    takeIfNone(async (tx, items) => (await tx.find(items, "color", "red")).length, { n: 1, color: "red" }),
  );

  anomaly("a phantom by scan", takeIfNone(scanned, { n: 1 }));

  anomaly(
    "an update that moves an object into what was looked up",
    looksUp("green", 1, (b) => b.items.update("x", (draft) => void (draft.color = "green"))),
  );

  anomaly(
    "a blind put over an indexed value, missed by who looked up the old one",
    looksUp("red", 0, (b) => b.items.put("x", { n: 1, color: "green" })),
  );

  anomaly(
    "a delete of an indexed value, missed by who looked it up",
    looksUp("red", 0, (b) => b.items.delete("x")),
  );

  it("an older program writes over an indexed value, and the index still finds what is there", async () => {
    const url = `memory:anomalies-${process.pid}-${++names}`;
    const newer = await open(url, false);
    const older = await open(url, false, false);
    await newer.items.put("x", { n: 1, color: "red" });
    await older.store.sync();
    await older.items.put("x", { n: 2, color: "blue" });
    await older.items.put("y", { n: 2, color: "blue" });
    await newer.store.sync();
    assert.deepEqual(await newer.items.find("color", "red"), []);
    assert.deepEqual(
      (await newer.items.find("color", "blue")).map(({ key }) => key),
      ["x", "y"],
    );
    for (const { store, log } of [newer, older]) {
      await store.close();
      await log.close();
    }
  });

  it("two objects with one unique entry, written in one transaction", async () => {
    await using log = await openLog("memory:");
    await using store = new BokiStore(log.book("b"));
    const unique = { color: { by: ({ color }: Item) => color, unique: true } };
    const items = store.collection<Item>("items", { indexes: unique });
    await items.put("x", { n: 1, color: "red" });
    for (const order of [
      ["x", "y"],
      ["y", "x"],
    ]) {
      const both = store.transaction(async (tx) => {
        for (const key of order) await tx.put(items, key, { n: 2, color: "red" });
      });
      await assert.rejects(both, { code: "STORE_UNIQUE" });
    }
    // One may take what the other one gives up.
    await store.transaction(async (tx) => {
      await tx.put(items, "y", { n: 2, color: "red" });
      await tx.put(items, "x", { n: 2, color: "blue" });
    });
    assert.deepEqual(
      (await items.find("color", "red")).map(({ key }) => key),
      ["y"],
    );
  });

  it("a long fork: two readers who see two writes in different orders", async () => {
    await withTwo(false, async (a, b) => {
      let done = false;
      const seen: { position: number; x: number; y: number }[] = [];
      const read = async ({ store, items }: Session): Promise<void> => {
        while (!done) {
          await store.snapshot(async (at) => {
            const x = (await at.get(items, "x"))?.n ?? 0;
            await new Promise((resolve) => setImmediate(resolve));
            const y = (await at.get(items, "y"))?.n ?? 0;
            seen.push({ position: at.position, x, y });
          });
        }
      };
      const write = async ({ items }: Session, key: string): Promise<void> => {
        for (let n = 1; n <= 200; n++) await items.put(key, { n });
      };
      const readers = [read(a), read(b)];
      await Promise.all([write(a, "x"), write(b, "y")]);
      done = true;
      await Promise.all(readers);
      // In the order of what they saw of x, none saw less of y.
      seen.sort((one, other) => one.x - other.x || one.y - other.y);
      seen.forEach(({ y, position }, i) => {
        if (i === 0) return;
        assert.ok(y >= seen[i - 1]!.y, "two readers disagree about the order of the writes");
        assert.ok(position >= seen[i - 1]!.position || y === seen[i - 1]!.y, "positions tell the same order");
      });
      assert.ok(new Set(seen.map(({ x, y }) => `${x} ${y}`)).size > 10, "many states were seen");
    });
  });

  it("reads at mixed positions, of open objects, closed ones, an index and a scan", async () => {
    await withTwo(false, async (a, b) => {
      const url = a.log.url;
      const keys = ["k0", "k1", "k2"];
      const all = async (session: Session, n: number): Promise<void> =>
        session.store.transaction(async (tx) => {
          for (const key of keys) void tx.put(session.items, key, { n, color: `c${n}` });
        });
      await all(a, 0);
      for (let n = 1; n <= 30; n++) {
        // A session of its own that has nothing open.
        const fresh = await open(url, false);
        const reader = n % 3 === 0 ? fresh : n % 3 === 1 ? b : a;
        await reader.items.ready();
        await reader.store.sync();
        await reader.store.snapshot(async (at) => {
          const first = (await at.get(reader.items, "k0"))!.n;
          assert.equal(first, n - 1);
          await all(n % 2 === 0 ? a : b, n);
          await reader.store.sync();
          assert.equal((await at.get(reader.items, "k1"))!.n, first);
          const found = await at.find(reader.items, "color", `c${first}`);
          assert.deepEqual(
            found.map(({ key, value }) => [key, value.n]),
            keys.map((key) => [key, first]),
          );
          assert.deepEqual(await at.find(reader.items, "color", `c${n}`), []);
          for await (const { value } of at.scan(reader.items, { prefix: "k" })) assert.equal(value.n, first);
        });
        await fresh.store.close();
        await fresh.log.close();
        await a.store.sync();
      }
    });
  });

  it("a conflict without end: attempts are bounded, and nothing is in the log", async () => {
    await withTwo(false, async (a, b) => {
      await a.items.put("x", { n: 0 });
      let runs = 0;
      const never = a.store.transaction(
        async (tx) => {
          const { n } = (await tx.get(a.items, "x"))!;
          runs++;
          await b.items.put("x", { n: n + 1 });
          await tx.put(a.items, "y", { n });
        },
        { attempts: 7 },
      );
      await assert.rejects(never, StoreConflictError);
      assert.equal(runs, 7);
      await b.store.sync();
      assert.equal(await b.items.get("y"), undefined);
    });
  });
});
