/** The ways in which a fault and a loss of power once took or changed what was acknowledged (found by test/crash/power.test.ts). */
import assert from "node:assert/strict";
import { openLog } from "../../core/index.js";
import { FaultDisk, VirtualClock } from "../../core/testing.js";
import type { Log } from "../../core/types.js";

const open = (disk: FaultDisk): Promise<Log> => openLog("file:/log", { disk, cacheBytes: 0, io: "main" });
const tags = ["t"];
const one = Buffer.from("one");

/** Runs with enough seeds for each choice of the disk. */
async function forSeeds(run: (disk: FaultDisk) => Promise<void>): Promise<void> {
  for (let seed = 0; seed < 20; seed++) await run(new FaultDisk({ seed }));
}

async function texts(log: Log): Promise<string[]> {
  const found: string[] = [];
  for await (const record of log.book("b").read()) found.push(record.text());
  return found;
}

describe("L2 a fault, and then a loss of power", () => {
  it("an opening that failed behind its rename: the next one makes the rename durable before it appends", () =>
    forSeeds(async (disk) => {
      await (await open(disk)).book("b").append(one, { tags });
      const next = disk.powerLoss();
      next.failNext("syncFolder", "EIO");
      await assert.rejects(open(next), { code: "LOG_IO" });
      await (await open(next)).book("b").append(Buffer.from("two"), { tags });
      const log = await open(next.powerLoss());
      assert.deepEqual(await texts(log), ["one", "two"]);
      await log.close();
    }));

  it("what a full disk refused is not read in place of what came after it", () =>
    forSeeds(async (disk) => {
      const log = await open(disk);
      disk.capacityBytes = disk.usedBytes + 4096;
      const input = (byte: number, size: number): { data: Buffer; tags: string[] } => ({
        data: Buffer.alloc(size, byte),
        tags,
      });
      await assert.rejects(log.book("b").appendAll([input(1, 100), input(2, 10_000)]), { code: "LOG_FULL" });
      disk.capacityBytes = Infinity;
      const { seqnum } = await log.book("b").append(Buffer.alloc(100, 3), { tags });
      assert.equal((await log.book("b").readNext({ from: seqnum }))!.data[0], 3);
      await log.close();
    }));

  it("a batch that is torn behind one that a full disk refused is a torn one, not damage", () =>
    forSeeds(async (disk) => {
      const log = await open(disk);
      const many = Array.from({ length: 20 }, () => ({ data: Buffer.alloc(2000, 1), tags }));
      disk.capacityBytes = disk.usedBytes + 8192;
      await assert.rejects(log.book("b").appendAll(many), { code: "LOG_FULL" });
      disk.capacityBytes = Infinity;
      // The write of the records, that of the zeros behind them; the sync comes no more.
      disk.cutPowerAfter(2);
      await assert.rejects(log.book("b").appendAll(many), { code: "LOG_IO", outcome: "unknown" });
      await (await open(disk.powerLoss())).close();
    }));

  it("the first batch torn twice in a row behind the mark of a clean close is a torn one, not damage", () =>
    forSeeds(async (disk) => {
      const log = await open(disk);
      await log.book("b").append(one, { tags });
      await log.close();
      const many = Array.from({ length: 20 }, () => ({ data: Buffer.alloc(2000, 1), tags }));
      for (let times = 0; times < 6; times++) {
        const again = await open(disk);
        disk.cutPowerAfter(2);
        await assert.rejects(again.book("b").appendAll(many), { code: "LOG_IO", outcome: "unknown" });
        disk = disk.powerLoss();
      }
      const last = await open(disk);
      assert.equal((await last.book("b").readNext())!.text(), "one");
      await last.close();
    }));

  it("a new segment whose folder finds no room: nothing is appended any more behind its back", () =>
    forSeeds(async (disk) => {
      const log = await open(disk);
      const book = log.book("b");
      await book.append(one, { tags });
      disk.failNext("syncFolder", "ENOSPC");
      await book.append(Buffer.alloc(5_000_000), { tags }).catch(() => undefined);
      const acknowledged = await book.append(Buffer.from("two"), { tags }).catch(() => undefined);
      await log.close();
      const again = await open(disk);
      if (acknowledged !== undefined) assert.equal((await again.book("b").readPrev())!.text(), "two");
      assert.equal((await again.book("b").readNext())!.text(), "one");
      await again.close();
    }));

  it("a mark of a clean close that was not synced is no ground for what is appended behind it", () =>
    forSeeds(async (disk) => {
      // The mark, of 32 bytes, is the last thing in its page: what is appended later does not write that page again.
      const log = await open(disk);
      await log.book("b").append(Buffer.alloc(0), { tags });
      const { logBytes } = await log.stats();
      await log.book("b").append(Buffer.alloc(4096 - 32 - 2 * logBytes), { tags });
      assert.equal((await log.stats()).logBytes, 4096 - 32);
      disk.failNext("sync", "EIO");
      await assert.rejects(log.close(), { code: "LOG_IO" });
      const again = await open(disk);
      await again.book("b").append(Buffer.from("two"), { tags });
      const last = await open(disk.powerLoss());
      assert.equal((await last.book("b").readPrev())!.text(), "two");
      await last.close();
    }));

  it("a batch that is torn behind a mark of a clean close that was not synced is a torn one, not damage", () =>
    forSeeds(async (disk) => {
      const log = await open(disk);
      await log.book("b").append(one, { tags });
      disk.failNext("sync", "EIO");
      await assert.rejects(log.close(), { code: "LOG_IO" });
      const again = await open(disk);
      const many = Array.from({ length: 20 }, () => ({ data: Buffer.alloc(2000, 1), tags }));
      // The write of the records, that of the zeros behind them; the sync comes no more.
      disk.cutPowerAfter(2);
      await assert.rejects(again.book("b").appendAll(many), { code: "LOG_IO", outcome: "unknown" });
      const last = await open(disk.powerLoss());
      assert.equal((await last.book("b").readNext())!.text(), "one");
      await last.close();
    }));

  it("a log that was opened with another durability: what one session wrote is not judged by the promise of another", () =>
    forSeeds(async (disk) => {
      const large = Buffer.alloc(9000, 1);
      const first = await open(disk);
      await first.book("b").append(one, { tags });
      await first.close();
      const second = await openLog("file:/log", { disk, cacheBytes: 0, durability: "os" });
      for (let i = 0; i < 8; i++) await second.book("b").append(large, { tags });
      const next = disk.powerLoss();
      const third = await open(next);
      assert.equal((await third.book("b").readNext())!.text(), "one");
      await third.book("b").append(Buffer.from("safe"), { tags });
      const last = await open(next.powerLoss());
      assert.equal((await last.book("b").readPrev())!.text(), "safe");
      await last.close();
    }));

  it("a close with durability os whose sync failed: what it left in memory is made safe before a safe session goes on", () =>
    forSeeds(async (disk) => {
      const first = await openLog("file:/log", { disk, cacheBytes: 0, io: "main", durability: "os" });
      // Over two pages, of which the mark is in the second.
      await first.book("b").append(Buffer.alloc(5000, 1), { tags });
      disk.failNext("sync", "EIO");
      await assert.rejects(first.close(), { code: "LOG_IO" });
      await (await open(disk)).book("b").append(Buffer.from("safe"), { tags });
      const last = await open(disk.powerLoss());
      assert.equal((await last.book("b").readPrev())!.text(), "safe");
      await last.close();
    }));

  it("a sync for a checkpoint that failed with durability os: no later sync makes what it lost count as safe", () =>
    forSeeds(async (disk) => {
      const first = await openLog("file:/log", { disk, cacheBytes: 0, io: "main", durability: "os" });
      await first.book("b").append(Buffer.alloc(5000, 1), { tags });
      disk.failNext("sync", "EIO");
      await first.checkpoint().catch(() => undefined);
      await first.close().catch(() => undefined);
      await (await open(disk)).book("b").append(Buffer.from("safe"), { tags });
      const last = await open(disk.powerLoss());
      assert.equal((await last.book("b").readPrev())!.text(), "safe");
      await last.close();
    }));

  it("L9 log time goes on behind a checkpoint when nothing follows it, though the wall clock was set back", () =>
    forSeeds(async (disk) => {
      const clock = new VirtualClock();
      const first = await openLog("file:/log", { disk, clock });
      const { time } = await first.book("b").append(one, { tags });
      await first.checkpoint();
      await first.close();
      // Its segment is new, and empty.
      await openLog("file:/log", { disk, clock, durability: "os" });
      const next = disk.kill();
      clock.setWall(clock.now() - 60_000);
      const log = await openLog("file:/log", { disk: next, clock });
      const later = await log.book("b").append(one, { tags });
      assert.ok(later.time >= time, `${later.time} comes after ${time}`);
      await log.close();
    }));

  it("an opening that cannot read a file says so by LOG_IO, whichever it is, and the next one is as good as any", async () => {
    const disk = new FaultDisk();
    const log = await open(disk);
    await log.book("b").append(one, { tags });
    await log.checkpoint();
    await log.book("b").append(Buffer.from("two"), { tags });
    await log.close();
    let failed = 0;
    for (const operation of ["open", "read", "size", "list"] as const) {
      for (let after = 0; ; after++) {
        const next = disk.kill();
        next.failNext(operation, "EIO", { after });
        const opened = await open(next).catch((error: unknown) => error);
        if (!(opened instanceof Error)) {
          await (opened as Log).close().catch(() => undefined);
          break;
        }
        assert.equal((opened as { code?: string }).code, "LOG_IO", `${operation} ${after}: ${opened.message}`);
        failed++;
        const again = await open(next);
        assert.deepEqual(await texts(again), ["one", "two"]);
        await again.close();
      }
    }
    assert.ok(failed > 8, `${failed} openings failed`);
  });
});
