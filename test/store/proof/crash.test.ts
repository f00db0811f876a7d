/** S2 under crashes: a transfer is whole or absent, and one that was acknowledged is there. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLog, type Log } from "../../../core/index.js";
import { FaultDisk, randomSource, VirtualClock } from "../../../core/testing.js";
import { accountKeys, Bank } from "./transfers.js";

const full = process.env["FULL"] === "1";
const asked = process.env["SEED"];
const transfersProcess = fileURLToPath(new URL("transfers-process.js", import.meta.url));

/** Kills the process after so many acknowledgements. */
async function runAndKill(folder: string, round: number, count: number, acknowledged: Set<string>): Promise<void> {
  const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
  const child = spawn(process.execPath, [transfersProcess, folder, String(round)], { stdio });
  const exited = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once("exit", (_code, signal) => resolve(signal)),
  );
  let left = count;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== "ready") acknowledged.add(line);
    if (left-- === 0) child.kill("SIGKILL");
  }
  assert.equal(await exited, "SIGKILL", "the process failed before it was killed");
}

describe("S2 a process that is killed during transfers", () => {
  const rounds = full ? 200 : 30;

  it(`leaves each whole or absent, and those it acknowledged, in ${rounds} rounds on one folder`, async function () {
    this.timeout(rounds * 15_000);
    const folder = mkdtempSync(join(tmpdir(), "boki-transfers-"));
    const seed = Number(asked ?? Date.now() % 1_000_000);
    const random = randomSource(seed);
    const acknowledged = new Set<string>();
    try {
      for (let round = 0; round < rounds; round++) {
        await runAndKill(folder, round, Math.floor(random() ** 2 * 300), acknowledged);
        await using log = await openLog(`file:${folder}`);
        const bank = new Bank(log.book("bank"));
        await bank.check(acknowledged);
        if (random() < 0.3) await bank.accounts.checkpoint();
        await bank.store.close();
      }
      assert.ok(acknowledged.size > 10 * rounds, `${acknowledged.size} transfers were acknowledged`);
    } catch (error) {
      (error as Error).message += ` (SEED=${seed} replays the moments of the kills)`;
      throw error;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Once the power is gone all may fail, but what was read before must be right. */
function unlessPowerWent(disk: FaultDisk): (error: unknown) => void {
  return (error) => {
    if (disk.powered || error instanceof assert.AssertionError) throw error;
  };
}

/** Several boots on one disk, each ended by a loss of power. Gives how many transfers were acknowledged. */
async function boots(seed: number, { lies = false }: { lies?: boolean } = {}): Promise<number> {
  const random = randomSource(seed);
  const clock = new VirtualClock();
  const acknowledged = new Set<string>();
  let disk = new FaultDisk({ seed: seed + 1_000_000_007, lies });
  const upTo = (count: number): number => Math.floor(random() * (count + 1));
  const anyAccount = (): string => accountKeys[upTo(accountKeys.length - 1)]!;
  const count = 2 + upTo(2);
  for (let boot = 0; boot <= count; boot++) {
    // The last boot only looks.
    if (boot < count) disk.cutPowerAfter(20 + upTo(random() < 0.5 ? 60 : 300));
    const failed = unlessPowerWent(disk);
    let log: Log | undefined;
    try {
      log = await openLog("file:/log", { disk, clock, random, io: random() < 0.5 ? "main" : "worker" });
      const bank = new Bank(log.book("bank"), "0s");
      await bank.check(acknowledged);
      if (boot < count) {
        await bank.open();
        const strand = async (name: number): Promise<void> => {
          for (let i = 0; i < 15; i++) {
            const id = `${boot}.${name}.${i}`;
            const [from, to] = [anyAccount(), anyAccount()];
            await bank.transfer(id, { from, to, amount: 1 + upTo(99) });
            if (from !== to) acknowledged.add(id);
          }
        };
        const keepHouse = async (): Promise<void> => {
          for (let i = 0; i < 10; i++) {
            await bank.accounts.checkpoint();
            await bank.ledger.checkpoint();
            if (random() < 0.3) await log!.checkpoint();
          }
        };
        const strands = Array.from({ length: 8 }, (_, i) => strand(i).catch(failed));
        await Promise.all([...strands, keepHouse().catch(failed)]);
      }
      await bank.store.close();
    } catch (error) {
      failed(error);
    }
    disk.cutPowerAfter(0);
    await log?.close().catch(() => undefined);
    disk = random() < 0.2 ? disk.kill() : disk.powerLoss();
  }
  return acknowledged.size;
}

describe("S2 power that goes during transfers, while nothing is retained and checkpoints are written", () => {
  const rounds = asked !== undefined ? 1 : full ? 1000 : 40;

  it(`leaves each whole or absent, and those that were acknowledged, in ${rounds} rounds`, async function () {
    this.timeout(rounds * 3000 + 10_000);
    const first = asked !== undefined ? Number(asked) : 1;
    let acknowledged = 0;
    for (let seed = first; seed < first + rounds; seed++) {
      try {
        acknowledged += await boots(seed);
      } catch (error) {
        throw new Error(`SEED=${seed} replays this: ${(error as Error).message}`, { cause: error });
      }
    }
    if (rounds > 1) assert.ok(acknowledged > 20 * rounds, `${acknowledged} transfers were acknowledged`);
  });

  it("is found out when the disk lies about its syncs", async function () {
    this.timeout(30_000);
    let found = 0;
    for (let seed = 1; seed <= 5; seed++) await boots(seed, { lies: true }).catch(() => found++);
    assert.ok(found >= 3, `only ${found} of 5 lying disks were found out`);
  });
});
