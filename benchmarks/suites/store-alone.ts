/**
 * store-alone.js memory|reads FOLDER OBJECTS: what is measured in a process of its own, of objects that are all open. Its parent
 * gets the samples as a message.
 */
import { BokiStore, openLog } from "../../libs/index.js";
import { type Account, keyOf } from "../harness/accounts.js";
import type { Sample } from "../harness/measure.js";

const [what, path, objects] = [process.argv[2], process.argv[3]!, Number(process.argv[4])];
const keys = Array.from({ length: objects }, (_, i) => keyOf(i));

// Without the log's caches, which are not a matter of objects.
const log = await openLog(`file:${path}`, { cacheBytes: 0, auxBytes: 0 });
const store = new BokiStore(log.book("bench"), { cacheBytes: 2 ** 30 });
const accounts = store.collection<Account>("accounts");
await accounts.get("absent");
const samples = what === "memory" ? await memory() : await reads();
await store.close();
await log.close();
process.send!(samples);
process.disconnect();

/** Of the heap, and of buffers outside it. */
function used(): number {
  // What is only weakly held goes with the second time.
  for (let i = 0; i < 2; i++) globalThis.gc!();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function memory(): Promise<Sample[]> {
  const before = used();
  for (const key of keys) await read(key);
  const value = (used() - before) / objects;
  return [{ case: "open object", system: "boki", metric: "memory", unit: "bytes", value }];
}

/** Awaited reads, one after the other; then again once there was a transaction: before Node 24 promises are slower while one runs. */
async function reads(): Promise<Sample[]> {
  const count = 500_000;
  const rate = async (): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < count; i++) await read(keys[(i * 7919) % objects]!);
    return (count / (performance.now() - start)) * 1000;
  };
  const sample = async (name: string): Promise<Sample> => {
    await rate();
    return { case: name, system: "boki", metric: "rate", unit: "reads/s", value: await rate() };
  };
  const first = await sample("read.open");
  await store.transaction((tx) => tx.get(accounts, keys[0]!));
  return [first, await sample("read.open after a transaction")];
}

async function read(key: string): Promise<void> {
  const account = await accounts.get(key);
  if (account?.id !== key) throw new Error(`${key} is ${account?.id}`);
}
