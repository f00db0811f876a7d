/** Power that goes at any call of the disk, over and over, under a log that is kept busy. */
import assert from "node:assert/strict";
import { verify } from "../../core/index.js";
import type { FaultDisk } from "../../core/testing.js";
import { decodeHeader, headerBytes, segmentNumber } from "../../core/loglet/file/header.js";
import { BusyLog, runSome } from "./busy-log.js";
import type { Call } from "./history.js";

/** Several boots on one disk, each ended by a loss of power. Throws if the log breaks a promise. */
async function round(seed: number, lies = false): Promise<BusyLog> {
  const busy = new BusyLog(seed, lies);
  for (let boots = 2 + busy.upTo(4); boots > 0; boots--) {
    // In the middle of the opening, in the middle of the work, or when all is quiet.
    if (busy.random() < 0.85) busy.disk.cutPowerAfter(busy.upTo(busy.oneOf([20, 100, 400, 1500])));
    if (await busy.open()) {
      await runSome(busy, 3 + busy.upTo(50));
      if (busy.random() < 0.3) await busy.close();
    }
    busy.disk.cutPowerAfter(0);
    await busy.close();
    // Now and then only the process is gone, and the next one finds what it wrote, synced or not.
    busy.disk = busy.random() < 0.25 ? busy.disk.kill() : busy.disk.powerLoss();
    busy.faulty = false;
    if (busy.random() < 0.1 && busy.disk.list("/").includes("log")) await verifies(busy.disk);
  }
  // What the last boot found is there for good.
  for (let again = 0; again < 2; again++) {
    assert.ok(await busy.open());
    await busy.close();
    busy.disk = busy.disk.powerLoss();
  }
  return busy;
}

/** What a crash has left is no damage. */
async function verifies(disk: FaultDisk): Promise<void> {
  if (!disk.list("/log").some((name) => segmentNumber(name) !== undefined)) return;
  const { ok, damage } = await verify("/log", { disk });
  assert.ok(ok, `verify finds damage: ${damage.map(({ file, what }) => `${file}: ${what}`).join(", ")}`);
}

/** What happened to the files of a log. */
function lookAt(disk: FaultDisk): { many: boolean; removed: boolean; rewritten: boolean } {
  const numbers = disk.list("/log").flatMap((name) => segmentNumber(name) ?? []);
  const rewritten = disk.list("/log").some((name) => {
    if (segmentNumber(name) === undefined) return false;
    const file = disk.open(`/log/${name}`, "read");
    const page = Buffer.alloc(headerBytes);
    disk.read(file, page, headerBytes, 0);
    disk.close(file);
    return decodeHeader(page, name)!.sparse;
  });
  return { many: numbers.length > 1, removed: numbers[0]! > 1, rewritten };
}

describe("L2 L3 L6 power that goes while a log is at work and gives room back", () => {
  const asked = process.env["SEED"];
  const rounds = asked !== undefined ? 1 : process.env["FULL"] === "1" ? 10_000 : 500;

  it(`loses nothing, brings nothing back and forgets no condition, in ${rounds} rounds`, async function () {
    this.timeout(rounds * 1000 + 10_000);
    const first = asked !== undefined ? Number(asked) : 1;
    const seen = { there: 0, refused: 0, none: 0, gone: 0 } as Record<Call["state"], number>;
    const trims = { there: 0, none: 0, gone: 0 } as Record<string, number>;
    const files = { many: 0, removed: 0, rewritten: 0 };
    for (let seed = first; seed < first + rounds; seed++) {
      try {
        const { history, disk } = await round(seed);
        for (const { state } of history.calls) seen[state]++;
        for (const { state } of history.trims) trims[state]!++;
        const found = lookAt(disk);
        for (const what of ["many", "removed", "rewritten"] as const) if (found[what]) files[what]++;
      } catch (error) {
        throw new Error(`SEED=${seed} replays this: ${(error as Error).message}`, { cause: error });
      }
    }
    if (rounds === 1) return;
    for (const [state, count] of Object.entries(seen)) assert.ok(count > rounds, `${count} calls ended as ${state}`);
    for (const [state, count] of Object.entries(trims))
      assert.ok(count > rounds / 10, `${count} trims ended as ${state}`);
    for (const [what, count] of Object.entries(files)) assert.ok(count > rounds / 10, `${count} logs had ${what}`);
  });

  it("is found out when the disk lies about its syncs", async () => {
    let found = 0;
    for (let seed = 1; seed <= 10; seed++) await round(seed, true).catch(() => found++);
    assert.ok(found >= 5, `only ${found} of 10 lying disks were found out`);
  });
});
