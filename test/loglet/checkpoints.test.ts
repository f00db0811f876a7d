import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { realDisk } from "../../core/loglet/file/real-disk.js";
import type { Session } from "../../core/log.js";
import { copyFolder, diskWith, ioError, openOn, scratch, segmentFiles } from "./on-disk.js";

const small = { segmentSizes: { min: 65_536, max: 65_536 } };

const checkpointFiles = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".ckpt"))
    .sort()
    .map((name) => join(folder, name));

const bytesOf = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).blocks * 512, 0);

/** Records with one tag out of ten and their number as text. */
async function fill(log: Session, count: number, bytes = 100): Promise<void> {
  const first = await log.book("b").tail();
  await log.book("b").appendAll(
    Array.from({ length: count }, (_, i) => ({
      data: Buffer.from(`${first + i}`.padEnd(bytes)),
      tags: [`t${(first + i) % 10}`],
    })),
  );
}

async function check(log: Session, wanted: readonly number[]): Promise<void> {
  const found: number[] = [];
  for await (const record of log.book("b").read()) {
    assert.equal(record.text().trim(), String(record.seqnum));
    found.push(record.seqnum);
  }
  assert.deepEqual(found, wanted);
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = bytes[at]! ^ 16;
  writeFileSync(path, bytes);
}

describe("checkpoints of a log in a folder", () => {
  it("are written at close, and spare the next opening the records before", async () => {
    const folder = join(scratch(), "log");
    const log = await openOn(folder, small);
    await fill(log, 5000);
    await log.close();
    assert.equal(checkpointFiles(folder).length, 1);
    let read = 0;
    const counting = diskWith({
      read: (file, target, length, position) => {
        read += length;
        return realDisk.read(file, target, length, position);
      },
    });
    const again = await openOn(folder, { ...small, disk: counting });
    const checkpoint = statSync(checkpointFiles(folder)[0]!).size;
    const frames = (await again.stats()).logBytes;
    assert.ok(read - checkpoint < 200_000 && frames === 0, `${read - checkpoint} bytes besides the checkpoint`);
    await check(again, range(1, 5000));
    await fill(again, 10);
    await again.close();
  });

  it("two are kept: with the newer one damaged the older one serves, with both the records do", async () => {
    const folder = join(scratch(), "log");
    const log = await openOn(folder, small);
    for (let i = 0; i < 3; i++) {
      await fill(log, 1000);
      await log.checkpoint();
    }
    await fill(log, 10);
    await log.close();
    const [older, newer] = checkpointFiles(folder) as [string, string];
    assert.equal(checkpointFiles(folder).length, 2);
    for (const damaged of [[newer], [older], [newer, older]]) {
      for (const at of [9, 30, 60, statSync(newer).size - 10]) {
        const copy = `${folder}-copy`;
        copyFolder(folder, copy);
        for (const path of damaged) flip(path.replace(folder, copy), at);
        const again = await openOn(copy, small);
        await check(again, range(1, 3010));
        const refused = await again
          .book("b")
          .append(Buffer.from("x"), { tags: ["t"], unless: [{ tag: "t9", after: 3008 }] });
        assert.deepEqual(refused, { ok: false, conflict: { tag: "t9", seqnum: 3009 } });
        await again.close();
      }
    }
  });

  it("with both damaged and records released, opening is LOG_CORRUPT", async () => {
    const folder = join(scratch(), "log");
    const log = await openOn(folder, small);
    await fill(log, 3000);
    await log.book("b").trim({ upTo: 2900 });
    for (let i = 0; i < 2; i++) {
      await fill(log, 10);
      await log.checkpoint();
    }
    await log.checkpoint();
    await log.close();
    assert.ok(!segmentFiles(folder)[0]!.endsWith("0000000001.log"), "the first segments are gone");
    const again = await openOn(folder, small);
    await check(
      again,
      range(2901, 3021).filter((seqnum) => seqnum !== 3001),
    );
    await again.close();
    for (const path of checkpointFiles(folder)) flip(path, 100);
    await assert.rejects(openOn(folder, small), { code: "LOG_CORRUPT", message: /no checkpoint holds.*boki repair/s });
    assert.equal(checkpointFiles(folder).length, 2, "they are left for a repair to look at");
  });

  it("of another log are LOG_CORRUPT, of a position that was lost they are not used", async () => {
    const folder = join(scratch(), "log");
    const log = await openOn(folder, small);
    await fill(log, 100);
    copyFolder(folder, `${folder}-earlier`);
    await fill(log, 2000);
    await log.close();
    const name = checkpointFiles(folder)[0]!.slice(folder.length);
    writeFileSync(`${folder}-earlier${name}`, readFileSync(folder + name));
    const earlier = await openOn(`${folder}-earlier`, small);
    await check(earlier, range(1, 100));
    await fill(earlier, 3000);
    await earlier.close();
    const other = await openOn(`${folder}-other`, small);
    await fill(other, 3000);
    await other.close();
    writeFileSync(`${folder}-other${name}`, readFileSync(folder + name));
    for (const path of checkpointFiles(`${folder}-other`).slice(1)) flip(path, 100);
    await assert.rejects(openOn(`${folder}-other`, small), {
      code: "LOG_CORRUPT",
      message: /checkpoint of another log/,
    });
  });

  it("that cannot be written cost nothing but time", async () => {
    const folder = join(scratch(), "log");
    const disk = diskWith({
      open: (path, mode) => {
        if (path.includes("checkpoint-")) throw ioError("ENOSPC");
        return realDisk.open(path, mode);
      },
    });
    const log = await openOn(folder, { ...small, disk });
    await fill(log, 2000);
    await assert.rejects(log.checkpoint(), { code: "LOG_FULL", message: /checkpoint/ });
    assert.match((await log.stats()).checkpointFault!.message, /ENOSPC|room/);
    await fill(log, 2000);
    await log.close();
    const again = await openOn(folder, small);
    assert.equal((await again.stats()).checkpointFault, undefined);
    await check(again, range(1, 4000));
    await again.close();
  });
});

describe("L6 room of trimmed records", () => {
  it("comes back: dead segments go, those mostly dead are rewritten, and what is kept keeps its seqnum", async () => {
    const folder = join(scratch(), "log");
    const log = await openOn(folder, small);
    await fill(log, 10_000, 500);
    const full = bytesOf(folder);
    for (let t = 0; t < 9; t++) await log.book("b").trim({ tag: `t${t}`, upTo: 9000 });
    const kept = range(1, 10_000).filter((seqnum) => seqnum > 9000 || seqnum % 10 === 9);
    await check(log, kept);
    for (let i = 0; i < 3; i++) {
      await log.checkpoint();
      await log.book("c").append(Buffer.from("x"), { tags: ["x"] });
    }
    const left = bytesOf(folder);
    assert.ok(left < full * 0.3, `${left} bytes of ${full}`);
    assert.ok((await log.stats()).diskBytes < full * 0.3);
    await check(log, kept);
    copyFolder(folder, `${folder}-killed`);
    await log.close();
    for (const path of [folder, `${folder}-killed`]) {
      const again = await openOn(path, small);
      await check(again, kept);
      assert.equal((await again.book("b").readPrev({ tag: "t9", upTo: 5000 }))!.seqnum, 4999);
      await assert.rejects(again.book("b").readNext({ tag: "t1", from: 5 }), { code: "LOG_TRIMMED", trimPoint: 9000 });
      await again.close();
    }
  });

  it("is not given back where a segment is damaged, and a damaged record there is LOG_CORRUPT, not gone", async () => {
    const folder = join(scratch(), "log");
    const log = await openOn(folder, small);
    await fill(log, 3000);
    await log.close();
    // The table behind the first segment, and a frame in it.
    const first = segmentFiles(folder)[0]!;
    flip(first, statSync(first).size - 30);
    flip(first, 30_000);
    const again = await openOn(folder, small);
    const book = again.book("b");
    await assert.rejects(book.readNext({ from: 230 }), { code: "LOG_CORRUPT", message: /position \d+ is damaged/ });
    assert.equal((await book.readPrev())!.seqnum, 3000);
    const trimAndCheckpoint = async (upTo: number): Promise<void> => {
      await book.trim({ upTo });
      for (let i = 0; i < 3; i++) {
        await again.checkpoint().catch(() => undefined);
        await fill(again, 1);
      }
    };
    await trimAndCheckpoint(220);
    assert.match((await again.stats()).checkpointFault!.message, /is damaged/);
    // Once nothing in it is needed any more, the damage does not matter.
    await trimAndCheckpoint(2900);
    assert.equal((await again.stats()).checkpointFault, undefined);
    assert.ok(!segmentFiles(folder).includes(first));
    await again.close();
  });

  it("does not hold up the next checkpoint, however long a segment takes to be written again", async () => {
    const folder = join(scratch(), "log");
    const events = new EventEmitter();
    const released = once(events, "released");
    const rewritten = new Set<number>();
    const disk = diskWith({
      open: (path, mode) => {
        const file = realDisk.open(path, mode);
        if (path.endsWith(".log.tmp")) rewritten.add(file);
        else rewritten.delete(file);
        return file;
      },
      // Whoever waits for it holds the first one up; new segments are synced in the calling thread.
      syncLater: async (file) => {
        if (rewritten.has(file) && events.emit("rewriting")) await released;
        await realDisk.syncLater(file);
      },
      rename: (from, to) => {
        realDisk.rename(from, to);
        if (to.endsWith(".ckpt")) events.emit("stored");
      },
    });
    const log = await openOn(folder, { segmentSizes: { min: 65_536, max: 1 << 20 }, disk, io: "main" });
    await fill(log, 3000, 500);
    for (let i = 0; i < 2; i++) {
      await log.checkpoint();
      await fill(log, 10);
    }
    for (let t = 0; t < 8; t++) await log.book("b").trim({ tag: `t${t}`, upTo: 2900 });
    const rewriting = once(events, "rewriting");
    const first = log.checkpoint();
    await rewriting;
    // So many that a checkpoint comes by itself.
    const stored = once(events, "stored");
    for (let i = 0; i < 2; i++) await fill(log, 55_000, 10);
    await stored;
    const second = log.checkpoint();
    events.emit("released");
    await Promise.all([first, second]);
    for (const seqnum of [8, 2899, 2901, 113_028]) {
      const record = await log.book("b").readNext({ tag: `t${seqnum % 10}`, from: seqnum });
      assert.deepEqual([record?.seqnum, record?.text().trim()], [seqnum, String(seqnum)]);
    }
    await log.close();
  });

  it("is never taken from under a reader", async () => {
    const folder = join(scratch(), "log");
    const log = await openOn(folder, { segmentSizes: { min: 1 << 20, max: 1 << 20 } });
    const book = log.book("b");
    const large = (i: number): Buffer => Buffer.alloc(200_000, i);
    for (let i = 1; i <= 30; i++) await book.append(large(i), { tags: [`n${i}`, i % 8 === 0 ? "keep" : "drop"] });
    for (let i = 0; i < 2; i++) {
      await log.checkpoint();
      await book.append(Buffer.from("x"), { tags: ["x"] });
    }
    await book.trim({ tag: "drop", upTo: 30 });
    for (let i = 1; i <= 30; i++) if (i % 8 !== 0) await book.trim({ tag: `n${i}`, upTo: 30 });
    // Large reads do not hold the thread: they are under way while the files under them are replaced.
    const reads: Promise<unknown>[] = [];
    const written = log.checkpoint();
    for (let round = 0; round < 40; round++) {
      for (const i of [8, 16, 24]) {
        const read = book
          .readNext({ tag: `n${i}` })
          .then((record) => assert.deepEqual(Buffer.from(record!.data), large(i)));
        reads.push(read);
      }
      await reads.at(-1);
    }
    await Promise.all([written, ...reads]);
    const { diskBytes } = await log.stats();
    assert.ok(diskBytes < 5 << 20, `${diskBytes} bytes`);
    await log.close();
  });
});
