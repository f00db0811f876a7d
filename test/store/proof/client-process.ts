/**
 * A process that runs random transactions and transfers through a server until it is told to stop. Sends the id of each transfer
 * that was acknowledged, and at the end what its sessions did and saw. Nothing may fail.
 */
import { once } from "node:events";
import { openLog } from "../../../core/index.js";
import { randomSource } from "../../../core/testing.js";
import type { Ran } from "./model.js";
import { Sessions } from "./sessions.js";
import { accountKeys, Bank } from "./transfers.js";

export type Said = { readonly transfer: string } | { readonly history: readonly Ran[] };

const [url, name, seed] = process.argv.slice(2) as [string, string, string];
const say = (said: Said): void => void process.send!(said);
const random = randomSource(Number(seed));
const anyAccount = (): string => accountKeys[Math.floor(random() * accountKeys.length)]!;
// One of them keeps house all the time, so that the others miss commits.
const retain = name === "0" ? "0s" : "1h";
let isRunning = true;
void once(process, "message").then(() => (isRunning = false));

const log = await openLog(url);
const bank = new Bank(log.book("bank"), retain);
await bank.open();
const sessions = new Sessions({
  url: () => url,
  sessions: 1,
  random,
  // The checkers know none.
  deletes: false,
  first: 1_000_000 * Number(name),
  retain: retain === "0s" ? "0s" : "forever",
});
await sessions.open();

async function transfer(strand: number): Promise<void> {
  for (let i = 0; isRunning; i++) {
    const id = `${name}.${strand}.${i}`;
    const [from, to] = [anyAccount(), anyAccount()];
    await bank.transfer(id, { from, to, amount: 1 + Math.floor(random() * 100) });
    if (from !== to) say({ transfer: id });
  }
}

async function keepHouse(): Promise<void> {
  while (isRunning && retain === "0s") {
    await bank.accounts.checkpoint();
    await bank.ledger.checkpoint();
  }
}

async function transact(): Promise<void> {
  while (isRunning) await sessions.run(3, 5);
}

await Promise.all([...Array.from({ length: 4 }, (_, strand) => transfer(strand)), keepHouse(), transact()]);
await sessions.close();
await bank.store.close();
await log.close();
process.send!({ history: sessions.history } satisfies Said, () => process.disconnect());
