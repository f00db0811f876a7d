import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openLog } from "../../core/index.js";
import { boki, jsonLines, useFolder } from "./boki.js";

describe("boki append", function () {
  this.timeout(30_000);
  const folder = useFolder();

  async function records(): Promise<[string, readonly string[]][]> {
    await using log = await openLog(`file:${join(folder.path, "data")}`);
    const found: [string, readonly string[]][] = [];
    for await (const record of log.book("b").read()) found.push([record.text(), record.tags]);
    return found;
  }

  it("begins a log, prints the seqnum, and the record is there with its tags", async () => {
    const args = ["append", "data", "--book", "b", "--tag", "a", "-t", "c@d", "--data", "tea"];
    assert.deepEqual(await boki(args, folder.path), { code: 0, stdout: "1\n", stderr: "" });
    assert.deepEqual(await boki(args, folder.path), { code: 0, stdout: "2\n", stderr: "" });
    assert.deepEqual(await records(), [
      ["tea", ["a", "c@d"]],
      ["tea", ["a", "c@d"]],
    ]);
  });

  it("takes standard input byte by byte, a url, and an empty text", async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 10, 0]);
    const url = `file:${join(folder.path, "data")}`;
    assert.equal((await boki(["append", url, "-b", "b", "-t", "t"], folder.path, bytes)).stdout, "1\n");
    assert.equal(
      (await boki(["append", "data", "-b", "b", "-t", "t", "-d", ""], folder.path, "not this")).stdout,
      "2\n",
    );
    await using log = await openLog(url);
    assert.deepEqual(Buffer.from((await log.book("b").readNext({ from: 1 }))!.data), bytes);
    assert.equal((await log.book("b").readNext({ from: 2 }))!.size, 0);
  });

  it("L3 is refused with exit code 1 and the conflict when one of its conditions does not hold", async () => {
    const base = ["append", "data", "-b", "b", "-t", "lock@home", "-d", "mine", "--unless", "other@0", "--unless"];
    assert.equal((await boki([...base, "lock@home@0"], folder.path)).stdout, "1\n");
    const refused = await boki([...base, "lock@home@0"], folder.path);
    assert.deepEqual(refused, { code: 1, stdout: "", stderr: 'boki: refused: the last record of "lock@home" is 1\n' });
    const json = await boki([...base, "lock@home@0", "--json"], folder.path);
    assert.equal(json.code, 1);
    assert.deepEqual(jsonLines(json.stdout), [{ ok: false, conflict: { tag: "lock@home", seqnum: 1 } }]);
    const passed = await boki([...base, "lock@home@1", "--json"], folder.path);
    assert.equal(passed.code, 0);
    const [result] = jsonLines(passed.stdout);
    assert.deepEqual({ ...result, time: 0 }, { ok: true, seqnum: 4, time: 0 });
    assert.equal((await records()).length, 2);
  });

  it("refuses more input than a record holds, and appends nothing", async () => {
    const input = Buffer.alloc(16 * 1024 * 1024 + 1);
    const { code, stderr } = await boki(["append", "data", "-b", "b", "-t", "t"], folder.path, input);
    assert.equal(code, 3);
    assert.match(stderr, /^boki: LOG_TOO_LARGE: .*16777216 bytes/);
    assert.deepEqual(await records(), []);
  });

  for (const [what, args, message] of [
    ["no tag", ["-b", "b", "-d", "x"], /required option '-t, --tag <tag>'/],
    ["a condition without a seqnum", ["-b", "b", "-t", "t", "-d", "x", "--unless", "t"], /Write TAG@SEQNUM/],
    ["a condition with a seqnum that is none", ["-b", "b", "-t", "t", "-d", "x", "--unless", "t@1.5"], /TAG@SEQNUM/],
    ["a seqnum above 2^53-1", ["-b", "b", "-t", "t", "-d", "x", "--unless", "t@9007199254740992"], /2\^53-1/],
  ] as const) {
    it(`refuses ${what} with exit code 2, the remedy and the usage, and makes no log`, async () => {
      const { code, stdout, stderr } = await boki(["append", "data", ...args], folder.path);
      assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
      assert.match(stderr, message);
      assert.match(stderr, /^usage: boki append \[options\] <log>$/m);
      assert.match(stderr, /^More: boki append --help$/m);
      assert.equal(existsSync(join(folder.path, "data")), false);
    });
  }

  it("refuses a tag that is none with exit code 2", async () => {
    const { code, stderr } = await boki(["append", "data", "-b", "b", "-t", "", "-d", "x"], folder.path);
    assert.equal(code, 2);
    assert.match(stderr, /a tag must have 1 to 255 UTF-8 bytes/);
  });
});
