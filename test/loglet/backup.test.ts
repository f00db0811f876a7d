import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { restore, verify } from "../../core/index.js";
import { realDisk } from "../../core/loglet/file/real-disk.js";
import { headerBytes } from "../../core/loglet/file/header.js";
import type { Session } from "../../core/log.js";
import { append, checkpointFiles, contents, files, flip, longLog, payload, smallSegments } from "./long-log.js";
import { copyFolder, diskWith, ioError, openOn, scratch, segmentFiles } from "./on-disk.js";

/** What a log that was restored shows, after it was verified. */
async function restored(folder: string): Promise<{ found: unknown[]; id: string; next: number }> {
  const { damage } = await verify(folder);
  assert.deepEqual(damage, []);
  const log = await openOn(folder, { segmentSizes: smallSegments });
  const found = await contents(log);
  const next = (await log.book("a").append(Buffer.from("later"), { tags: ["later"] })).seqnum;
  const { id } = log;
  await log.close();
  return { found, id, next };
}

/** The contents up to a position. */
function upTo(found: unknown[], position: number): unknown[] {
  return found.filter((record) => (record as [string, string, number])[2] <= position);
}

describe("backup", () => {
  for (const [how, changes] of [
    ["linking", {}],
    [
      "copying",
      {
        link: () => {
          throw ioError("EXDEV");
        },
      },
    ],
  ] as const) {
    it(`is the log at one position, made by ${how} while appends, trims, checkpoints and compaction go on`, async function () {
      this.timeout(60_000);
      const folder = join(scratch(), "log");
      const log = await openOn(folder, { segmentSizes: smallSegments, disk: diskWith(changes) });
      const book = log.book("a");
      /** Every record ever appended, by its seqnum; up to where was trimmed for certain, and perhaps. */
      const appended = new Map<number, string>();
      const trimmed = { surely: 0, perhaps: 0 };
      const add = async (from: number, count: number): Promise<void> => {
        for (const [i, seqnum] of (await append(book, from, count)).entries()) appended.set(seqnum, payload(from + i));
      };
      await add(0, 300);
      let ended = false;
      const seen = new Map<number, Set<string>>();
      const ids = new Set<string>();
      const rounds: { position: number; first: number; all: unknown[] }[] = [];
      const work = (async () => {
        for (let i = 300; !ended; i += 20) {
          await add(i, 20);
          if (i % 60 === 0) {
            trimmed.perhaps = (await book.tail()) - 300;
            await book.trim({ upTo: trimmed.perhaps });
            trimmed.surely = trimmed.perhaps;
          }
          if (i % 200 === 0) await log.engine.checkpoint();
        }
      })();
      for (let round = 0; round < 6; round++) {
        const to = `${folder}-backup-${round}`;
        const trimmedBefore = trimmed.surely;
        const { position, records, bytes } = await log.backup(to);
        const trimmedAfter = trimmed.perhaps;
        assert.ok(bytes > 0);
        const made = await restore(to, `${to}-restored`);
        assert.deepEqual([made.position, made.records], [position, records]);
        const { found, id, next } = await restored(`${to}-restored`);
        assert.equal(id, made.id);
        assert.ok(id !== log.id && !ids.has(id));
        ids.add(id);
        assert.equal(next, position + 1);
        const all = (found as [string, string | undefined, number, number, string, string][]).filter(
          ([, tag]) => tag === undefined,
        );
        assert.equal(all.length, records);
        const first = all[0]![2];
        assert.ok(first > trimmedBefore && (first === 1 || first - 2 <= trimmedAfter), `from ${first} on`);
        rounds.push({ position, first, all: all.map(([, , seqnum, , , text]) => [seqnum, text]) });
        seen.set(position, new Set(found.map((record) => JSON.stringify(record))));
      }
      ended = true;
      await work;
      for (const { position, first, all } of rounds) {
        const expected = [...appended].filter(([seqnum]) => seqnum >= first && seqnum <= position);
        assert.deepEqual(all, expected);
      }
      await log.close();
      assert.deepEqual((await verify(folder)).damage, []);
      // The backups are what they were, whatever the log has done since.
      for (let round = 0; round < 6; round++) {
        const to = `${folder}-backup-${round}`;
        assert.deepEqual((await verify(to)).damage, []);
        const { position } = await restore(to, `${to}-again`);
        const { found } = await restored(`${to}-again`);
        assert.deepEqual(new Set(found.map((record) => JSON.stringify(record))), seen.get(position));
      }
      assert.ok(!readdirSync(`${folder}-backup-5`).some((name) => name.startsWith(".lock")));
    });

    it(`is made by ${how}: full segments are ${how === "linking" ? "the same files" : "files of their own"}`, async () => {
      const folder = join(scratch(), "log");
      await longLog(folder);
      const log = await openOn(folder, { segmentSizes: smallSegments, disk: diskWith(changes) });
      const to = `${folder}-backup`;
      await log.backup(to);
      const shared = segmentFiles(to).filter(
        (path) => statSync(path).ino === statSync(join(folder, basename(path))).ino,
      );
      assert.equal(shared.length, how === "linking" ? segmentFiles(to).length - 1 : 0);
      await log.close();
      assert.deepEqual((await verify(to)).damage, []);
    });
  }

  it("takes only an empty or absent folder, and says which", async () => {
    const folder = join(scratch(), "log");
    const log = await longLog(folder, { closed: false });
    const full = `${folder}-full`;
    mkdirSync(full);
    writeFileSync(join(full, "mine"), "text");
    await assert.rejects(log.backup(full), {
      code: "LOG_NOT_A_LOG",
      message: new RegExp(`${full} is not empty \\(mine`),
    });
    assert.deepEqual(readdirSync(full), ["mine"]);
    await assert.rejects(log.backup(join(full, "mine")), { code: "LOG_NOT_A_LOG" });
    const empty = `${folder}-empty`;
    mkdirSync(empty);
    await log.backup(empty);
    await assert.rejects(restore(empty, full), { code: "LOG_NOT_A_LOG", message: /not empty/ });
    await assert.rejects(restore(empty, empty), { code: "LOG_NOT_A_LOG", message: /not empty/ });
    await log.close();
  });

  it("leaves nothing when it is aborted, fails or the log is closed", async () => {
    const folder = join(scratch(), "log");
    let broken = false;
    const disk = diskWith({
      link: () => {
        throw ioError("EXDEV");
      },
      syncLater: (file) => (broken ? Promise.reject(ioError("EIO")) : realDisk.syncLater(file)),
    });
    await longLog(folder);
    const log = await openOn(folder, { disk, io: "main", segmentSizes: smallSegments });
    const to = `${folder}-backup`;
    const abort = new AbortController();
    await assert.rejects(log.backup(to, { signal: abort.signal, onProgress: () => abort.abort() }), {
      code: "LOG_ABORTED",
    });
    assert.ok(!existsSync(to));
    broken = true;
    await assert.rejects(log.backup(to), { code: "LOG_IO" });
    broken = false;
    assert.ok(!existsSync(to));
    const closed = log.backup(to);
    await Promise.all([assert.rejects(closed, { code: "LOG_CLOSED" }), log.close()]);
    assert.ok(!existsSync(to));
  });

  it("is none before it is whole: nobody opens or restores what a crash has left", async () => {
    const folder = join(scratch(), "log");
    const log = await longLog(folder, { closed: false });
    // Enough for progress to be told before the end.
    for (let i = 0; i < 4; i++) await log.book("a").append(Buffer.alloc(1 << 20), { tags: ["large"] });
    const to = `${folder}-backup`;
    let left: string | undefined;
    await log.backup(to, {
      onProgress: ({ done, total }) => {
        if (done < total) copyFolder(to, (left = `${to}-left`));
      },
    });
    await log.close();
    assert.ok(left !== undefined && !existsSync(join(left, "backup.json")));
    await assert.rejects(openOn(left), { code: "LOG_NOT_A_LOG", message: /not finished/ });
    await assert.rejects(restore(left, `${to}-restored`), { code: "LOG_NOT_A_LOG", message: /not finished/ });
  });

  it("of a log in memory is refused", async () => {
    const { openLog } = await import("../../core/index.js");
    const log = await openLog("memory:");
    await assert.rejects(log.backup(join(scratch(), "x")), TypeError);
    assert.equal((await log.verify()).ok, true);
    await log.close();
  });
});

for (const released of [false, true]) {
  describe(`restore a log ${released ? "that has given room back" : "of which all is there"}`, () => {
    let folder: string;
    let whole: unknown[];
    let tail: number;
    before(async function () {
      this.timeout(60_000);
      folder = join(scratch(), "log");
      await longLog(folder, { released });
      const log = await openOn(folder, { segmentSizes: smallSegments });
      whole = await contents(log);
      tail = await log.book("a").tail();
      await log.backup(`${folder}-backup`);
      await log.close();
    });

    it("from a backup and from the folder of a closed log, with all that conditions see", async () => {
      for (const from of [folder, `${folder}-backup`]) {
        const before = files(from);
        const to = `${folder}-restored-${basename(from)}`;
        const made = await restore(`file:${from}`, to);
        assert.equal(made.position, tail - 1);
        assert.deepEqual(files(from), before);
        const log = await openOn(to);
        const refused = await log
          .book("a")
          .append(Buffer.from("x"), { tags: ["x"], unless: [{ tag: "nr-100", after: 0 }] });
        assert.equal(refused.ok, false);
        await log.close();
        assert.deepEqual((await restored(to)).found, whole);
      }
    });

    it("at a seqnum and at a time: what came later is not there, and its positions are given out again", async function () {
      this.timeout(60_000);
      const older = Number(/\d{16}/.exec(checkpointFiles(`${folder}-backup`)[0]!)![0]);
      const later = whole.map((record) => record as [string, string, number, number]);
      const cuts = released ? [older, older + 1, older + 57, tail - 1] : [0, 1, 100, older, older + 57, tail - 1];
      for (const seqnum of cuts) {
        const to = `${folder}-at-${seqnum}`;
        const made = await restore(`${folder}-backup`, to, { at: { seqnum } });
        assert.equal(made.position, seqnum);
        const { found, next } = await restored(to);
        assert.equal(next, seqnum + 1);
        assert.deepEqual(found, upTo(whole, seqnum), `at ${seqnum}`);
      }
      const [, , seqnum, time] = later.find(([, , at]) => at > older + 200)!;
      const { position } = await restore(`${folder}-backup`, `${folder}-time`, { at: { time } });
      assert.ok(position >= seqnum);
      assert.deepEqual(
        (await restored(`${folder}-time`)).found,
        whole.filter((record) => (record as [string, string, number, number])[3] <= time),
      );
      await assert.rejects(restore(`${folder}-backup`, `${folder}-behind`, { at: { seqnum: tail } }), RangeError);
      assert.ok(!existsSync(`${folder}-behind`));
      await assert.rejects(restore(`${folder}-backup`, `${folder}-behind`, { at: {} as { time: number } }), TypeError);
      if (!released) return;
      for (const at of [{ seqnum: older - 1 }, { time: 1 }])
        await assert.rejects(restore(`${folder}-backup`, `${folder}-before`, { at }), {
          code: "LOG_TRIMMED",
          trimPoint: older,
          message: /not known any more/,
        });
      assert.ok(!existsSync(`${folder}-before`));
    });

    it("refuses a damaged backup by file and position, and leaves nothing", async () => {
      const copy = `${folder}-damaged`;
      const segments = segmentFiles(`${folder}-backup`).map((path) => basename(path));
      const damages: [string, (path: string) => void][] = [
        [segments[1]!, (path) => flip(path, headerBytes + 100)],
        [segments[2]!, (path) => flip(path, 40)],
        [segments.at(-1)!, (path) => rmSync(path)],
        [basename(checkpointFiles(`${folder}-backup`)[1]!), (path) => flip(path, 3000)],
        ["backup.json", (path) => writeFileSync(path, readFileSync(path, "utf8").replace("{", ""))],
      ];
      for (const [name, damage] of damages) {
        copyFolder(`${folder}-backup`, copy);
        damage(join(copy, name));
        await assert.rejects(restore(copy, `${copy}-to`), { code: "LOG_CORRUPT" }, name);
        assert.ok(!existsSync(`${copy}-to`));
      }
      copyFolder(`${folder}-backup`, copy);
      flip(join(copy, segments[1]!), headerBytes + 100);
      await assert.rejects(restore(copy, `${copy}-to`), {
        message: new RegExp(`${segments[1]} is damaged at byte \\d+: position \\d+`),
      });
    });

    it("is refused while the log is open, and ends with LOG_ABORTED", async () => {
      const log: Session = await openOn(folder);
      await assert.rejects(restore(folder, `${folder}-open`), { code: "LOG_LOCKED" });
      await log.close();
      const abort = new AbortController();
      const to = `${folder}-aborted`;
      const aborted = restore(folder, to, { signal: abort.signal, onProgress: () => abort.abort() });
      await assert.rejects(aborted, { code: "LOG_ABORTED" });
      assert.ok(!existsSync(to));
    });
  });
}

describe("restore at a position whose records were trimmed later", () => {
  it("is refused where their room was given back", async () => {
    const folder = join(scratch(), "log");
    const log = await openOn(folder, { segmentSizes: smallSegments });
    const book = log.book("a");
    await append(book, 0, 300);
    await log.engine.checkpoint();
    const older = (await book.tail()) - 1;
    await append(book, 300, 100);
    await book.trim({ upTo: older - 10 });
    await log.engine.checkpoint();
    await log.close();
    assert.ok(segmentFiles(folder)[0]!.endsWith("01.log") === false, "room was given back");
    await assert.rejects(restore(folder, `${folder}-to`, { at: { seqnum: older + 5 } }), {
      code: "LOG_TRIMMED",
      message: /trimmed later/,
    });
    assert.ok(!existsSync(`${folder}-to`));
  });
});
