import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { LogError, repair, verify } from "../../core/index.js";
import { VirtualClock } from "../../core/testing.js";
import { headerBytes } from "../../core/loglet/file/header.js";
import { append, checkpointFiles, contents, files, flip, longLog, smallSegments } from "./long-log.js";
import { copyFolder, openOn, scratch, segmentFiles } from "./on-disk.js";

for (const released of [false, true]) {
  describe(`verify a log ${released ? "that has given room back" : "of which all is there"}`, () => {
    let whole: string;
    let folder: string;
    before(async function () {
      this.timeout(60_000);
      whole = join(scratch(), "log");
      await longLog(whole, { released });
      assert.ok(segmentFiles(whole).length > 5);
    });
    beforeEach(() => {
      folder = `${whole}-copy`;
      copyFolder(whole, folder);
    });

    it("finds nothing wrong, counts what can be read, and changes nothing", async () => {
      const before = files(folder);
      const progress: number[] = [];
      const found = await verify(`file:${folder}`, {
        onProgress: ({ done, total }) => progress.push(done / total),
      });
      assert.deepEqual(found.damage, []);
      assert.equal(found.ok, true);
      assert.equal(found.torn, undefined);
      assert.deepEqual(files(folder), before);
      assert.equal(progress.at(-1), 1);
      assert.deepEqual(
        progress,
        progress.toSorted((a, b) => a - b),
      );
      const log = await openOn(folder);
      const { records, logBytes } = await log.stats();
      assert.equal(found.records, records);
      assert.ok(found.bytes > logBytes / 2);
      await log.close();
    });

    it("opens again with the same contents, and finds nothing wrong then", async () => {
      const log = await openOn(folder, { segmentSizes: smallSegments });
      const before = await contents(log);
      assert.ok(before.length > 500);
      await append(log.book("b"), 300, 200);
      assert.deepEqual((await log.verify()).damage, []);
      await log.close();
      assert.deepEqual((await verify(folder)).damage, []);
    });

    it("names file and byte of any flipped bit, in header, tags, payload, table and checkpoints, all of them at once", async function () {
      this.timeout(60_000);
      const segments = segmentFiles(folder);
      const [older, newer] = checkpointFiles(folder);
      const middle = segments[Math.floor(segments.length / 2)]!;
      const table = readFileSync(segments[1]!).length - 30;
      const places: [string, string, number][] = [
        ["log id in the header", middle, 20],
        ["checksum of the header", middle, 73],
        ["behind the header", middle, 200],
        ["size of a frame", middle, headerBytes],
        ["checksum of a frame", middle, headerBytes + 5],
        ["position of a frame", middle, headerBytes + 8],
        ["tags", middle, headerBytes + 32 + 36],
        ["payload", middle, headerBytes + 32 + 80],
        ["table", segments[1]!, table],
        ["older checkpoint", older!, 5000],
        ["newer checkpoint", newer!, 50],
      ];
      for (const [what, path, at] of places) {
        copyFolder(whole, folder);
        flip(path, at);
        const { ok, damage } = await verify(folder);
        assert.equal(ok, what === "table", what);
        assert.ok(
          damage.some(({ file, offset }) => file === path && offset <= at && at - offset < 6000),
          `${what}: ${JSON.stringify(damage)}`,
        );
        assert.ok(
          damage.every(({ file }) => file === path),
          `${what}: ${JSON.stringify(damage)}`,
        );
      }
      copyFolder(whole, folder);
      for (const path of [segments[1]!, segments[2]!, segments.at(-1)!]) flip(path, headerBytes + 120);
      flip(older!, 5000);
      const { damage } = await verify(folder);
      assert.deepEqual(
        [...new Set(damage.map(({ file }) => basename(file)))].sort(),
        [segments[1]!, segments[2]!, segments.at(-1)!, older!].map((path) => basename(path)).sort(),
      );
    });

    it("finds every flipped bit of a segment that has records", async function () {
      this.timeout(120_000);
      const path = segmentFiles(folder)[2]!;
      const { length } = readFileSync(path);
      for (let at = 3; at < length; at += 97) {
        copyFileSync(join(whole, basename(path)), path);
        flip(path, at);
        const { damage } = await verify(folder);
        assert.ok(damage.length > 0, `byte ${at}`);
        assert.ok(
          damage.every(({ file }) => file === path),
          `byte ${at}: ${JSON.stringify(damage)}`,
        );
      }
    });

    it("finds a missing file in the middle and at the end, and one that was cut short", async () => {
      const segments = segmentFiles(folder);
      rmSync(segments[3]!);
      const { damage } = await verify(folder);
      assert.ok(
        damage.some(({ file, what }) => file === segments[3] && /missing/.test(what)),
        JSON.stringify(damage),
      );

      copyFolder(whole, folder);
      const before = await verify(folder);
      for (const path of segments.slice(-6)) rmSync(path);
      const cut = await verify(folder);
      assert.ok(cut.damage.length > 0 && cut.records < before.records, JSON.stringify(cut));

      copyFolder(whole, folder);
      truncateSync(segments[2]!, headerBytes + 300);
      const short = await verify(folder);
      assert.ok(short.damage.some(({ file }) => file === segments[2]));
    });

    it("tells tables of entries, which cost time only, from damage that matters; a repair makes them again", async () => {
      const segments = segmentFiles(folder);
      const tables = [segments[1]!, segments[2]!, segments.at(-1)!];
      for (const path of tables) flip(path, readFileSync(path).length - 10);
      const { ok, damage } = await verify(folder);
      assert.equal(ok, true);
      assert.deepEqual(
        damage.map(({ file, harmless }) => [file, harmless]),
        tables.map((file) => [file, true]),
      );
      copyFolder(folder, `${folder}-opened`);
      const log = await openOn(`${folder}-opened`);
      assert.equal(log.recovered, undefined, "nothing of the log was cut off");
      const found = await contents(log);
      await log.close();
      const { lost, changed } = await repair(folder);
      assert.deepEqual(lost, []);
      assert.deepEqual(changed.toSorted(), tables);
      assert.deepEqual((await verify(folder)).damage, []);
      const repaired = await openOn(folder);
      assert.deepEqual(await contents(repaired), found);
      await repaired.close();
      flip(segments[1]!, readFileSync(segments[1]!).length - 10);
      flip(segments[4]!, headerBytes + 100);
      const both = await verify(folder);
      assert.equal(both.ok, false);
      assert.deepEqual(
        both.damage.map(({ harmless }) => harmless),
        [true, false],
      );
    });

    it("tells a torn tail from damage", async () => {
      const log = await openOn(folder, { segmentSizes: smallSegments });
      await append(log.book("b"), 300, 15);
      copyFolder(folder, `${folder}-killed`);
      await log.close();
      const last = segmentFiles(`${folder}-killed`).at(-1)!;
      const bytes = readFileSync(last);
      let end = bytes.length;
      while (bytes[end - 1] === 0) end--;
      bytes.fill(0, end - 40);
      writeFileSync(last, bytes);
      const { ok, torn, damage } = await verify(`${folder}-killed`);
      assert.deepEqual(damage, []);
      assert.equal(ok, true);
      assert.ok(torn !== undefined && torn.bytes > 0);
      const opened = await openOn(`${folder}-killed`);
      assert.deepEqual(opened.recovered, torn);
      await opened.close();
    });
  });
}

describe("verify a log in which a tag is forgotten", () => {
  it("finds nothing wrong with the records that others of their tags keep", async () => {
    const folder = join(scratch(), "log");
    const clock = new VirtualClock();
    const log = await openOn(folder, { segmentSizes: smallSegments, clock });
    const book = log.book("b");
    await append(book, 0, 200);
    const { seqnum } = await book.append(Buffer.from("x"), { tags: ["kept", "forgotten", "back"] });
    await book.trim({ upTo: seqnum - 1 });
    for (const tag of ["forgotten", "back"]) await book.trim({ tag, upTo: seqnum });
    clock.advance(2 * 3_600_000);
    await append(book, 200, 10);
    clock.advance(11_000);
    await append(book, 210, 10);
    await book.trim({ tag: "nr-200", upTo: seqnum + 10 });
    await book.append(Buffer.from("x"), { tags: ["back"] });
    for (let i = 220; i < 500; i += 100) {
      await append(book, i, 100);
      await log.checkpoint();
    }
    assert.ok(!segmentFiles(folder)[0]!.endsWith("0000000001.log"), "room was given back");
    assert.deepEqual((await log.verify()).damage, []);
    await log.close();
    assert.deepEqual((await verify(folder)).damage, []);
  });
});

describe("verify an open log", () => {
  it("finds nothing wrong while appends, trims, checkpoints and compaction go on", async function () {
    this.timeout(60_000);
    const folder = join(scratch(), "log");
    const log = await longLog(folder, { released: true, closed: false });
    const book = log.book("a");
    let ended = false;
    const work = (async () => {
      for (let i = 700; !ended; i += 20) {
        await append(book, i, 20);
        if (i % 100 === 0) await book.trim({ upTo: (await book.tail()) - 200 });
        if (i % 200 === 0) await log.engine.checkpoint();
      }
    })();
    for (let i = 0; i < 10; i++) assert.deepEqual((await log.verify()).damage, []);
    ended = true;
    await work;
    await log.close();
    assert.deepEqual((await verify(folder)).damage, []);
  });

  it("finds damage under it, and an index that says something else than the records", async () => {
    const folder = join(scratch(), "log");
    const log = await longLog(folder, { closed: false });
    flip(segmentFiles(folder)[1]!, headerBytes + 100);
    const { ok, damage } = await log.verify();
    assert.equal(ok, false);
    assert.equal(damage[0]!.file, segmentFiles(folder)[1]);
    flip(segmentFiles(folder)[1]!, headerBytes + 100);
    assert.equal((await log.verify()).ok, true);

    log.engine.state.live.set(5, 2);
    assert.match((await log.verify()).damage[0]!.what, /record 5 has 2 tags left, not 3/);
    log.engine.state.live.set(5, 3);
    log.engine.state.index.addToTag(log.engine.state.books[0]!, 1_000_000);
    assert.match(
      (await log.verify()).damage[0]!.what,
      /index in memory says something else than the records: book a: last/,
    );
    await log.close();
  });

  it("ends with LOG_ABORTED and LOG_CLOSED, and is refused on a closed log", async () => {
    const folder = join(scratch(), "log");
    const log = await longLog(folder, { closed: false });
    const abort = new AbortController();
    const aborted = log.verify({ signal: abort.signal, onProgress: () => abort.abort("enough") });
    await assert.rejects(aborted, { code: "LOG_ABORTED", cause: "enough" });
    await assert.rejects(log.verify({ signal: AbortSignal.abort() }), { code: "LOG_ABORTED" });
    const closed = log.verify();
    await Promise.all([assert.rejects(closed, { code: "LOG_CLOSED" }), log.close()]);
    await assert.rejects(log.verify(), { code: "LOG_CLOSED" });
  });
});

describe("verify what is no closed log", () => {
  it("refuses an open folder, no folder, an empty one and one of something else", async () => {
    const folder = scratch();
    await assert.rejects(verify(join(folder, "none")), { code: "LOG_NOT_A_LOG", message: /no folder/ });
    await assert.rejects(verify(folder), { code: "LOG_NOT_A_LOG", message: /no log in/ });
    writeFileSync(join(folder, "0000000001.log"), "text");
    await assert.rejects(verify(folder), { code: "LOG_NOT_A_LOG", message: /header/ });
    await assert.rejects(verify(join(folder, "0000000001.log")), (error) => error instanceof LogError);
    await assert.rejects(verify("memory:x"), TypeError);
    const log = await openOn(join(folder, "log"));
    await assert.rejects(verify(join(folder, "log")), { code: "LOG_LOCKED" });
    await log.close();
  });
});
