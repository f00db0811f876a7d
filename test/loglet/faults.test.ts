import assert from "node:assert/strict";
import { realDisk } from "../../core/loglet/file/disk.js";
import { join } from "node:path";
import { diskWith, ioError, openOn, scratch } from "./on-disk.js";

const one = Buffer.from("one");

describe("a disk that fails", () => {
  it("L7 a failed sync: its batch is unknown, what is behind it is not there, reads go on, no second sync", async () => {
    const folder = join(scratch(), "log");
    let broken = false;
    let syncs = 0;
    const disk = diskWith({
      sync(file) {
        syncs++;
        if (broken) throw ioError("EIO");
        realDisk.sync(file);
      },
    });
    const log = await openOn(folder, { disk, io: "main" });
    const book = log.book("b");
    await book.append(one, { tags: ["t"] });
    broken = true;
    await assert.rejects(book.append(Buffer.from("two"), { tags: ["t"] }), {
      code: "LOG_IO",
      outcome: "unknown",
      retryable: false,
    });
    broken = false;
    const before = syncs;
    await assert.rejects(book.append(Buffer.from("three"), { tags: ["t"] }), { code: "LOG_IO", outcome: "none" });
    assert.equal(syncs, before);
    assert.equal((await book.readNext({ tag: "t" }))!.text(), "one");
    assert.equal(await book.tail(), 2);
    await log.close();
    assert.equal(syncs, before, "close does not sync either");

    const again = await openOn(folder);
    assert.equal((await again.book("b").readNext({ tag: "t" }))!.text(), "one");
    assert.equal(await again.book("b").readNext({ tag: "t", from: 3 }), undefined);
    await again.close();
  });

  it("L1 what is pipelined behind a failed append fails too, with outcome none", async () => {
    const folder = join(scratch(), "log");
    let broken = false;
    const disk = diskWith({
      syncLater: async (file) => {
        if (broken) throw ioError("EIO");
        await realDisk.syncLater(file);
      },
    });
    const log = await openOn(folder, { disk, io: "worker" });
    const book = log.book("b");
    await book.append(one, { tags: ["t"] });
    broken = true;
    const first = book.append(one, { tags: ["t"] });
    let second: Promise<unknown> | undefined;
    log.beforeFlush(() => {
      // Called when the first batch is taken; from here on appends are behind it.
      queueMicrotask(() => {
        second = book.append(one, { tags: ["t"] }).catch((error: unknown) => error);
      });
    });
    await assert.rejects(first, { code: "LOG_IO", outcome: "unknown" });
    const error = (await second) as { code: string; outcome: string };
    assert.deepEqual([error.code, error.outcome], ["LOG_IO", "none"]);
    await log.close();
  });

  it("a full disk is LOG_FULL, nothing is lost, reads go on, and appends too once there is room", async () => {
    const folder = join(scratch(), "log");
    let full = false;
    const disk = diskWith({
      writeLater: async (...args) => {
        if (full) throw ioError("ENOSPC");
        await realDisk.writeLater(...args);
      },
    });
    const log = await openOn(folder, { disk });
    const book = log.book("b");
    const megabyte = Buffer.alloc(1 << 20, 1);
    full = true;
    let fitted = 0;
    for (;;) {
      const error = await book.append(megabyte, { tags: ["t"] }).then(
        () => fitted++ > 100,
        (reason: unknown) => reason as { code: string; outcome: string; retryable: boolean },
      );
      if (typeof error === "boolean") continue;
      assert.deepEqual([error.code, error.outcome, error.retryable], ["LOG_FULL", "none", true]);
      break;
    }
    assert.ok(fitted > 0 && fitted < 100);
    assert.equal((await book.readPrev({ tag: "t" }))!.seqnum, fitted);
    await book.append(one, { tags: ["t"] });
    full = false;
    assert.equal((await book.append(megabyte, { tags: ["t"] })).seqnum, fitted + 2);
    await log.close();
    const again = await openOn(folder);
    assert.equal(await again.book("b").tail(), fitted + 3);
    await again.close();
  });
});
