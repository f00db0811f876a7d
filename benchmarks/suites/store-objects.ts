/** Objects of a store that stays open: reads of open and of closed ones, one that all want to change, and what they take. */
import { fork } from "node:child_process";
import { rmSync } from "node:fs";
import { BokiStore, openLog } from "../../libs/index.js";
import { type Account, accountOf, keyOf } from "../harness/accounts.js";
import { type Sample, spread } from "../harness/measure.js";
import { closedLoop, samplesOf } from "../harness/workload.js";
import type { Filled } from "./store-reopened.js";

interface Page {
  readonly text: string;
  readonly changes: number;
}

/** So many updates lie behind the last whole value of each object. */
const updates = 12;

/** Objects of 2 KiB with a dozen updates: read for the first time, closed, read again with the snapshot that this left. */
export async function readClosed(folder: string, objects: number): Promise<Sample[]> {
  const path = `${folder}/closed`;
  const log = await openLog(`file:${path}`, { durability: "os" });
  const book = log.book("bench");
  const keys = Array.from({ length: objects }, (_, i) => `page:${i}`);
  const writer = new BokiStore(book);
  const pages = writer.collection<Page>("pages");
  await Promise.all(
    keys.map(async (key) => {
      await pages.put(key, { text: "x".repeat(2048), changes: 0 });
      for (let n = 0; n < updates; n++) await pages.update(key, (page) => void page.changes++);
    }),
  );
  await writer.close();
  const read = async (): Promise<number> => {
    const reader = new BokiStore(book);
    const closed = reader.collection<Page>("pages");
    await closed.get("absent");
    const times: number[] = [];
    for (const key of keys) {
      const start = performance.now();
      const page = await closed.get(key);
      times.push((performance.now() - start) * 1000);
      if (page?.changes !== updates) throw new Error(`${key} has ${page?.changes} changes, of ${updates}`);
    }
    await reader.close();
    return spread(times).median;
  };
  const first = await read();
  let snapshots = 0;
  for await (const { aux } of book.read({ head: true })) if (aux !== undefined) snapshots++;
  if (snapshots !== objects) throw new Error(`${snapshots} snapshots of ${objects} objects`);
  const again = await read();
  await log.close();
  rmSync(path, { recursive: true });
  return [
    { case: "read.closed", system: "boki", metric: "p50", unit: "us", value: first },
    { case: "read.closed with aux", system: "boki", metric: "p50", unit: "us", value: again },
  ];
}

/** One object, changed by one writer and by eight at once. */
export async function hotObject(folder: string, ms: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const writers of [1, 8]) {
    const path = `${folder}/hot`;
    const log = await openLog(`file:${path}`);
    const store = new BokiStore(log.book("bench"));
    const accounts = store.collection<Account>("accounts");
    const key = keyOf(0);
    await accounts.put(key, accountOf(key, 0));
    const measured = await closedLoop(writers, ms, () => accounts.update(key, (account) => void account.changes++));
    const changes = (await accounts.get(key))?.changes;
    if (changes !== measured.ops) throw new Error(`${changes} changes of ${measured.ops} that were acknowledged`);
    await store.close();
    await log.close();
    rmSync(path, { recursive: true });
    samples.push(...samplesOf(`hot${writers}`, "boki", measured, "updates/s"));
  }
  return samples;
}

/** What store-alone.ts measures, of the first objects of a store. */
export async function alone(what: "memory" | "reads", { path, objects }: Filled): Promise<Sample[]> {
  const args = [what, path, String(objects)];
  const child = fork(new URL("store-alone.js", import.meta.url), args, { execArgv: ["--expose-gc"] });
  return new Promise((resolve, reject) => {
    child.once("message", (samples) => resolve(samples as Sample[]));
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the process that measures ${what} ended with ${code}`)));
  });
}
