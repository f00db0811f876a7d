import assert from "node:assert/strict";
import { openSync, closeSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { headerBytes } from "../../core/loglet/file/header.js";
import type { LogBook, LogRecord } from "../../core/types.js";
import { copyFolder, openOn, scratch, segmentFiles } from "./on-disk.js";

const payload = (i: number): string => `record ${i} ${"#".repeat(i % 7)}`;

async function appendBatch(book: LogBook, from: number, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, i) =>
      book.append(Buffer.from(payload(from + i)), { tags: ["all", `nr-${from + i}`] }),
    ),
  );
}

async function contents(book: LogBook): Promise<string[]> {
  const found: string[] = [];
  for await (const record of book.read({ tag: "all" }) as AsyncIterable<LogRecord>) found.push(record.text());
  return found;
}

/** Two batches acknowledged, a third behind them; the folder as a kill leaves it, and where the third begins and ends. */
async function threeBatches(): Promise<{ folder: string; bytes: Buffer; from: number; to: number }> {
  const folder = join(scratch(), "log");
  const log = await openOn(folder);
  const book = log.book("b");
  await appendBatch(book, 0, 3);
  await appendBatch(book, 3, 3);
  const from = headerBytes + (await log.stats()).logBytes;
  await appendBatch(book, 6, 3);
  const to = headerBytes + (await log.stats()).logBytes;
  copyFolder(folder, `${folder}-left`);
  await log.close();
  return { folder: `${folder}-left`, bytes: readFileSync(segmentFiles(`${folder}-left`)[0]!), from, to };
}

async function reopen(
  folder: string,
  bytes: Buffer,
): Promise<{ found: string[]; recovered: number | undefined; next: number }> {
  writeFileSync(segmentFiles(folder)[0]!, bytes);
  const log = await openOn(folder);
  const book = log.book("b");
  const found = await contents(book);
  await book.append(Buffer.from("later"), { tags: ["all"] });
  const next = (await contents(book)).length;
  const recovered = log.recovered?.bytes;
  await log.close();
  return { found, recovered, next };
}

describe("L2 recovery of the last segment", () => {
  it("keeps the acknowledged and cuts the last batch wherever it was torn, and goes on", async function () {
    this.timeout(60_000);
    const { folder, bytes, from, to } = await threeBatches();
    for (let cut = from; cut <= to; cut += 5) {
      const torn = Buffer.from(bytes);
      torn.fill(0, cut);
      const { found, recovered, next } = await reopen(folder, torn);
      assert.ok(found.length >= 6 && found.length <= 9, `cut at ${cut}: ${found.length} records`);
      assert.deepEqual(
        found,
        Array.from({ length: found.length }, (_, i) => payload(i)),
      );
      assert.equal(next, found.length + 1, `cut at ${cut}: appends go on`);
      if (cut === from || found.length === 9) assert.equal(recovered, undefined, `cut at ${cut}`);
      if (cut === to) assert.equal(found.length, 9);
    }
  });

  it("does the same with a file that ends where it was torn", async function () {
    this.timeout(60_000);
    const { folder, bytes, from, to } = await threeBatches();
    for (let cut = from; cut <= to; cut++) {
      const { found, next } = await reopen(folder, bytes.subarray(0, cut));
      assert.ok(found.length >= 6 && found.length <= 9, `cut at ${cut}: ${found.length} records`);
      assert.equal(next, found.length + 1, `cut at ${cut}: appends go on`);
    }
  });

  it("cuts a last batch whose first page was lost while its end was written", async () => {
    const { folder, bytes, from } = await threeBatches();
    const torn = Buffer.from(bytes);
    torn.fill(0, from, from + 64);
    const { found, recovered } = await reopen(folder, torn);
    assert.equal(found.length, 6);
    assert.ok(recovered !== undefined && recovered > 0, "says what was cut");
  });

  it("opens twice after a cut: what was kept of a batch is not taken for one that goes on", async () => {
    const { folder, bytes, to } = await threeBatches();
    const torn = Buffer.from(bytes);
    torn.fill(0, to - 20);
    const first = await reopen(folder, torn);
    assert.equal(first.found.length, 8);
    const log = await openOn(folder);
    assert.deepEqual((await contents(log.book("b"))).slice(0, 8), first.found);
    await log.close();
  });

  it("L2 refuses damage before the last batch: LOG_CORRUPT with file and position", async () => {
    const { folder, bytes, from } = await threeBatches();
    const damaged = Buffer.from(bytes);
    const at = from - 30;
    damaged[at] = damaged[at]! ^ 4;
    writeFileSync(segmentFiles(folder)[0]!, damaged);
    await assert.rejects(openOn(folder), (error: Error & { code: string }) => {
      assert.equal(error.code, "LOG_CORRUPT");
      assert.match(error.message, /0000000001\.log is damaged at byte \d+: position 6/);
      return true;
    });
  });

  it("gives nothing for a next segment that was being made, and takes it away", async () => {
    const { folder } = await threeBatches();
    for (const size of [0, 4096, 1 << 20]) {
      writeFileSync(join(folder, "0000000002.log.tmp"), Buffer.alloc(size));
      const log = await openOn(folder);
      assert.equal((await contents(log.book("b"))).length, 9);
      await log.close();
      assert.deepEqual(readdirSync(folder), ["0000000001.log"]);
    }
  });
});

describe("L2 a log of several segments", () => {
  let folder: string;
  before(async () => {
    folder = join(scratch(), "log");
    const log = await openOn(folder);
    const book = log.book("b");
    for (let i = 0; i < 12; i++) await book.append(Buffer.alloc(1 << 20, i), { tags: ["all"] });
    await log.close();
    assert.ok(segmentFiles(folder).length > 2);
  });

  it("holds records larger than a segment is at first", async () => {
    const log = await openOn(folder);
    const data = Buffer.alloc(log.limits.recordBytes, 7);
    const { seqnum } = await log.book("big").append(data, { tags: ["big"] });
    assert.deepEqual(Buffer.from((await log.book("big").readNext({ tag: "big" }))!.data), data);
    await log.close();
    const again = await openOn(folder);
    assert.equal((await again.book("big").readPrev())!.seqnum, seqnum);
    await again.close();
  });

  it("refuses a damaged and a missing segment by name", async () => {
    const copy = `${folder}-damaged`;
    copyFolder(folder, copy);
    const file = openSync(segmentFiles(copy)[0]!, "r+");
    writeSync(file, Buffer.from([255]), 0, 1, 1 << 20);
    closeSync(file);
    await assert.rejects(openOn(copy), { code: "LOG_CORRUPT", message: /0000000001\.log is damaged at byte/ });

    copyFolder(folder, copy);
    rmSync(segmentFiles(copy)[1]!);
    await assert.rejects(openOn(copy), { code: "LOG_CORRUPT", message: /0000000003\.log is damaged/ });
  });

  it("never returns wrong bytes: a record damaged under an open log fails, the others can be read", async () => {
    const copy = `${folder}-rot`;
    copyFolder(folder, copy);
    const log = await openOn(copy);
    const book = log.book("b");
    const file = openSync(segmentFiles(copy)[0]!, "r+");
    writeSync(file, Buffer.from([255]), 0, 1, headerBytes + 5000);
    closeSync(file);
    await assert.rejects(book.readNext({ tag: "all" }), { code: "LOG_CORRUPT" });
    assert.equal((await book.readNext({ tag: "all", from: 2 }))!.data[0], 1);
    await log.close();
  });
});
