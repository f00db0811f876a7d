/** Files of every format that there was: what older versions wrote is read, and today's code writes the same bytes. */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLog } from "../../core/index.js";
import { randomSource, VirtualClock } from "../../core/testing.js";

const golden = fileURLToPath(new URL("../../../test/golden/v1", import.meta.url));

/** A log with everything in it that a format must carry: refused appends, trims, many tags, two checkpoints, two openings. */
async function write(folder: string): Promise<void> {
  const clock = new VirtualClock(Date.UTC(2026, 0, 1));
  const random = randomSource(1);
  let log = await openLog(`file:${folder}`, { clock, random });
  let book = log.book("orders");
  for (let i = 1; i <= 20; i++) {
    await book.append(Buffer.from(`order ${i}`), { tags: [`order:${i}`, i % 2 === 0 ? "even" : "odd", "größe:é"] });
    clock.advance(1000);
  }
  await book.append(Buffer.from("refused"), { tags: ["even"], unless: [{ tag: "even", after: 0 }] });
  await book.append(Buffer.from("many"), { tags: Array.from({ length: 40 }, (_, i) => `many:${i}`) });
  await log.checkpoint();
  clock.advance(2 * 3_600_000);
  await book.trim({ tag: "odd", upTo: 5 });
  await log.book("other").append(Buffer.alloc(3000, 7), { tags: ["large"] });
  await log.checkpoint();
  await log.book("gone").append(Buffer.from("gone"), { tags: ["t"] });
  await log.book("gone").drop();
  await log.close();
  log = await openLog(`file:${folder}`, { clock, random });
  book = log.book("orders");
  await book.append(Buffer.from("last"), { tags: ["even"], unless: [{ tag: "even", after: 20 }] });
  await log.close();
}

const files = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => /\.(log|ckpt)$/.test(name))
    .sort();

describe("L10 golden files of format 1", () => {
  const scratch = mkdtempSync(join(tmpdir(), "boki-golden-"));
  after(() => rmSync(scratch, { recursive: true, force: true }));

  it("are read, with all that they say", async () => {
    const folder = join(scratch, "read");
    cpSync(golden, folder, { recursive: true });
    const log = await openLog(`file:${folder}`);
    assert.equal(log.recovered, undefined);
    assert.deepEqual(await log.books(), ["orders", "other"]);
    const book = log.book("orders");
    const found: number[][] = [];
    for await (const { seqnum, time } of book.read({ tag: "even" })) found.push([seqnum, time - Date.UTC(2026, 0, 1)]);
    const even = Array.from({ length: 10 }, (_, i) => [2 * i + 2, (2 * i + 1) * 1000]);
    assert.deepEqual(found, [...even, [27, 20_000 + 2 * 3_600_000]]);
    assert.equal((await book.readNext({ tag: "größe:é" }))!.text(), "order 1");
    await assert.rejects(book.readNext({ tag: "odd", from: 5 }), { code: "LOG_TRIMMED", trimPoint: 5 });
    assert.equal((await book.readNext({ tag: "odd" }))!.seqnum, 7);
    assert.equal((await book.readNext({ tag: "many:39" }))!.tags.length, 40);
    assert.deepEqual(Buffer.from((await log.book("other").readPrev())!.data), Buffer.alloc(3000, 7));
    const refused = await book.append(Buffer.from("x"), { tags: ["x"], unless: [{ tag: "order:3", after: 2 }] });
    assert.deepEqual(refused, { ok: false, conflict: { tag: "order:3", seqnum: 3 } });
    await log.close();
  });

  it("are what this version writes, to the byte", async () => {
    const folder = join(scratch, "written");
    await write(folder);
    if (process.env["GOLDEN"] === "write") {
      rmSync(golden, { recursive: true, force: true });
      cpSync(folder, golden, { recursive: true });
    }
    assert.deepEqual(files(folder), files(golden));
    for (const name of files(folder)) {
      assert.ok(readFileSync(join(folder, name)).equals(readFileSync(join(golden, name))), `${name} differs`);
    }
  });
});
