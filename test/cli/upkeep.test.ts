import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLog } from "../../core/index.js";
import { boki, jsonLines, makeLog, record, useFolder } from "./boki.js";

describe("boki verify, repair, backup and restore", function () {
  this.timeout(30_000);
  const folder = useFolder();
  const at = (name: string): string => join(folder.path, name);

  beforeEach(() => makeLog(folder.path, [record("first"), record("second"), record("third")]));

  async function texts(log: string): Promise<string[]> {
    await using opened = await openLog(`file:${at(log)}`);
    const found: string[] = [];
    for await (const one of opened.book("b").read()) found.push(one.text());
    return found;
  }

  /** Changes a byte of the second record on disk. */
  function damage(): void {
    const segment = at("data/0000000001.log");
    const bytes = readFileSync(segment);
    bytes[bytes.indexOf("second")] = 0x5a;
    writeFileSync(segment, bytes);
  }

  it("verify finds nothing in a whole log", async () => {
    const text = await boki(["verify", "data"], folder.path);
    assert.equal(text.code, 0);
    assert.match(text.stdout, /^3 records, \d+ bytes: nothing is damaged\n$/);
    const json = await boki(["verify", "data", "--json"], folder.path);
    const [found] = jsonLines(json.stdout);
    assert.deepEqual({ ...found, bytes: 0 }, { ok: true, records: 3, bytes: 0, damage: [] });
  });

  it("verify names file and place of damage with exit code 1, and changes nothing", async () => {
    damage();
    const before = readFileSync(at("data/0000000001.log"));
    const text = await boki(["verify", "data"], folder.path);
    assert.equal(text.code, 1);
    assert.match(text.stdout, /0000000001\.log at byte \d+, position 2: /);
    assert.match(text.stderr, /boki restore.*boki repair/);
    const json = await boki(["verify", "data", "--json"], folder.path);
    assert.equal(json.code, 1);
    const [found] = jsonLines<{ ok: boolean; damage: { position: number }[] }>(json.stdout);
    assert.equal(found!.ok, false);
    assert.deepEqual(
      found!.damage.map(({ position }) => position),
      [2],
    );
    assert.deepEqual(readFileSync(at("data/0000000001.log")), before);
  });

  it("repair keeps what is whole, says what is lost with exit code 1, and leaves a log that verifies", async () => {
    damage();
    const { code, stdout } = await boki(["repair", "data", "--json"], folder.path);
    assert.equal(code, 1);
    const [{ kept, lost }] = jsonLines<{ kept: number; lost: string[] }>(stdout) as [{ kept: number; lost: string[] }];
    assert.equal(kept, 2);
    assert.ok(lost.length > 0);
    assert.equal((await boki(["verify", "data"], folder.path)).code, 0);
    assert.deepEqual(await texts("data"), ["first", "third"]);
    assert.equal((await boki(["repair", "data"], folder.path)).code, 0);
  });

  it("backup copies the log, and restore makes a log of its own of it, whole or as it was", async () => {
    const backup = await boki(["backup", "data", "kept", "--json"], folder.path);
    assert.equal(backup.code, 0, backup.stderr);
    const [copied] = jsonLines(backup.stdout);
    assert.equal(copied!["records"], 3);
    const whole = await boki(["restore", "kept", "whole", "--json"], folder.path);
    const [restored] = jsonLines<{ records: number; id: string }>(whole.stdout);
    assert.equal(restored!.records, 3);
    assert.deepEqual(await texts("whole"), ["first", "second", "third"]);
    await using original = await openLog(`file:${at("data")}`);
    assert.notEqual(restored!.id, original.id);

    assert.equal((await boki(["restore", "kept", "early", "--at", "2"], folder.path)).code, 0);
    assert.deepEqual(await texts("early"), ["first", "second"]);
    assert.equal((await boki(["restore", "kept", "late", "--at", "2100-01-01T00:00:00Z"], folder.path)).code, 0);
    assert.deepEqual(await texts("late"), ["first", "second", "third"]);
  });

  it("restore refuses a moment that is none with exit code 2, and a folder that has something in it", async () => {
    assert.equal((await boki(["backup", "data", "kept"], folder.path)).code, 0);
    const { code, stderr } = await boki(["restore", "kept", "new", "--at", "yesterday"], folder.path);
    assert.equal(code, 2);
    assert.match(stderr, /Give a seqnum such as 4711, or a time such as 2026-01-31T09:30:00Z/);
    assert.equal(existsSync(at("new")), false);
    assert.notEqual((await boki(["restore", "kept", "data"], folder.path)).code, 0);
    assert.deepEqual(await texts("data"), ["first", "second", "third"]);
  });

  it("verify, repair and backup of a log that is not there are exit code 3, and make none", async () => {
    for (const args of [
      ["verify", "absent"],
      ["repair", "absent"],
      ["backup", "absent", "kept"],
    ]) {
      const { code, stderr } = await boki(args, folder.path);
      assert.equal(code, 3);
      assert.match(stderr, /LOG_NOT_A_LOG/);
    }
    assert.equal(existsSync(at("absent")), false);
    assert.equal(existsSync(at("kept")), false);
  });
});
