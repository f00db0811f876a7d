import assert from "node:assert/strict";
import { existsSync, readdirSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { boki, jsonLines, makeLog, record, useFolder } from "./boki.js";

describe("boki read, tail, stat and trim", function () {
  this.timeout(30_000);
  const folder = useFolder();
  const binary = Uint8Array.from([0xff, 0x00, 0x0a]);

  beforeEach(() =>
    makeLog(folder.path, [
      record("one", "odd", "all"),
      record("two\n\u001b[31m", "all"),
      record(binary, "odd", "all"),
      record("fo\u2028ur", "all"),
      record("five", "odd", "all"),
    ]),
  );

  /** Data of the records that a command prints as JSON. */
  async function data(...args: string[]): Promise<unknown[]> {
    const { code, stdout, stderr } = await boki([...args, "--json"], folder.path);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    return jsonLines<{ data: unknown }>(stdout).map((line) => line.data);
  }
  const base64 = { base64: "/wAK" };

  it("read prints a line a record, whatever is in it", async () => {
    const { code, stdout } = await boki(["read", "data", "--book", "b"], folder.path);
    assert.equal(code, 0);
    const lines = stdout.trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => line.split("\t").filter((_, column) => column !== 1)),
      [
        ["1", "odd,all", "one"],
        ["2", "all", "two\\n\\u001b[31m"],
        ["3", "odd,all", "base64:/wAK"],
        ["4", "all", "fo\\u2028ur"],
        ["5", "odd,all", "five"],
      ],
    );
    assert.match(lines[0]!.split("\t")[1]!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it("read takes a tag, bounds, a limit and a direction", async () => {
    const read = (...args: string[]) => data("read", "data", "-b", "b", ...args);
    assert.deepEqual(await read("--tag", "odd"), ["one", base64, "five"]);
    assert.deepEqual(await read("--from", "2", "--to", "4"), ["two\n\u001b[31m", base64, "fo\u2028ur"]);
    assert.deepEqual(await read("--reverse", "--limit", "2"), ["five", "fo\u2028ur"]);
    assert.deepEqual(await read("-r", "--tag", "odd", "--to", "4", "-n", "1"), [base64]);
    assert.deepEqual(await read("--limit", "0"), []);
  });

  it("read --json has all of a record, with --head all but its data", async () => {
    const { stdout } = await boki(["read", "data", "-b", "b", "--to", "1", "--json"], folder.path);
    const [line] = jsonLines<{ time: number }>(stdout);
    assert.ok(Math.abs(line!.time - Date.now()) < 60_000);
    assert.deepEqual({ ...line, time: 0 }, { seqnum: 1, time: 0, tags: ["odd", "all"], size: 3, data: "one" });
    const head = await boki(["read", "data", "-b", "b", "--to", "1", "--json", "--head"], folder.path);
    assert.deepEqual(Object.keys(jsonLines(head.stdout)[0]!), ["seqnum", "time", "tags", "size"]);
    const text = await boki(["read", "data", "-b", "b", "--to", "1", "--head"], folder.path);
    assert.match(text.stdout, /\todd,all\t3 bytes\n$/);
  });

  it("read --raw gives the bytes and nothing else", async () => {
    const { stdout } = await boki(["read", "data", "-b", "b", "--raw", "--to", "2"], folder.path);
    assert.equal(stdout, "onetwo\n\u001b[31m");
  });

  it("tail prints the last records, oldest of them first", async () => {
    assert.deepEqual(await data("tail", "data", "-b", "b", "-n", "2"), ["fo\u2028ur", "five"]);
    assert.deepEqual(await data("tail", "data", "-b", "b", "--tag", "odd", "-n", "2"), [base64, "five"]);
    assert.equal((await data("tail", "data", "-b", "b")).length, 5);
    assert.deepEqual(await data("tail", "data", "-b", "b", "-n", "0"), []);
  });

  it("stat prints the figures, for people and as JSON", async () => {
    const { code, stdout } = await boki(["stat", "data", "--json"], folder.path);
    assert.equal(code, 0);
    const [figures] = jsonLines<Record<string, number>>(stdout);
    const { id, durability, tail, records, books, recovered } = figures!;
    assert.match(String(id), /^[0-9a-f]{32}$/);
    assert.deepEqual(
      { durability, tail, records, books, recovered },
      { durability: "disk", tail: 6, records: 5, books: ["b"], recovered: null },
    );
    for (const name of ["tags", "diskBytes", "logBytes", "indexBytes"]) assert.ok(figures![name]! > 0, name);
    const text = await boki(["stat", "data"], folder.path);
    assert.match(text.stdout, new RegExp(`^id +${String(id)}$`, "m"));
    assert.match(text.stdout, /^records +5$/m);
    assert.match(text.stdout, /^books +b$/m);
  });

  it("L6 trim removes the beginning of a stream or of the book, and reads below it are LOG_TRIMMED", async () => {
    const trim = (...args: string[]) => boki(["trim", "data", "-b", "b", ...args], folder.path);
    assert.deepEqual(await trim("--tag", "odd", "--up-to", "1"), { code: 0, stdout: "trimmed up to 1\n", stderr: "" });
    assert.deepEqual(await data("read", "data", "-b", "b", "--tag", "odd"), [base64, "five"]);
    assert.equal((await data("read", "data", "-b", "b")).length, 5);
    const json = await trim("--up-to", "3", "--json");
    assert.deepEqual(jsonLines(json.stdout), [{ book: "b", upTo: 3 }]);
    assert.deepEqual(await data("read", "data", "-b", "b"), ["fo\u2028ur", "five"]);
    const below = await boki(["read", "data", "-b", "b", "--from", "2"], folder.path);
    assert.equal(below.code, 3);
    assert.match(below.stderr, /^boki: LOG_TRIMMED: .* trim point 3 .*read from 4 on/);
  });

  it("trim refuses what is at or above the tail with exit code 2", async () => {
    const { code, stderr } = await boki(["trim", "data", "-b", "b", "--up-to", "6"], folder.path);
    assert.equal(code, 2);
    assert.match(stderr, /6 is not below the tail 6/);
    assert.equal((await data("read", "data", "-b", "b")).length, 5);
  });

  it("a book that is not there is told, with those that are, and is no fault", async () => {
    for (const args of [["read"], ["tail"], ["export"]]) {
      const { code, stdout, stderr } = await boki([...args, "data", "-b", "bb"], folder.path);
      assert.deepEqual(
        { code, stdout, stderr },
        { code: 0, stdout: "", stderr: 'boki: no records in a book "bb"; there are "b"\n' },
      );
    }
  });

  it("a log that is not there is LOG_NOT_A_LOG with exit code 3, and none is made", async () => {
    mkdirSync(join(folder.path, "empty"));
    for (const place of ["absent", "file:absent", "empty"]) {
      for (const args of [
        ["read", "-b", "b"],
        ["tail", "-b", "b"],
        ["stat"],
        ["export", "-b", "b"],
        ["trim", "-b", "b", "--up-to", "1"],
      ]) {
        const { code, stdout, stderr } = await boki([args[0]!, place, ...args.slice(1)], folder.path);
        assert.deepEqual({ code, stdout }, { code: 3, stdout: "" });
        assert.match(stderr, /^boki: LOG_NOT_A_LOG: there is no log in .*spelling/);
      }
    }
    assert.equal(existsSync(join(folder.path, "absent")), false);
    assert.deepEqual(readdirSync(join(folder.path, "empty")), []);
  });
});
