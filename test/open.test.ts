/** What a user may put under a log: a clock, a source of chance, a disk. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../core/index.js";
import { FaultDisk, randomSource, VirtualClock } from "../core/testing.js";
import type { Clock, OpenOptions } from "../core/types.js";

const one = Buffer.from("one");
const tags = ["t"];
const wrong = [NaN, -1, Infinity, "1", undefined, 5n];

/** A clock that gives what it is told to. */
class OddClock extends VirtualClock {
  wall: unknown;
  ran: unknown;
  override now(): number {
    return (this.wall ?? super.now()) as number;
  }
  override monotonic(): number {
    return (this.ran ?? super.monotonic()) as number;
  }
}

describe("a disk under a log", () => {
  it("keeps the log, and the system's file system sees nothing of it", async () => {
    const disk = new FaultDisk();
    const url = "file:/boki-nowhere/log";
    const log = await openLog(url, { disk });
    await log.book("b").append(one, { tags });
    await log.close();
    const again = await openLog(url, { disk });
    assert.equal((await again.book("b").readNext())!.text(), "one");
    assert.deepEqual(disk.list("/boki-nowhere/log"), ["0000000001.log"]);
    assert.ok(!existsSync("/boki-nowhere"));
    await again.close();
  });

  it("is a place of its own: one url is one log on each disk, and the same one for all who open it there", async () => {
    const disks = [new FaultDisk({ seed: 1 }), new FaultDisk({ seed: 1 })] as const;
    const [first, other] = [
      await openLog("file:/log", { disk: disks[0] }),
      await openLog("file:/log", { disk: disks[1] }),
    ];
    const same = await openLog("file:/log/.", { disk: disks[0] });
    assert.notEqual(first.id, other.id);
    assert.equal(first.id, same.id);
    await first.book("b").append(one, { tags });
    assert.equal(await other.book("b").tail(), 1);
    assert.equal(await same.book("b").tail(), 2);
    await Promise.all([first, other, same].map((log) => log.close()));
  });

  it("that is none is refused, and so is one for a log in memory", async () => {
    for (const disk of [{}, null, 7, "disk"]) {
      await assert.rejects(openLog("file:/log", { disk } as unknown as OpenOptions), {
        name: "TypeError",
        message: /disk must be a Disk/,
      });
    }
    await assert.rejects(openLog("memory:", { disk: new FaultDisk() }), {
      name: "TypeError",
      message: /disk is not for/,
    });
  });
});

describe("a log that must be there (create: false)", () => {
  it("is LOG_NOT_A_LOG where there is none, with folder and remedy, and nothing is made", async () => {
    const folder = mkdtempSync(join(tmpdir(), "boki-create-"));
    const refused = { code: "LOG_NOT_A_LOG", message: /no log in .*boki-create-.*spelling/ };
    try {
      for (const place of [join(folder, "absent", "log"), folder]) {
        await assert.rejects(openLog(`file:${place}`, { create: false }), refused);
        assert.deepEqual(readdirSync(folder), []);
      }
      writeFileSync(join(folder, "notes.txt"), "x");
      await assert.rejects(openLog(`file:${folder}`, { create: false }), refused);
      assert.deepEqual(readdirSync(folder), ["notes.txt"]);
      await assert.rejects(openLog(`file:${join(folder, "notes.txt")}`, { create: false }), { code: "LOG_NOT_A_LOG" });
      const made = await openLog(`file:${join(folder, "log")}`);
      await made.book("b").append(one, { tags });
      const second = await openLog(`file:${join(folder, "log")}`, { create: false });
      assert.equal(second.id, made.id);
      await made.close();
      await second.close();
      const again = await openLog(`file:${join(folder, "log")}`, { create: false });
      assert.equal((await again.book("b").readNext())!.text(), "one");
      await again.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("stands in nobody's way who opens it at the same time and may make it", async () => {
    const disk = new FaultDisk();
    const [refused, made, also] = await Promise.allSettled([
      openLog("file:/log", { disk, create: false }),
      openLog("file:/log", { disk }),
      openLog("file:/log", { disk, create: true }),
    ]);
    assert.equal(refused.status, "rejected");
    assert.ok(made.status === "fulfilled" && also.status === "fulfilled");
    assert.equal(made.value.id, also.value.id);
    await made.value.close();
    await also.value.close();
  });

  it("is refused as an option of a log in memory, and so is what is neither true nor false", async () => {
    for (const create of [true, false])
      await assert.rejects(openLog("memory:", { create }), {
        name: "TypeError",
        message: /create is not for "memory:"/,
      });
    for (const create of [null, "no", 0])
      await assert.rejects(openLog("file:/log", { disk: new FaultDisk(), create } as unknown as OpenOptions), {
        name: "TypeError",
        message: /create/,
      });
  });
});

describe("a source of chance under a log", () => {
  it("L10 gives the log its id: the same from the same, by default never the same", async () => {
    const idOf = async (url: string, options: OpenOptions): Promise<string> => {
      const log = await openLog(url, options);
      await log.close();
      assert.match(log.id, /^[0-9a-f]{32}$/);
      return log.id;
    };
    for (const url of ["memory:", "file:/log"]) {
      const on = (): OpenOptions => (url === "memory:" ? {} : { disk: new FaultDisk() });
      const seeded = (seed: number): Promise<string> => idOf(url, { ...on(), random: randomSource(seed) });
      assert.equal(await seeded(3), await seeded(3));
      assert.notEqual(await seeded(3), await seeded(4));
      assert.notEqual(await idOf(url, on()), await idOf(url, on()));
    }
  });

  it("that gives something else than [0, 1) is refused with the value", async () => {
    for (const value of [...wrong, 1]) {
      const random = (): number => value as number;
      for (const [url, options] of [
        ["memory:", {}],
        ["file:/log", { disk: new FaultDisk() }],
      ] as const) {
        await assert.rejects(openLog(url, { ...options, random }), {
          name: "TypeError",
          message: new RegExp(`random\\(\\) gave "?${String(value)}`),
        });
      }
    }
    await assert.rejects(openLog("memory:", { random: 4 as unknown as () => number }), {
      name: "TypeError",
      message: /random/,
    });
  });
});

describe("L9 a clock under a log that gives what is no time", () => {
  it("is refused by openLog with the value", async () => {
    for (const value of wrong.filter((one) => one !== undefined)) {
      for (const which of ["now", "monotonic"] as const) {
        const clock: Clock = new VirtualClock();
        clock[which] = () => value as number;
        await assert.rejects(openLog("memory:", { clock }), {
          name: "TypeError",
          message: new RegExp(`clock\\.${which}\\(\\) gave "?${String(value)}`),
        });
      }
    }
  });

  for (const [url, where] of [
    ["memory:", "in memory"],
    ["file:/log", "in a folder"],
  ] as const) {
    it(`later: refuses appends and does nothing else, ${where}`, async () => {
      const clock = new OddClock(1000);
      const options = url === "memory:" ? { clock } : { clock, disk: new FaultDisk() };
      const log = await openLog(url, options);
      const book = log.book("b");
      await book.append(one, { tags });
      for (const which of ["wall", "ran"] as const) {
        for (const value of [NaN, -1, "soon"]) {
          clock[which] = value;
          const appending = [book.append(one, { tags }), book.append(Buffer.alloc(5_000_000), { tags })];
          for (const refused of appending) {
            await assert.rejects(refused, {
              code: "LOG_CLOCK",
              outcome: "none",
              retryable: true,
              message: new RegExp(`gave "?${value}`),
            });
          }
          assert.equal((await book.readPrev())!.text(), "one");
        }
        clock[which] = undefined;
      }
      assert.equal((await book.append(Buffer.from("two"), { tags })).seqnum, 2);
      clock.wall = NaN;
      await log.close();
      if (url === "memory:") return;
      clock.wall = undefined;
      const again = await openLog(url, options);
      assert.equal(again.recovered, undefined);
      assert.equal((await again.book("b").readPrev())!.text(), "two");
      assert.equal(await again.book("b").tail(), 3);
      await again.close();
    });
  }
});
