/** A process that does transfers, 16 at a time, until it is killed. Says each one that was acknowledged, synchronously. */
import { writeSync } from "node:fs";
import { openLog } from "../../../core/index.js";
import { randomSource } from "../../../core/testing.js";
import { accountKeys, Bank } from "./transfers.js";

const [folder, round] = process.argv.slice(2) as [string, string];
const log = await openLog(`file:${folder}`);
const bank = new Bank(log.book("bank"), Number(round) % 2 === 0 ? "0s" : "1h");
const random = randomSource(Number(round));
const anyAccount = (): string => accountKeys[Math.floor(random() * accountKeys.length)]!;
await bank.open();
writeSync(1, "ready\n");

async function strand(name: number): Promise<never> {
  for (let i = 0; ; i++) {
    const id = `${round}.${name}.${i}`;
    const [from, to] = [anyAccount(), anyAccount()];
    await bank.transfer(id, { from, to, amount: 1 + Math.floor(random() * 100) });
    if (from !== to) writeSync(1, `${id}\n`);
  }
}

async function keepHouse(): Promise<never> {
  for (;;) {
    await bank.accounts.checkpoint();
    await bank.ledger.checkpoint();
    if (random() < 0.2) await log.checkpoint();
  }
}

await Promise.all([...Array.from({ length: 16 }, (_, i) => strand(i)), keepHouse()]);
