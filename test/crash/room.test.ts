/** Power that goes while checkpoints are written and room is given back, in a log of small segments. */
import assert from "node:assert/strict";
import type { Session } from "../../core/log.js";
import { FaultDisk, randomSource, VirtualClock } from "../../core/testing.js";
import { openOn } from "../loglet/on-disk.js";

const tags = ["t"];
const segmentSizes = { min: 65_536, max: 131_072 };

/** What is known of one book: what was acknowledged, and up to where it is trimmed. */
class Known {
  readonly texts = new Map<number, string>();
  trimmed = 0;
  /** A trim whose outcome is not known yet. */
  trimming = 0;
  #count = 0;

  next(): string {
    return String(++this.#count);
  }

  async check(log: Session): Promise<void> {
    const book = log.book("b");
    const found = new Map<number, string>();
    for await (const record of book.read()) found.set(record.seqnum, record.text());
    const gone = [...this.texts.keys()].filter((seqnum) => !found.has(seqnum));
    if (gone.some((seqnum) => seqnum > this.trimmed && seqnum <= this.trimming)) this.trimmed = this.trimming;
    this.trimming = 0;
    for (const [seqnum, text] of this.texts) {
      if (seqnum <= this.trimmed) assert.ok(!found.has(seqnum), `L6 ${seqnum} was trimmed and is there`);
      else assert.equal(found.get(seqnum), text, `L2 ${seqnum} was acknowledged`);
    }
    const last = Math.max(0, ...this.texts.keys());
    if (last === 0) return;
    const unless = [{ tag: "t", after: last - 1 }];
    const result = await book.append(Buffer.alloc(0), { tags: ["condition"], unless });
    assert.equal(result.ok, false, "L3 a condition knows the last record, trimmed or not");
  }

  async work(log: Session, random: () => number, disk?: FaultDisk): Promise<void> {
    const book = log.book("b");
    for (let left = 1 + Math.floor(random() * 4); left > 0; left--) {
      const texts = Array.from({ length: 50 + Math.floor(random() * 1500) }, () => this.next());
      const results = await book.appendAll(texts.map((text) => ({ data: Buffer.from(text), tags })));
      results.forEach((result, i) => result.ok && this.texts.set(result.seqnum, texts[i]!));
      const upTo = Math.floor(((await book.tail()) - 1) * random() ** 0.3);
      if (random() < 0.5 && upTo > this.trimmed) {
        this.trimming = upTo;
        await book.trim({ upTo });
        [this.trimmed, this.trimming] = [upTo, 0];
      }
      while (random() < 0.6) {
        // One that is not waited for gives room back beside what comes next, also beside the next one.
        const done = log.engine.checkpoint();
        if (random() < 0.8) await done;
        // Before anything else is synced.
        if (random() < 0.2) disk?.cutPowerAfter(0);
      }
    }
  }
}

/** Gives how often the first segments were found removed. */
async function round(seed: number, lies = false): Promise<number> {
  const random = randomSource(seed);
  const clock = new VirtualClock();
  const known = new Known();
  let disk = new FaultDisk({ seed: seed + 1_000_000_007, lies });
  let removed = 0;
  for (let boots = 6; boots > 0; boots--) {
    // The last boot is left alone.
    if (boots > 1) disk.cutPowerAfter(Math.floor(random() * (random() < 0.3 ? 30 : 150)));
    let log: Session | undefined;
    try {
      log = await openOn("/log", { disk, clock, io: random() < 0.5 ? "main" : "worker", segmentSizes });
      if (!disk.list("/log").includes("0000000001.log")) removed++;
      await known.check(log);
      await known.work(log, random, boots > 1 ? disk : undefined);
      if (random() < 0.8) await log.close();
    } catch (error) {
      if (disk.powered || error instanceof assert.AssertionError) throw error;
    }
    disk.cutPowerAfter(0);
    await log?.close().catch(() => undefined);
    disk = random() < 0.2 ? disk.kill() : disk.powerLoss();
  }
  return removed;
}

describe("L2 L3 L6 power that goes while room is given back", () => {
  const asked = process.env["SEED"];
  const rounds = asked !== undefined ? 1 : process.env["FULL"] === "1" ? 2000 : 200;

  it(`loses nothing, brings nothing back and forgets no condition, in ${rounds} rounds`, async function () {
    this.timeout(rounds * 2000 + 10_000);
    const first = asked !== undefined ? Number(asked) : 1;
    let removed = 0;
    for (let seed = first; seed < first + rounds; seed++) {
      try {
        removed += await round(seed);
      } catch (error) {
        throw new Error(`SEED=${seed} replays this: ${(error as Error).message}`, { cause: error });
      }
    }
    if (rounds > 1) assert.ok(removed > rounds / 10, `room was given back ${removed} times`);
  });

  it("is found out when the disk lies about its syncs", async () => {
    let found = 0;
    for (let seed = 1; seed <= 10; seed++) await round(seed, true).catch(() => found++);
    assert.ok(found >= 5, `only ${found} of 10 lying disks were found out`);
  });
});
