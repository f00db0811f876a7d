import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { repair, verify } from "../../core/index.js";
import { frameHead, frameRoom, frameSize } from "../../core/loglet/file/frame.js";
import { headerBytes } from "../../core/loglet/file/header.js";
import { append, checkpointFiles, contents, files, flip, longLog, payload, smallSegments } from "./long-log.js";
import { copyFolder, openOn, scratch, segmentFiles } from "./on-disk.js";

type Seen = [book: string, tag: string | undefined, seqnum: number, ...unknown[]];

async function everything(folder: string): Promise<Seen[]> {
  const log = await openOn(folder, { segmentSizes: smallSegments });
  const found = (await contents(log)) as Seen[];
  await log.close();
  return found;
}

function without(found: Seen[], isLost: (seqnum: number) => boolean): Seen[] {
  return found.filter(([, , seqnum]) => !isLost(seqnum));
}

/** Where frame number `index` of a segment lies. */
function frameAt(path: string, index: number): number {
  const bytes = readFileSync(path);
  let at = headerBytes;
  for (let i = 0; i < index; i++) at += frameRoom(frameSize(bytes, at) - frameHead);
  return at;
}

/** Appends, checkpoints, closes and opens again: a log like any other. */
async function goesOn(folder: string): Promise<void> {
  const log = await openOn(folder, { segmentSizes: smallSegments });
  const before = (await contents(log)).length;
  await append(log.book("b"), 1000, 200);
  await log.engine.checkpoint();
  await append(log.book("b"), 1200, 50);
  await log.engine.checkpoint();
  assert.deepEqual((await log.verify()).damage, []);
  const after = await contents(log);
  assert.equal(after.length, before + 3 * 250);
  await log.close();
  assert.deepEqual((await verify(folder)).damage, []);
  assert.deepEqual(await everything(folder), after);
}

for (const released of [false, true]) {
  describe(`repair a log ${released ? "that has given room back" : "of which all is there"}`, function () {
    this.timeout(60_000);
    let whole: string;
    let folder: string;
    let seen: Seen[];
    before(async () => {
      whole = join(scratch(), "log");
      await longLog(whole, { released });
      seen = await everything(whole);
      folder = `${whole}-copy`;
    });
    beforeEach(() => copyFolder(whole, folder));

    it("changes nothing when nothing is wrong, and says so", async () => {
      const before = files(folder);
      const { kept, lost, changed } = await repair(folder);
      assert.deepEqual([lost, changed], [[], []]);
      assert.equal(kept, (await verify(folder)).records);
      assert.deepEqual(files(folder), before);
    });

    it("leaves out a record that a flipped bit has hit, keeps all others, and the old files", async () => {
      const path = segmentFiles(folder)[3]!;
      const old = readFileSync(path);
      flip(path, frameAt(path, 4) + 100);
      const { damage } = await verify(folder);
      const { position } = damage[0]!;
      const flipped = readFileSync(path);
      assert.ok(position !== undefined && !flipped.equals(old));
      const { kept, lost, changed } = await repair(folder);
      assert.ok(changed.includes(path));
      assert.deepEqual(readFileSync(`${path}.before-repair`), flipped);
      const after = await everything(folder);
      const gone = new Set(seen.map(([, , seqnum]) => seqnum));
      for (const [, , seqnum] of after) gone.delete(seqnum);
      assert.ok(gone.size <= 1, `lost ${[...gone].join()}`);
      for (const seqnum of gone) assert.match(lost[0]!, new RegExp(`${basename(path)}.* ${seqnum} is lost`));
      if (gone.size === 1) assert.ok(gone.has(position));
      assert.deepEqual(
        after,
        without(seen, (seqnum) => gone.has(seqnum)),
      );
      assert.equal((await verify(folder)).records, kept);
      assert.deepEqual((await verify(folder)).damage, []);
      await goesOn(folder);
    });

    it("decides conditions on the tags of a lost record as before where a checkpoint knows them", async () => {
      const path = segmentFiles(folder).find((name) => /nr-4\d\d/.test(readFileSync(name, "latin1")))!;
      const record = seen.find(
        ([, tag, seqnum, , tags]) => tag === undefined && /nr-4\d\d/.test(String(tags)) && seqnum > 0,
      )!;
      const nr = /nr-\d+/.exec(String(record[4]))![0];
      flip(path, readFileSync(path).indexOf(nr) + 5);
      const { lost } = await repair(folder);
      assert.match(lost.join(), new RegExp(` ${record[2]}`));
      const log = await openOn(folder);
      const book = log.book("a");
      assert.equal(await book.readNext({ tag: nr }), undefined);
      assert.equal(await book.readPrev({ tag: nr }), undefined);
      assert.notEqual((await book.readNext({ from: record[2] }))!.seqnum, record[2]);
      const data = Buffer.from("x");
      const refused = await book.append(data, { tags: [nr], unless: [{ tag: nr, after: record[2] - 1 }] });
      assert.deepEqual(refused, { ok: false, conflict: { tag: nr, seqnum: record[2] } });
      const { ok } = await book.append(data, { tags: [nr], unless: [{ tag: nr, after: record[2] }] });
      assert.equal(ok, true);
      await log.close();
    });

    it("refuses conditions on unknown tags up to the last lost position where no checkpoint knows them", async () => {
      const path = segmentFiles(folder).find(
        (name) => /nr-250/.test(readFileSync(name, "latin1").slice(headerBytes)) && name > segmentFiles(folder).at(-8)!,
      )!;
      const lost = seen.find(
        ([book, tag, , , tags]) => book === "b" && tag === undefined && /nr-250 /.test(String(tags)),
      )!;
      flip(path, readFileSync(path).indexOf("nr-250") + 2);
      await assert.rejects(openOn(folder), { code: "LOG_CORRUPT" });
      const repaired = await repair(folder);
      assert.match(repaired.lost.join(), new RegExp(`position ${lost[2]} is lost`));
      const log = await openOn(folder);
      const book = log.book("b");
      const data = Buffer.from("x");
      for (const after of [1, lost[2] - 1]) {
        const refused = await book.append(data, { tags: ["x"], unless: [{ tag: "nr-250", after }] });
        assert.deepEqual(refused, { ok: false, conflict: { tag: "nr-250", seqnum: lost[2] } });
      }
      for (const after of [0, lost[2]])
        assert.equal((await book.append(data, { tags: ["x"], unless: [{ tag: "nr-250", after }] })).ok, true);
      await log.close();
      assert.deepEqual(
        without(await everything(folder), (seqnum) => seqnum > seen.at(-1)![2]).filter(([, tag]) => tag === "mod-1"),
        without(seen, (seqnum) => seqnum === lost[2]).filter(([, tag]) => tag === "mod-1"),
      );
    });

    it("opens again after damage to both checkpoints", async () => {
      const [older, newer] = checkpointFiles(folder);
      const before = segmentFiles(folder);
      flip(older!, 3000);
      flip(newer!, 3000);
      const { kept, lost, changed } = await repair(folder);
      assert.ok(existsSync(`${older}.before-repair`) && existsSync(`${newer}.before-repair`));
      assert.ok(changed.includes(older!) && changed.includes(newer!));
      assert.deepEqual(segmentFiles(folder), before);
      const { damage, records } = await verify(folder);
      assert.deepEqual(damage, []);
      assert.equal(records, kept);
      const after = await everything(folder);
      const all = new Set(after.map((record) => JSON.stringify(record)));
      for (const record of seen) assert.ok(all.has(JSON.stringify(record)), JSON.stringify(record));
      if (!released) {
        assert.deepEqual(lost, []);
        assert.deepEqual(after, seen);
      } else {
        assert.match(lost.join(), /nobody knows which were trimmed/);
        const log = await openOn(folder);
        const refused = await log
          .book("a")
          .append(Buffer.from("x"), { tags: ["x"], unless: [{ tag: "nr-10", after: 1 }] });
        assert.equal(refused.ok, false, "on the tag of a record that was given back");
        await log.close();
      }
      await goesOn(folder);
    });

    it("keeps what is left when headers, tables, the last segment and whole files are damaged or missing", async () => {
      const segments = segmentFiles(folder);
      const damages: [string, () => void][] = [
        ["header", () => flip(segments[4]!, 20)],
        ["table", () => flip(segments[1]!, readFileSync(segments[1]!).length - 30)],
        ["behind the header", () => flip(segments[1]!, 300)],
        ["a missing file", () => rmSync(segments[5]!)],
        ["two missing files", () => [5, 6].forEach((i) => rmSync(segments[i]!))],
        ["the first file", () => rmSync(segments[0]!)],
        ["the last file", () => rmSync(segments.at(-1)!)],
        ["the last segment", () => flip(segments.at(-1)!, frameAt(segments.at(-1)!, 1) + 40)],
        ["the header of the last segment", () => flip(segments.at(-1)!, 20)],
        ["the older checkpoint", () => flip(checkpointFiles(folder)[0]!, 2000)],
        ["the newer checkpoint", () => flip(checkpointFiles(folder)[1]!, 2000)],
      ];
      for (const [what, damage] of damages) {
        copyFolder(whole, folder);
        damage();
        const bad = await verify(folder);
        assert.equal(bad.ok, what === "table", what);
        const { kept, lost } = await repair(folder);
        const good = await verify(folder);
        assert.deepEqual(good.damage, [], what);
        assert.equal(good.records, kept, what);
        const after = await everything(folder);
        const all = new Set(after.map((record) => JSON.stringify(record)));
        const left = new Set(after.map(([, , seqnum]) => seqnum));
        const gone = new Set(seen.map(([, , seqnum]) => seqnum).filter((seqnum) => !left.has(seqnum)));
        for (const record of seen)
          assert.ok(gone.has(record[2]) || all.has(JSON.stringify(record)), `${what}: ${JSON.stringify(record)}`);
        assert.ok(gone.size < 130, `${what}: lost ${gone.size}`);
        if (gone.size > 0) assert.ok(lost.length > 0, what);
        if (/header$|table|behind|checkpoint/.test(what)) assert.equal(gone.size, 0, `${what}: ${[...gone].join()}`);
        assert.deepEqual(await repair(folder), { kept, lost: [], changed: [] }, `${what}: twice`);
        await goesOn(folder);
      }
    });

    it("changes nothing when it is aborted before it writes", async () => {
      flip(segmentFiles(folder)[2]!, headerBytes + 100);
      const before = files(folder);
      const abort = new AbortController();
      const aborted = repair(folder, { signal: abort.signal, onProgress: () => abort.abort() });
      await assert.rejects(aborted, { code: "LOG_ABORTED" });
      assert.deepEqual(files(folder), before);
    });
  });
}

describe("L3 repair a book of which no record is left", () => {
  it("accepts no condition on what was lost, in no book, before and after later checkpoints", async () => {
    const folder = join(scratch(), "log");
    let log = await openOn(folder, { segmentSizes: smallSegments });
    await append(log.book("kept"), 0, 20);
    await append(log.book("lost"), 0, 200);
    const last = (await log.book("lost").tail()) - 1;
    await append(log.book("kept"), 20, 200);
    await log.close();
    const isLost = (path: string): boolean => /lost/.test(readFileSync(path, "latin1").slice(headerBytes));
    for (const path of segmentFiles(folder)) if (isLost(path)) rmSync(path);
    // The first file may hold some of both.
    const { lost } = await repair(folder);
    assert.match(lost.join(), /cannot be known/);
    log = await openOn(folder, { segmentSizes: smallSegments });
    assert.equal(await log.book("lost").readNext(), undefined);
    const data = Buffer.from("x");
    for (let again = 0; again < 3; again++) {
      for (const name of ["lost", "new"]) {
        for (const after of [1, last - 1]) {
          const refused = await log.book(name).append(data, { tags: ["x"], unless: [{ tag: "nr-150", after }] });
          assert.equal(refused.ok, false, `${name} after ${after} of ${last}`);
        }
      }
      await log.checkpoint();
      await log.checkpoint();
      assert.deepEqual((await log.verify()).damage, []);
      await log.close();
      assert.deepEqual((await verify(folder)).damage, []);
      log = await openOn(folder, { segmentSizes: smallSegments });
    }
    for (const after of [0, (await log.book("lost").tail()) - 1])
      assert.equal(
        (await log.book("lost").append(data, { tags: ["x"], unless: [{ tag: "nr-150", after }] })).ok,
        true,
        `after ${after}`,
      );
    await log.close();
  });

  it("opens again and can be read where a checkpoint knows of positions behind the last file", async () => {
    const folder = join(scratch(), "log");
    let log = await openOn(folder, { segmentSizes: smallSegments });
    const seqnums = await append(log.book("b"), 0, 200);
    await log.checkpoint();
    await log.close();
    const files = segmentFiles(folder);
    for (const path of files.slice(-2)) rmSync(path);
    const { kept, lost } = await repair(folder);
    assert.ok(lost.length > 0);
    log = await openOn(folder, { segmentSizes: smallSegments });
    const found: number[] = [];
    for await (const { seqnum, data } of log.book("b").read()) {
      found.push(seqnum);
      assert.equal(Buffer.from(data).toString(), payload(seqnums.indexOf(seqnum)));
    }
    assert.equal(found.length, kept);
    assert.ok(kept > 100 && kept < 200);
    const { ok } = await log
      .book("b")
      .append(Buffer.from("x"), { tags: ["x"], unless: [{ tag: "nr-199", after: seqnums[199]! - 1 }] });
    assert.equal(ok, false, "conditions see what is lost and in the checkpoint");
    await log.close();
    await goesOn(folder);
  });
});
