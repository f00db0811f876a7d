import assert from "node:assert/strict";
import fc from "fast-check";
import { openLog } from "../../core/index.js";
import { VirtualClock } from "../../core/testing.js";

describe("VirtualClock", () => {
  it("stands still until it is advanced, and then calls what is due, in order, each at its time", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100)), fc.array(fc.nat(60)), (delays, steps) => {
        const clock = new VirtualClock(1000);
        const fired: { delay: number; i: number }[] = [];
        delays.forEach((delay, i) =>
          clock.setTimer(delay, () => {
            assert.equal(clock.monotonic(), delay);
            assert.equal(clock.now(), 1000 + delay);
            fired.push({ delay, i });
          }),
        );
        let time = 0;
        for (const step of steps) {
          clock.advance(step);
          time += step;
          assert.equal(clock.monotonic(), time);
          const due = delays.map((delay, i) => ({ delay, i })).filter(({ delay }) => delay <= time);
          due.sort((a, b) => a.delay - b.delay || a.i - b.i);
          assert.deepEqual(fired, due);
          assert.equal(clock.timers, delays.length - due.length);
        }
      }),
    );
  });

  it("calls what is set by those calls and due as well, and nothing that was cancelled", () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    const cancel = clock.setTimer(30, () => fired.push("cancelled"));
    clock.setTimer(10, () => {
      fired.push(`first at ${clock.monotonic()}`);
      cancel();
      clock.setTimer(0, () => fired.push(`at once at ${clock.monotonic()}`));
      clock.setTimer(40, () => fired.push(`later at ${clock.monotonic()}`));
      clock.setTimer(41, () => fired.push("too late"));
    });
    clock.advance(50);
    assert.deepEqual(fired, ["first at 10", "at once at 10", "later at 50"]);
    cancel();
    assert.equal(clock.timers, 1);
  });

  it("jumps with the wall alone: timers and monotonic time do not notice", () => {
    const clock = new VirtualClock(5000);
    let fired = 0;
    clock.setTimer(100, () => fired++);
    clock.setWall(1_000_000);
    assert.deepEqual([clock.now(), clock.monotonic(), fired], [1_000_000, 0, 0]);
    clock.advance(100);
    clock.setWall(3);
    assert.deepEqual([clock.now(), clock.monotonic(), fired], [3, 100, 1]);
  });

  it("refuses what is no time, with the value", () => {
    const clock = new VirtualClock();
    for (const wrong of [NaN, -1, Infinity, "1" as unknown as number]) {
      assert.throws(() => clock.advance(wrong), { name: "RangeError", message: new RegExp(`not ${wrong}`) });
      assert.throws(() => clock.setTimer(wrong, () => undefined), RangeError);
      assert.throws(() => clock.setWall(wrong), RangeError);
    }
  });

  it("L9 is the time of a log: its records, and its waits, which need no waiting", async () => {
    const clock = new VirtualClock(77_000.5);
    const log = await openLog("memory:", { clock });
    const book = log.book("b");
    assert.equal((await book.append(Buffer.from("x"), { tags: ["t"] })).time, 77_000);
    const waiting = book.readNext({ from: 2, wait: true, timeoutMs: 3_600_000 });
    clock.advance(3_599_999);
    assert.equal((await log.stats()).readsWaiting, 1);
    clock.advance(1);
    assert.equal(await waiting, undefined);
    await log.close();
  });
});
