/** Each anomaly of registers by its name, and next to it a history that is alike and fine. */
import assert from "node:assert/strict";
import type { CheckOptions } from "./history.js";
import { parse } from "./notation.js";
import { checkRegisters } from "./registers.js";

function fine(text: string, options?: CheckOptions): void {
  assert.deepEqual(checkRegisters(parse(text), options), []);
}

/** Exactly one fault, which begins with its name and tells of these transactions. */
function finds(name: string, txns: readonly number[], text: string, options?: CheckOptions): void {
  const faults = checkRegisters(parse(text), options);
  assert.equal(faults.length, 1, faults.join("\n"));
  assert.ok(faults[0]!.startsWith(`${name}: `), faults[0]);
  const told = [...faults[0]!.matchAll(/^ {2}T(\d+) /gm)].map(([, txn]) => Number(txn));
  assert.deepEqual(told.sort(), txns, faults[0]);
}

describe("the checker of registers", () => {
  it("accepts what ran one after the other", () => {
    fine("");
    fine(`
      0 #1: w x=1
      1 #2: r x=1, w x=2, r x=2, w y=1
      0: r x=2, r y=1, r z=-
      1 #3: w x=3, w x=4
      0: r x=4, r x=4`);
  });

  it("finds G0, writes in opposite orders, where one wrote both before and after another", () => {
    finds(
      "G0 in session order (dirty write)",
      [0, 1],
      `
      0 #2: w x=1
      0 #1: w x=2`,
    );
  });

  it("finds G1a, a read of what failed", () => {
    finds("G1a (aborted read)", [0, 1], "0 failed: w x=1 \n 1: r x=1");
    fine("0 failed: w x=1 \n 1: r x=-");
    fine("0 failed: r x=1, w x=2 \n 1 failed: r x=2");
  });

  it("finds G1b, a read of what its writer then replaced", () => {
    finds("G1b (intermediate read)", [0, 1], "0 #1: w x=1, w x=2 \n 1: r x=1");
    fine("0 #1: w x=1, r x=1, w x=2 \n 1: r x=2");
  });

  it("finds a read of what nobody wrote", () => {
    finds("unwritten", [1], "0 #1: w x=1 \n 1: r x=2");
    finds("unwritten", [0], "0: r x=2");
  });

  it("finds a transaction that does not see its own writes, or sees different things", () => {
    finds("internal", [0], "0 #1: w x=1, r x=-");
    finds("internal", [1], "0 #1: w x=1 \n 1 #2: r x=1, w x=2, r x=1");
    finds("internal", [1], "0 #1: w x=1 \n 1: r x=-, r x=1");
    finds("internal", [0], "0 #1: r x=1, w x=1");
  });

  it("finds G1c, two that read each other's writes", () => {
    finds("G1c (circular reads)", [0, 1], "0 #1: w x=1, r y=1 \n 1 #2: w y=1, r x=1");
    fine("0 #1: w x=1, r y=- \n 1 #2: w y=1, r x=1");
  });

  it("finds G-single, a reader that sees half of a transaction", () => {
    finds("G-single (read skew)", [0, 1], "0 #1: w x=1, w y=1 \n 1: r x=1, r y=-");
    finds("G-single (read skew)", [1, 2], "0 #1: w x=1, w y=1 \n 1 #2: w x=2, w y=2 \n 2: r x=1, r y=2");
  });

  it("finds a lost update", () => {
    finds("G-single (lost update)", [1, 2], "0 #1: w x=1 \n 1 #2: r x=1, w x=2 \n 2 #3: r x=1, w x=3");
    fine("0 #1: w x=1 \n 1 #2: r x=1, w x=2 \n 2 #3: r x=2, w x=3");
  });

  it("finds G2, write skew", () => {
    finds("G2 (write skew)", [0, 1], "0 #1: r x=-, r y=-, w x=1 \n 1 #2: r x=-, r y=-, w y=1");
    fine("0 #1: r x=-, r y=-, w x=1 \n 1 #2: r x=1, r y=-, w y=1");
  });

  it("finds write skew over three transactions", () => {
    finds("G2 (write skew)", [0, 1, 2], "0 #1: r x=-, w y=1 \n 1 #2: r y=-, w z=1 \n 2 #3: r z=-, w x=1");
  });

  it("finds a long fork, two readers that disagree which of two writes came first", () => {
    finds(
      "G-nonadjacent (long fork)",
      [0, 1, 2, 3],
      "0 #1: w x=1 \n 1 #2: w y=1 \n 2: r x=1, r y=- \n 3: r x=-, r y=1",
    );
    fine("0 #1: w x=1 \n 1 #2: w y=1 \n 2: r x=1, r y=- \n 3: r x=1, r y=1");
  });

  it("finds a session that goes backwards, and one that does not see its own writes", () => {
    finds("G-single in session order (stale read)", [0, 1, 2], "0 #1: w x=1 \n 1: r x=1 \n 1: r x=-");
    finds("G-single in session order (stale read)", [0, 1], "0 #1: w x=1 \n 0: r x=-");
    fine("0 #1: w x=1 \n 1: r x=1 \n 2: r x=-");
  });

  it("finds a stale read when real time counts, and only then", () => {
    const stale = "0 #1 1-2: w x=1 \n 1 3-4: r x=-";
    fine(stale);
    finds("G-single in real time (stale read)", [0, 1], stale, { realtime: true });
    fine("0 #1 1-3: w x=1 \n 1 2-4: r x=-", { realtime: true });
    fine("0 #1 1-2: w x=1 \n 1 2-4: r x=-", { realtime: true });
  });

  it("finds a stale read far from the write in real time", () => {
    const between = "1 3-4: r y=- \n 2 3-9: r y=- \n 1 5-6: r y=-";
    finds("G-single in real time (stale read)", [0, 4], `0 #1 1-2: w x=1 \n ${between} \n 3 7-8: r x=-`, {
      realtime: true,
    });
    fine(`0 #1 1-7: w x=1 \n ${between} \n 3 7-8: r x=-`, { realtime: true });
  });

  it("finds a stale read when the write overlapped another transaction in real time", () => {
    const name = "G-single in real time (stale read)";
    finds(name, [0, 2], "0 #1 1-4: w x=1 \n 1 3-5: r y=- \n 2 6-7: r x=-", { realtime: true });
  });

  it("does not say of an unknown transaction that it ended", () => {
    const name = "G-single in real time (stale read)";
    finds(name, [0, 1, 2], "0 unknown 1-2: w x=1, w y=1 \n 1 3-4: r x=1 \n 2 5-6: r y=-", { realtime: true });
  });

  it("takes an unknown transaction to have happened when it was read, and only then", () => {
    fine("0 unknown: w x=1, w y=1 \n 1: r x=-");
    fine("0 unknown: w x=1, w y=1 \n 1: r x=1, r y=1");
    finds("G-single (read skew)", [0, 1], "0 unknown: w x=1, w y=1 \n 1: r x=1, r y=-");
    // The second is known to have happened by the third, and the first by the second.
    finds("G-single (read skew)", [0, 1], "0 unknown: w x=1, w y=1 \n 1 unknown: r x=1, r y=-, w z=1 \n 2: r z=1");
    fine("0 unknown: w x=1, w y=1 \n 1 unknown: r x=1, r y=-, w z=1 \n 2: r z=-");
  });

  it("finds an update that was lost between two of which the seqnum is not known", () => {
    finds(
      "G2 (write skew)",
      [1, 2],
      "0 #1: w x=1 \n 1 unknown: r x=1, w x=2 \n 2 unknown: r x=1, w x=3 \n 3: r x=2 \n 4: r x=3",
    );
  });

  it("lets an unknown transaction take place long after it was answered", () => {
    fine("0 unknown 1-2: w x=1 \n 0 3-4: r x=- \n 1 3-4: r x=- \n 2 5-6: r x=1", { realtime: true });
    finds("G-single in session order (stale read)", [0, 1], "0 #1: w x=1 \n 0 unknown: r x=-, w y=1 \n 1: r y=1");
  });

  it("holds what was read at a position against the seqnums of the writers", () => {
    fine("0 #5: w x=1 \n 1 #7 @5: r x=1, w x=2 \n 2 @6: r x=1 \n 3 @7: r x=2 \n 4 @4: r x=-");
    finds("position", [0, 2], "0 #5: w x=1 \n 1 #7: w x=2 \n 2 @4: r x=1");
    finds("position", [1, 2], "0 #5: w x=1 \n 1 #7: w x=2 \n 2 @7: r x=1");
    finds("position", [0, 1], "0 #5: w x=1 \n 1 @5: r x=-");
    finds("position", [0], "0 #5 @5: r y=-, w x=1");
  });

  it("tells each set of entangled transactions once, with what they did", () => {
    const skew = (x: string): string =>
      `0 #1 @0: r ${x}=-, r y${x}=-, w ${x}=1 \n 1 #2: r ${x}=-, r y${x}=-, w y${x}=1 \n`;
    const text = skew("a") + skew("b").replaceAll(/^ *0/gm, "2").replaceAll(/^ *1/gm, "3");
    assert.deepEqual(checkRegisters(parse(text)).sort(), [
      [
        "G2 (write skew): T0 read ya=nothing, before T1 wrote 1; T1 read a=nothing, before T0 wrote 1.",
        "  T0 (session 0, position 0, seqnum 1): read a=nothing, read ya=nothing, wrote a=1",
        "  T1 (session 1, seqnum 2): read a=nothing, read ya=nothing, wrote ya=1",
      ].join("\n"),
      [
        "G2 (write skew): T2 read yb=nothing, before T3 wrote 1; T3 read b=nothing, before T2 wrote 1.",
        "  T2 (session 2, position 0, seqnum 1): read b=nothing, read yb=nothing, wrote b=1",
        "  T3 (session 3, seqnum 2): read b=nothing, read yb=nothing, wrote yb=1",
      ].join("\n"),
    ]);
  });

  it("refuses a history in which a value does not tell who wrote it", () => {
    assert.throws(() => checkRegisters(parse("0 #1: w x=1 \n 1 #2: w x=1")), /T0 and T1 write different values to x/);
  });
});
