/** Stores that were closed and are opened again: how soon the first object and all keys are there, and what old objects cost. */
import { BokiStore, type Log, openLog } from "../../libs/index.js";
import { type Account, accountOf, keyOf } from "../harness/accounts.js";
import { type Sample, spread } from "../harness/measure.js";

/** A store on disk, and how many objects it has. */
export interface Filled {
  readonly path: string;
  readonly objects: number;
}

const open = (path: string): Promise<Log> => openLog(`file:${path}`, { durability: "os" });
const inFlight = 256;

/** Accounts, each put by a commit of its own. */
export async function fillMany({ path, objects }: Filled): Promise<void> {
  const log = await open(path);
  const store = new BokiStore(log.book("bench"));
  const accounts = store.collection<Account>("accounts");
  let next = 0;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next < objects) {
        const i = next++;
        const key = keyOf(i);
        await accounts.put(key, accountOf(key, i));
      }
    }),
  );
  await store.close();
  await log.close();
}

/** From nothing to the first object, and from there to all keys. */
export async function reopening({ path, objects }: Filled): Promise<Sample[]> {
  const start = performance.now();
  const log = await open(path);
  const store = new BokiStore(log.book("bench"));
  const accounts = store.collection<Account>("accounts");
  const key = keyOf(objects >> 1);
  const account = await accounts.get(key);
  const first = performance.now();
  if (account?.id !== key) throw new Error(`${key} is ${account?.id}`);
  let keys = 0;
  for await (const _ of accounts.keys()) keys++;
  const all = performance.now();
  if (keys !== objects) throw new Error(`${keys} keys of ${objects}`);
  await store.close();
  await log.close();
  const sample = (metric: string, value: number): Sample => ({
    case: `reopen${objects}`,
    system: "boki",
    metric,
    unit: "ms",
    value,
  });
  return [sample("first read", first - start), sample("all keys", all - first)];
}

const oldKey = (i: number): string => `old${i}`;
const youngKey = (i: number): string => `young${i}`;
const [oldUpdates, youngUpdates] = [10_000, 10];

/** Old objects with 10,000 updates, and beside each, at the same places in the log, a young one with 10. */
export async function fillCold({ path, objects }: Filled): Promise<void> {
  const log = await open(path);
  const store = new BokiStore(log.book("bench"));
  const accounts = store.collection<Account>("accounts");
  const update = (key: string): Promise<Account> => accounts.update(key, (account) => void account.changes++);
  await Promise.all(
    Array.from({ length: objects }, async (_, i) => {
      for (const key of [oldKey(i), youngKey(i)]) await accounts.put(key, accountOf(key, i));
      for (let n = 1; n <= oldUpdates; n++) {
        await update(oldKey(i));
        if (n % (oldUpdates / youngUpdates) === 0) await update(youngKey(i));
      }
      // Not all have been written whole equally long ago.
      for (let n = 0; n < i % 5; n++) for (const key of [oldKey(i), youngKey(i)]) await update(key);
    }),
  );
  await store.close();
  await log.close();
}

/** The first read of each, in a log that was just opened: nothing is in its caches. */
export async function coldReads({ path, objects }: Filled): Promise<Sample[]> {
  const log = await open(path);
  const store = new BokiStore(log.book("bench"));
  const accounts = store.collection<Account>("accounts");
  await accounts.get("absent");
  const read = async (key: string, changes: number): Promise<number> => {
    const start = performance.now();
    const account = await accounts.get(key);
    const us = (performance.now() - start) * 1000;
    if (account?.changes !== changes) throw new Error(`${key} has ${account?.changes} changes, of ${changes}`);
    return us;
  };
  const old: number[] = [];
  const young: number[] = [];
  for (let i = 0; i < objects; i++) {
    const ofOld = async (): Promise<unknown> => old.push(await read(oldKey(i), oldUpdates + (i % 5)));
    const ofYoung = async (): Promise<unknown> => young.push(await read(youngKey(i), youngUpdates + (i % 5)));
    // In turns, for the record of one may be read with that of the other.
    for (const one of i % 2 === 0 ? [ofOld, ofYoung] : [ofYoung, ofOld]) await one();
  }
  await store.close();
  await log.close();
  return [
    { case: "cold10k", system: "boki", metric: "p50", unit: "us", value: spread(old).median },
    { case: "cold10", system: "boki", metric: "p50", unit: "us", value: spread(young).median },
  ];
}
