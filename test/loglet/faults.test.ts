import assert from "node:assert/strict";
import { join } from "node:path";
import { Forwarded } from "../../core/engine/append.js";
import { writerMs } from "../../core/engine/writers.js";
import type { LogError } from "../../core/errors.js";
import { FaultDisk, VirtualClock } from "../../core/testing.js";
import type { Disk } from "../../core/loglet/file/disk.js";
import { realDisk } from "../../core/loglet/file/real-disk.js";
import { entry } from "../remote/raw.js";
import { copyFolder, diskWith, ioError, openOn, scratch } from "./on-disk.js";

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

  it("L7 a failed write right behind a sync that went well: what was synced is answered, and there", async () => {
    const folder = join(scratch(), "log");
    let broken = false;
    let syncing: () => void = () => undefined;
    const disk = diskWith({
      write(...args) {
        if (broken) throw ioError("EIO");
        realDisk.write(...args);
      },
      syncLater: async (file) => {
        syncing();
        await realDisk.syncLater(file);
        broken = true;
      },
    });
    const log = await openOn(folder, { disk, io: "worker" });
    const book = log.book("b");
    const second = new Promise<unknown>((resolve) => {
      syncing = (): void => resolve(book.append(Buffer.from("two"), { tags: ["t"] }).catch((error: unknown) => error));
    });
    assert.equal((await book.append(one, { tags: ["t"] })).seqnum, 1);
    const { code, outcome } = (await second) as { code: string; outcome: string };
    assert.deepEqual([code, outcome], ["LOG_IO", "unknown"]);
    assert.equal((await book.readPrev({ tag: "t" }))!.text(), "one");
    await log.close();
  });

  it("L7 a failed write behind appends that are to be given by another writer: none of them waits for ever", async () => {
    const folder = join(scratch(), "log");
    const clock = new VirtualClock();
    let broken = false;
    let syncing: (() => void) | undefined;
    const disk = diskWith({
      write(...args) {
        if (broken) throw ioError("EIO");
        realDisk.write(...args);
      },
      syncLater: async (file) => {
        syncing?.();
        await realDisk.syncLater(file);
        broken = syncing !== undefined;
      },
    });
    const log = await openOn(folder, { disk, io: "worker", clock });
    const append = (text: string): Promise<unknown> =>
      log
        .book("b")
        .append(Buffer.from(text), { tags: ["t"] })
        .catch((error: unknown) => error);
    await append("1");
    clock.setWall(clock.now() + 2 * writerMs);
    const third = new Promise<unknown>((resolve) => (syncing = (): void => resolve(append("3"))));
    const outcomes = (await Promise.all([append("2"), third])).map((error) => (error as LogError).outcome);
    assert.deepEqual(outcomes, ["none", "unknown"]);
    await log.close();
  });

  it("L1 appends that are to be given by another writer go before those behind them, whatever is under way", async () => {
    const clock = new VirtualClock();
    let onSync: (() => void)[] = [];
    const disk = diskWith({
      syncLater: (file) => {
        onSync.shift()?.();
        return realDisk.syncLater(file);
      },
    });
    const log = await openOn(join(scratch(), "log"), { disk, io: "worker", clock });
    const book = log.book("b");
    const answers: Promise<unknown>[] = [];
    const append = (text: string) => (): void => void answers.push(book.append(Buffer.from(text), { tags: ["t"] }));
    append("1")();
    await answers[0];
    clock.setWall(clock.now() + 2 * writerMs);
    onSync = [append("3"), append("4")];
    append("2")();
    // Each append is made while the one before it is synced.
    for (let i = 1; i < 4; i++) await answers[i];
    const texts: string[] = [];
    for await (const record of book.read()) texts.push(record.text());
    assert.deepEqual(texts, ["1", "2", "3", "4"]);
    await log.close();
  });

  it("L1 appends that are to be given by another writer are given, however many come behind them meanwhile", async () => {
    const clock = new VirtualClock();
    let onSync: () => void = () => undefined;
    const disk = diskWith({
      syncLater: (file) => {
        onSync();
        return realDisk.syncLater(file);
      },
    });
    const log = await openOn(join(scratch(), "log"), { disk, io: "worker", clock });
    const append = (): Promise<unknown> => log.book("b").append(one, { tags: ["t"] });
    await append();
    clock.setWall(clock.now() + 2 * writerMs);
    const behind: Promise<unknown>[] = [];
    let isAnswered = false;
    onSync = () => {
      if (!isAnswered && behind.length < 100) behind.push(append());
    };
    await append();
    isAnswered = true;
    assert.ok(behind.length < 10, `${behind.length} came behind it`);
    await Promise.all(behind);
    await log.close();
  });

  it("a segment is not ended while a batch is written to it, also where its sync was the first to leave the thread", async () => {
    const folder = join(scratch(), "log");
    let onSync: () => void = () => undefined;
    let onSyncLater: (() => void) | undefined;
    let release!: () => void;
    const released = new Promise<void>((resolve) => (release = resolve));
    const disk = diskWith({
      sync(file) {
        onSync();
        realDisk.sync(file);
      },
      syncLater: async (file) => {
        if (onSyncLater !== undefined) {
          onSyncLater();
          onSyncLater = undefined;
          await released;
        }
        realDisk.sync(file);
      },
    });
    const segmentSizes = { min: 64 << 10, max: 64 << 10 };
    const before = await openOn(folder, { segmentSizes });
    await before.book("b").append(one, { tags: ["t"] });
    await before.close();
    const log = await openOn(folder, { disk, segmentSizes });
    const book = log.book("b");
    let second: Promise<unknown> | undefined;
    const isUnderWay = new Promise<void>((resolve) => (onSyncLater = resolve));
    onSync = () => {
      second ??= book.append(Buffer.from("two"), { tags: ["t"] });
      // So slow that syncs leave the thread from here on.
      for (const start = performance.now(); performance.now() - start < 5;);
    };
    // It fits into no segment of this size, and as it is refused, nothing of its own segment is needed.
    await book.append(Buffer.alloc(128 << 10), { tags: ["t"], unless: [{ tag: "t", after: 0 }] });
    await isUnderWay;
    const checkpoint = log.checkpoint();
    // What it does without waiting for the batch is done within a few turns of the event loop.
    for (let turns = 0; turns < 100; turns++) await new Promise((resolve) => setImmediate(resolve));
    release();
    await Promise.all([second, checkpoint]);
    assert.equal((await book.readPrev({ tag: "t" }))!.text(), "two");
    await log.close();
    const again = await openOn(folder);
    assert.equal((await again.book("b").readPrev({ tag: "t" }))!.text(), "two");
    await again.close();
  });

  it("L7 a full disk is LOG_FULL, nothing of the append is left, reads go on, and appends too once there is room", async () => {
    const folder = join(scratch(), "log");
    const { disk, room } = smallDisk();
    const log = await openOn(folder, { disk });
    const book = log.book("b");
    const large = Buffer.alloc(500_000, 1);
    await book.append(one, { tags: ["t"] });
    // Room for a part of a batch: its first records are written whole before the disk is full.
    room.bytes = 5_700_000;
    let fitted = 1;
    for (; fitted < 100; fitted += 4) {
      const many = [one, one, large, one].map((data) => ({ data, tags: ["t"] }));
      const failed = await book.appendAll(many).then(
        () => undefined,
        (error: unknown) => error as { code: string; outcome: string; retryable: boolean },
      );
      if (failed === undefined) continue;
      assert.deepEqual([failed.code, failed.outcome, failed.retryable], ["LOG_FULL", "none", true]);
      break;
    }
    assert.ok(fitted > 1 && fitted < 100);
    const last = await book.tail();
    assert.equal((await book.readPrev({ tag: "t" }))!.seqnum, last - 1);

    copyFolder(folder, `${folder}-killed`);
    const killed = await openOn(`${folder}-killed`);
    assert.equal(await killed.book("b").tail(), last, "a crash brings nothing of it back");
    await killed.close();

    room.bytes += 10 << 20;
    assert.equal((await book.append(one, { tags: ["t"] })).seqnum, last);
    assert.equal((await book.append(large, { tags: ["t"] })).seqnum, last + 1);
    await log.close();
    const again = await openOn(folder);
    assert.equal(await again.book("b").tail(), last + 2);
    assert.equal(again.recovered, undefined);
    await again.close();
  });

  for (const code of ["ENOSPC", "EDQUOT", "EFBIG"]) {
    it(`L7 ${code} is LOG_FULL for appends, new segments, checkpoints and the opening, and all go on once there is room`, async () => {
      const disk = new FaultDisk();
      disk.failNext("write", code);
      await assert.rejects(openOn("/log", { disk }), { code: "LOG_FULL", retryable: true });
      const log = await openOn("/log", { disk });
      const book = log.book("b");
      const full = { code: "LOG_FULL", outcome: "none", retryable: true };
      disk.failNext("write", code);
      await assert.rejects(book.append(one, { tags: ["t"] }), full);
      disk.failNext("truncate", code);
      await assert.rejects(book.append(Buffer.alloc(5_000_000), { tags: ["t"] }), full);
      await book.append(one, { tags: ["t"] });
      disk.failNext("write", code);
      await assert.rejects(log.checkpoint(), { code: "LOG_FULL", retryable: true });
      await log.checkpoint();
      assert.equal((await book.readNext())!.text(), "one");
      await log.close();
    });
  }

  it("L7 each append of another process is answered once, also where a full disk cuts their batch in two", async () => {
    let isFull = false;
    const disk = diskWith({
      open(path, mode) {
        if (isFull && mode === "create") throw ioError("ENOSPC");
        return realDisk.open(path, mode);
      },
    });
    const log = await openOn(join(scratch(), "log"), { disk, segmentSizes: { min: 64 << 10, max: 64 << 10 } });
    const answers: string[] = [];
    let answered!: () => void;
    const isAnswered = new Promise<void>((resolve) => (answered = resolve));
    const origin = {
      settled: ({ n }: Forwarded) => void answers.push(`${n} is there`),
      failed: ({ n }: Forwarded, { code }: LogError) => {
        answers.push(`${n} failed: ${code}`);
        if (n === 2) answered();
      },
      forgotten: ({ n }: Forwarded) => void answers.push(`${n} is forgotten`),
    };
    isFull = true;
    // The second fits only into another segment, and there is no room for one.
    for (const n of [1, 2])
      log.engine.append(new Forwarded(entry({ writer: 9, n, data: Buffer.alloc(40_000) }), origin));
    await isAnswered;
    assert.deepEqual(answers, ["1 is there", "2 failed: LOG_FULL"]);
    isFull = false;
    await log.close();
  });

  it("L7 a call that a full disk cuts in two says that some of it may be there", async () => {
    const { disk, room } = smallDisk();
    const log = await openOn(join(scratch(), "log"), { disk });
    const book = log.book("b");
    room.bytes = 1_500_000;
    const megabyte = { data: Buffer.alloc(1 << 20, 1), tags: ["t"] };
    await assert.rejects(book.appendAll([megabyte, megabyte]), {
      code: "LOG_FULL",
      outcome: "unknown",
      message: /the first 1 of these 2 records/,
    });
    assert.equal(await book.tail(), 2);
    await log.close();
  });

  it("L7 what was refused by a full disk does not come back behind a shorter append, after a kill", async () => {
    const folder = join(scratch(), "log");
    const { disk, room } = smallDisk();
    const log = await openOn(folder, { disk });
    const book = log.book("b");
    await book.append(one, { tags: ["t"] });
    room.bytes = 300_000;
    const same = Array.from({ length: 50 }, () => ({ data: Buffer.alloc(10_000, 2), tags: ["t"] }));
    await assert.rejects(book.appendAll(same), { code: "LOG_FULL" });
    // As long as the first of those that were refused, which lie behind it in the file if they were not taken back.
    await book.append(Buffer.alloc(10_000, 3), { tags: ["t"] });
    copyFolder(folder, `${folder}-killed`);
    await log.close();
    const killed = await openOn(`${folder}-killed`);
    assert.equal(await killed.book("b").tail(), 3);
    assert.equal((await killed.book("b").readPrev())!.data[0], 3);
    await killed.close();
  });
});

/** A disk with room for so many more bytes: a write beyond it is cut short and fails, as ext4 does. */
function smallDisk(): { disk: Disk; room: { bytes: number } } {
  const room = { bytes: Number.MAX_SAFE_INTEGER };
  const used = new Map<number, number>();
  const disk = diskWith({
    write(file, source, length, position) {
      const before = used.get(file) ?? 0;
      const fits = Math.min(length, Math.max(0, before + room.bytes - position));
      const after = Math.max(before, position + fits);
      room.bytes -= after - before;
      used.set(file, after);
      realDisk.write(file, source, fits, position);
      if (fits < length) throw ioError("ENOSPC");
    },
    truncate(file, length) {
      const before = used.get(file) ?? 0;
      const after = Math.min(before, length);
      room.bytes += before - after;
      used.set(file, after);
      realDisk.truncate(file, length);
    },
    close(file) {
      used.delete(file);
      realDisk.close(file);
    },
  });
  return { disk, room };
}
