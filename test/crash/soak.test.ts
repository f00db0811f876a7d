import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../../core/index.js";

const total = process.env["FULL"] === "1" ? 10_000_000 : 300_000;
const step = 5000;
/** Records kept: everything before them is trimmed. */
const kept = 50_000;

describe("L6 a log that is trimmed behind its end", () => {
  const folder = mkdtempSync(join(tmpdir(), "boki-soak-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it(`stays as small as what it holds, in memory and on disk, over ${total} appends`, async function () {
    this.timeout(total / 50);
    // Log time runs quicker than the clock on the wall: tags are forgotten after an hour of it.
    let time = Date.UTC(2026, 0, 1);
    const clock = {
      now: () => time,
      monotonic: () => time,
      setTimer: (ms: number, fn: () => void) => {
        const timer = setTimeout(fn, ms);
        return () => clearTimeout(timer);
      },
    };
    let log = await openLog(`file:${folder}`, { durability: "os", clock });
    for (let done = 0, round = 0; done < total; done += step, round++) {
      const book = log.book("b");
      await book.appendAll(
        Array.from({ length: step }, (_, i) => ({ data: Buffer.alloc(300, i), tags: [`own-${done + i}`, "all"] })),
      );
      time += 20 * 60_000;
      const tail = await book.tail();
      if (tail > kept) await book.trim({ upTo: tail - kept });
      if (round % 500 === 499) {
        await log.close();
        log = await openLog(`file:${folder}`, { durability: "os", clock });
      }
      if (round % 10 !== 9 || done < 4 * kept) continue;
      const { tags, indexBytes, tagBytes, records, checkpointFault } = await log.stats();
      assert.equal(checkpointFault, undefined);
      // Trims take positions too.
      assert.ok(records <= kept && records > kept - 100, `${records} records`);
      // Swept a little with each append: after a checkpoint was written at full speed, some are to be caught up.
      assert.ok(tags < 10 * kept, `${tags} tags after ${done} appends`);
      assert.ok(indexBytes + tagBytes < 40 << 20, `${indexBytes + tagBytes} bytes of index after ${done} appends`);
      const disk = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).blocks * 512, 0);
      // Live bytes, what both checkpoints do not cover yet (at full speed up to twice 200 MiB), and the checkpoints.
      assert.ok(disk < 600 << 20, `${disk} bytes on disk after ${done} appends`);
    }
    await log.close();
  });
});
