import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLog, type LogRecord } from "../../core/index.js";
import { boki, jsonLines, makeLog, record, shell, startBoki, useFolder } from "./boki.js";

describe("boki import and export", function () {
  this.timeout(30_000);
  const folder = useFolder();
  const at = (name: string): string => join(folder.path, name);
  const good = (n: number): string => JSON.stringify({ data: `record ${n}`, tags: ["t", `n:${n}`] });

  async function texts(log: string): Promise<string[]> {
    await using opened = await openLog(`file:${at(log)}`);
    const found: string[] = [];
    for await (const { data } of opened.book("b").read()) found.push(Buffer.from(data).toString("latin1"));
    return found;
  }

  it("bring every byte of a book to another log, in order, with its tags", async () => {
    const datas = [
      "text",
      "",
      "\u{1F375} tea\r\n\u2028\u0000\u0085",
      "\uFEFFwith a mark",
      Uint8Array.of(0xff, 0xfe),
      Uint8Array.of(0xed, 0xa0, 0x80), // a surrogate, which is no UTF-8
      Uint8Array.from({ length: 256 }, (_, i) => i),
      Buffer.alloc(3 * 1024 * 1024, "long "),
    ];
    await makeLog(
      folder.path,
      datas.map((data, i) => record(data, `tag ${i}`, "\u2028 odd tag")),
    );
    assert.deepEqual(await boki(["export", "data", "out.jsonl", "--book", "b"], folder.path), {
      code: 0,
      stdout: `${datas.length} records exported\n`,
      stderr: "",
    });
    const imported = await boki(["import", "copy", "out.jsonl", "--book", "b", "--json"], folder.path);
    assert.deepEqual(jsonLines(imported.stdout), [{ imported: datas.length, first: 1, last: datas.length }]);
    await using from = await openLog(`file:${at("data")}`);
    await using to = await openLog(`file:${at("copy")}`);
    const copies = to.book("b").read();
    for await (const original of from.book("b").read()) {
      const copy = (await copies.next()).value as LogRecord;
      assert.ok(Buffer.from(original.data).equals(Buffer.from(copy.data)), original.tags[0]);
      assert.deepEqual(copy.tags, original.tags);
    }
    assert.equal((await copies.next()).done, true);
  });

  it("work as a pipe, of one tag, and take what read --json prints", async () => {
    await makeLog(folder.path, [record("a", "x"), record("b", "y"), record("c", "x")]);
    const piped = await shell(
      "boki export data --book b --tag x | boki import copy --book b && boki read data -b b --json | boki import copy - -b b",
      folder.path,
    );
    assert.deepEqual(piped, { code: 0, stdout: "2 records imported\n3 records imported\n", stderr: "" });
    assert.deepEqual(await texts("copy"), ["a", "c", "a", "b", "c"]);
  });

  it("export writes { data, tags, time }, with the time of the log", async () => {
    await makeLog(folder.path, [record("a", "x"), record(Uint8Array.of(255), "y")]);
    const lines = jsonLines<{ time: number }>((await boki(["export", "data", "-b", "b"], folder.path)).stdout);
    for (const { time } of lines) assert.ok(Math.abs(time - Date.now()) < 60_000);
    assert.deepEqual(
      lines.map((line) => ({ ...line, time: 0 })),
      [
        { data: "a", tags: ["x"], time: 0 },
        { data: { base64: "/w==" }, tags: ["y"], time: 0 },
      ],
    );
  });

  it("export writes over a file only when told so", async () => {
    await makeLog(folder.path, [record("a")]);
    writeFileSync(at("out"), "precious");
    const refused = await boki(["export", "data", "out", "-b", "b"], folder.path);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /out is there already; .*--force/);
    assert.equal(readFileSync(at("out"), "utf8"), "precious");
    const forced = await boki(["export", "data", "out", "-b", "b", "--force", "--json"], folder.path);
    assert.deepEqual(jsonLines(forced.stdout), [{ exported: 1, file: "out" }]);
    assert.equal(jsonLines(readFileSync(at("out"), "utf8")).length, 1);
  });

  it("export that fails leaves a file that was there as it was, and nothing else", async function () {
    if (process.platform === "win32") this.skip();
    // 3.3 MB of bytes are 4.4 MB of base64. Files end at 4.3 MB here: enough for the log, not for the export.
    const bytes = Buffer.alloc(10_000, 0xff);
    await makeLog(
      folder.path,
      Array.from({ length: 330 }, () => record(bytes)),
    );
    writeFileSync(at("out"), "precious");
    const { code, stderr } = await shell("ulimit -f 4200; boki export data out -b b --force", folder.path);
    assert.equal(code, 3);
    assert.match(stderr, /^boki: EFBIG/);
    assert.deepEqual(readdirSync(folder.path), ["data", "out"]);
    assert.equal(readFileSync(at("out"), "utf8"), "precious");
  });

  const damaged: Readonly<Record<string, readonly [line: string | Buffer, message: RegExp]>> = {
    "cut off": ['{"data":"x","ta', /it is not JSON/],
    "no object": ["[1]", /it is not a JSON object/],
    "not UTF-8": [Buffer.from('{"data":"caf\xe9","tags":["t"]}', "latin1"), /it is not UTF-8/],
    "without data": ['{"tags":["t"]}', /neither a string nor/],
    "with a field that nothing knows": ['{"data":"x","tag":"t"}', /a field "tag", not one of data, tags/],
    "with damaged base64": ['{"data":{"base64":"/w=!"},"tags":["t"]}', /base64 is damaged/],
    "with an unpaired surrogate": ['{"data":"\\ud800","tags":["t"]}', /unpaired surrogate/],
    "without tags": ['{"data":"x"}', /tags must be an array/],
    "with an empty tag": ['{"data":"x","tags":["t",""]}', /1 to 255 UTF-8 bytes/],
  };
  for (const [what, [line, message]] of Object.entries(damaged)) {
    it(`import stops at a line ${what}, keeps what came before, and says how to go on`, async () => {
      const file = Buffer.concat([
        Buffer.from(`${good(1)}\n\n${good(2)}\n`),
        Buffer.from(line),
        Buffer.from(`\n${good(3)}\n${good(4)}\n`),
      ]);
      writeFileSync(at("in.jsonl"), file);
      const { code, stdout, stderr } = await boki(["import", "copy", "in.jsonl", "--book", "b"], folder.path);
      assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
      assert.match(stderr, /^boki: line 4 is damaged: /);
      assert.match(stderr, message);
      assert.match(stderr, /2 records were imported/);
      assert.deepEqual(await texts("copy"), ["record 1", "record 2"]);

      // What the message says, done: mend the line, and go on with the command.
      const lines = file.toString("latin1").split("\n");
      lines[3] = good(5);
      writeFileSync(at("in.jsonl"), lines.join("\n"));
      const goOn = /go on with: (boki import .*)\n/.exec(stderr)?.[1];
      assert.ok(goOn !== undefined, stderr);
      assert.equal((await shell(goOn, folder.path)).stdout, "3 records imported\n");
      assert.deepEqual(await texts("copy"), ["record 1", "record 2", "record 5", "record 3", "record 4"]);
    });
  }

  it("import tells damage with --json too", async () => {
    const { code, stdout } = await boki(["import", "copy", "-b", "b", "--json"], folder.path, `${good(1)}\noops\n`);
    assert.equal(code, 1);
    const [outcome] = jsonLines<{ damaged: { what: string } }>(stdout);
    assert.match(outcome!.damaged.what, /not JSON/);
    assert.deepEqual(
      { ...outcome, damaged: { ...outcome!.damaged, what: "" } },
      { imported: 1, fromLine: 2, damaged: { line: 2, what: "" } },
    );
  });

  it("import that fails in the middle says how far it came, and going on there loses and doubles nothing", async function () {
    if (process.platform === "win32") this.skip();
    const lines = Array.from({ length: 40_000 }, (_, i) =>
      JSON.stringify({ data: `${i} ${"x".repeat(200)}`, tags: ["t"] }),
    );
    writeFileSync(at("in.jsonl"), lines.join("\n"));
    // Files end at 5 MB here: some segment cannot be made.
    const failed = await shell("ulimit -f 5000; boki import copy in.jsonl -b b --json", folder.path);
    assert.equal(failed.code, 3, failed.stderr);
    assert.match(failed.stderr, /LOG_FULL/);
    const [{ imported, fromLine }] = jsonLines<{ imported: number; fromLine: number }>(failed.stdout) as [
      { imported: number; fromLine: number },
    ];
    assert.ok(imported > 0 && imported < lines.length);
    assert.equal(fromLine, imported + 1);
    const rest = await shell(`boki import copy in.jsonl -b b --from-line ${fromLine}`, folder.path);
    assert.equal(rest.stdout, `${lines.length - imported} records imported\n`);
    assert.deepEqual(
      (await texts("copy")).map((text) => Number(text.split(" ")[0])),
      lines.map((_, i) => i),
    );
  });

  it("import works on what is there while its input stays open; Ctrl-C ends it and says where it is", async () => {
    const { child, ended } = startBoki(["import", "copy", "-b", "b"], folder.path);
    child.stdin!.write(`${good(1)}\n${good(2)}\n{"data":"half`);
    const segment = at("copy/0000000001.log");
    while (!existsSync(segment) || !readFileSync(segment).includes("record 2")) await new Promise(setImmediate);
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    assert.equal(code, 130);
    assert.match(stderr, /2 records were imported, .*go on with: boki import copy - --book b --from-line 3/);
    assert.deepEqual(await texts("copy"), ["record 1", "record 2"]);
  });

  it("import of a file that is not there begins no log", async () => {
    const { code, stderr } = await boki(["import", "copy", "absent.jsonl", "-b", "b"], folder.path);
    assert.equal(code, 3);
    assert.match(stderr, /no such file.*absent\.jsonl/);
    assert.equal(existsSync(at("copy")), false);
  });
});
