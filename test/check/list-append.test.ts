/** Each anomaly of lists by its name, and next to it a history that is alike and fine. */
import assert from "node:assert/strict";
import type { CheckOptions } from "./history.js";
import { checkListAppend } from "./list-append.js";
import { parse } from "./notation.js";

function fine(text: string, options?: CheckOptions): void {
  assert.deepEqual(checkListAppend(parse(text), options), []);
}

/** Faults with these names, in this order. */
function finds(names: string | readonly string[], text: string, options?: CheckOptions): void {
  const faults = checkListAppend(parse(text), options);
  assert.deepEqual(
    faults.map((fault) => fault.slice(0, fault.indexOf(":"))),
    [names].flat(),
    faults.join("\n"),
  );
}

describe("the checker of lists", () => {
  it("accepts what ran one after the other, with seqnums and without", () => {
    fine("");
    for (const seqnum of ["", " #1"]) {
      fine(`
        0${seqnum}: a x=1
        1${seqnum}: r x=[1], a x=2, a y=1, r x=[1 2], a x=3
        0: r x=[1 2 3], r y=[1], r z=[], r z=-
        2: r x=[1]
        1${seqnum}: a x=4, r x=[1 2 3 4]
        0${seqnum}: a x=5`);
    }
  });

  it("finds G0, appends that interleave", () => {
    finds("G0 (dirty write)", "0: a x=1, a y=1 \n 1: a x=2, a y=2 \n 2: r x=[1 2], r y=[2 1]");
    finds("G0 (dirty write)", "0: a x=1, a x=3 \n 1: a x=2 \n 2: r x=[1 2 3]");
    fine("0: a x=1, a y=1 \n 1: a x=2, a y=2 \n 2: r x=[1 2], r y=[1 2]");
  });

  it("finds G1a, a read of what failed", () => {
    finds("G1a (aborted read)", "0 failed: a x=1 \n 1: a x=2 \n 2: r x=[1 2]");
    fine("0 failed: a x=1 \n 1: a x=2 \n 2: r x=[2]");
  });

  it("finds G1b, a read in the middle of a transaction", () => {
    finds("G1b (intermediate read)", "0: a x=1, a x=2 \n 1: r x=[1] \n 2: r x=[1 2]");
    finds("G1b (intermediate read)", "0 #1: a x=1, a x=2 \n 1: r x=[1]");
  });

  it("finds G1c, two that read each other's appends", () => {
    finds("G1c (circular reads)", "0: a x=1, r y=[1] \n 1: a y=1, r x=[1]");
    fine("0: a x=1, r y=[] \n 1: a y=1, r x=[1]");
  });

  it("finds G-single, a reader that sees half of a transaction", () => {
    finds("G-single (read skew)", "0: a x=1, a y=1 \n 1: r x=[1], r y=[]");
    fine("0: a x=1, a y=1 \n 1: r x=[1], r y=[1] \n 2: r x=[], r y=[]");
  });

  it("finds a lost update", () => {
    finds("G-single (lost update)", "0: r x=[], a x=1 \n 1: r x=[], a x=2 \n 2: r x=[1 2]");
    finds("G-single (lost update)", "0 #1: r x=[], a x=1 \n 1 #2: r x=[], a x=2");
    fine("0: r x=[], a x=1 \n 1: r x=[1], a x=2 \n 2: r x=[1 2]");
  });

  it("finds that one did not see what is before it in the log, also when nobody reads it", () => {
    finds("G-single (lost update)", "0 #2: r x=[], a x=1 \n 1 #1: a x=2");
    fine("0 #2: r x=[2], a x=1 \n 1 #1: a x=2");
  });

  it("finds G2, write skew, also when nobody reads what was written", () => {
    finds("G2 (write skew)", "0: r x=[], r y=[], a x=1 \n 1: r x=[], r y=[], a y=1");
    finds("G2 (write skew)", "0 #1: r x=[], r y=[], a x=1 \n 1 #2: r x=[], r y=[], a y=1");
    fine("0: r x=[], r y=[], a x=1 \n 1: r x=[1], r y=[], a y=1");
  });

  it("finds a long fork", () => {
    finds("G-nonadjacent (long fork)", "0: a x=1 \n 1: a y=1 \n 2: r x=[1], r y=[] \n 3: r x=[], r y=[1]");
    fine("0: a x=1 \n 1: a y=1 \n 2: r x=[1], r y=[] \n 3: r x=[1], r y=[1]");
  });

  it("finds a session that goes backwards, and one that does not see its own appends", () => {
    finds("G-single in session order (stale read)", "0: a x=1 \n 1: r x=[1] \n 1: r x=[]");
    finds("G-single in session order (stale read)", "0: a x=1 \n 0: r x=[]");
    fine("0: a x=1 \n 1: r x=[1] \n 2: r x=[]");
  });

  it("finds a stale read when real time counts, and only then", () => {
    fine("0 1-2: a x=1 \n 1 3-4: r x=[]");
    finds("G-single in real time (stale read)", "0 1-2: a x=1 \n 1 3-4: r x=[]", { realtime: true });
    fine("0 1-3: a x=1 \n 1 2-4: r x=[]", { realtime: true });
  });

  it("finds two reads of which neither continues the other", () => {
    finds("incompatible order", "0: a x=1 \n 1: a x=2 \n 2: r x=[1 2] \n 3: r x=[2]");
    finds("incompatible order", "0: a x=1 \n 1: a x=2 \n 2: a x=3 \n 3: r x=[1 2 3] \n 4: r x=[1 3]");
  });

  it("finds what is there twice, and what nobody appended", () => {
    finds("duplicate", "0: a x=1 \n 1: r x=[1 1]");
    finds(["duplicate", "incompatible order"], "0: a x=1 \n 1: a x=2 \n 2: r x=[1 1] \n 3: r x=[1 2]");
    finds("unwritten", "0: a x=1 \n 1: r x=[1 2]");
  });

  it("finds a transaction that does not see its own appends, or sees different things", () => {
    finds("internal", "0: a x=1, r x=[]");
    finds("internal", "0: a x=1, a x=2, r x=[2 1]");
    finds("internal", "0: a x=1 \n 1: r x=[], r x=[1]");
    finds("internal", "0: a x=1 \n 1: r x=[], a x=2, r x=[1 2]");
    finds("internal", "0: r x=[1], a x=1");
  });

  it("finds the appends of one transaction in another order", () => {
    finds("internal order", "0: a x=1, a x=2 \n 1: a x=3 \n 2: r x=[2 1 3]");
    fine("0: a x=1, a x=2 \n 1: r x=[1 2]");
  });

  it("holds the order of a list against the log", () => {
    finds("log order", "0 #2: a x=1 \n 1 #1: a x=2 \n 2: r x=[1 2]");
    fine("0 #1: a x=1 \n 1 unknown: a x=2 \n 2 #3: a x=3 \n 3: r x=[1 2 3]");
  });

  it("finds an append that is missing in front of later ones", () => {
    finds("lost append", "0 #1: a x=1 \n 1 #2: a x=2 \n 2: r x=[2]");
    finds("lost append", "0 #1: a x=1, a y=1 \n 1 #2: a x=2 \n 2 #3: r x=[2], r y=[], a x=3 \n 3: r y=[1]");
    fine("0 #1: a x=1 \n 1 #2: a x=2 \n 2: r x=[1]");
  });

  it("takes an unknown transaction to have happened when it was read, and only then", () => {
    fine("0 unknown: a x=1, a y=1 \n 1: r x=[]");
    fine("0 unknown: a x=1, a y=1 \n 1: r x=[1], r y=[1]");
    finds("G-single (read skew)", "0 unknown: a x=1, a y=1 \n 1: r x=[1], r y=[]");
    finds("G-single (read skew)", "0 unknown: a x=1, a y=1 \n 1 unknown: r x=[1], r y=[], a z=1 \n 2: r z=[1]");
  });

  it("holds what was read at a position against the seqnums of the writers", () => {
    fine("0 #5: a x=1 \n 1 #7 @5: r x=[1], a x=2 \n 2 @6: r x=[1] \n 3 @7: r x=[1 2] \n 4 @4: r x=[]");
    finds("position", "0 #5: a x=1 \n 1 @4: r x=[1]");
    finds("position", "0 #5: a x=1 \n 1 @5: r x=[]");
  });
});
