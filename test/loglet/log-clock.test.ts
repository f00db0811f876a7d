import assert from "node:assert/strict";
import { LogClock } from "../../core/loglet/log-clock.js";
import { openLog } from "../../core/index.js";

const year = 365 * 86_400_000;

function virtual(): {
  now: number;
  ran: number;
  clock: { now(): number; monotonic(): number; setTimer(): () => void };
} {
  const time = { now: 1_000_000, ran: 0 };
  return Object.assign(time, {
    clock: { now: () => time.now, monotonic: () => time.ran, setTimer: () => () => undefined },
  });
}

describe("L9 log time", () => {
  it("is the wall clock, and runs at half speed while that is behind, until they meet", () => {
    const time = virtual();
    const log = new LogClock(time.clock, 0);
    assert.equal(log.stamp(), 1_000_000);
    time.now -= 1000;
    assert.equal(log.stamp(), 1_000_000);
    time.now += 400;
    time.ran += 400;
    assert.equal(log.stamp(), 1_000_200);
    time.now += 1600;
    time.ran += 1600;
    assert.equal(log.stamp(), 1_001_000, "they meet");
    time.now += 10;
    time.ran += 10;
    assert.equal(log.stamp(), 1_001_010, "and go on together");
  });

  it("never decreases when the clock jumps back by a year, also over a reopening", async () => {
    const time = virtual();
    time.now = 3 * year;
    const url = "memory:log-time";
    const first = await openLog(url, { clock: time.clock });
    const before = await first.book("b").append(Buffer.from("x"), { tags: ["t"] });
    await first.close();
    time.now -= year;
    const again = await openLog(url, { clock: time.clock });
    time.ran += 2000;
    const behind = await again.book("b").append(Buffer.from("y"), { tags: ["t"] });
    assert.equal(behind.time, before.time + 1000);
    assert.equal((await again.book("b").readPrev())!.time, behind.time);
    await again.close();
  });
});
