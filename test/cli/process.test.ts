/** How commands begin and end: usage, exit codes, locked folders, pipes, terminals, signals. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLog } from "../../core/index.js";
import { boki, makeLog, record, root, shell, startBoki, useFolder } from "./boki.js";

/** The commands that the help lists. */
async function commands(): Promise<string[]> {
  const { stdout } = await boki(["--help"], ".");
  const list = stdout.slice(stdout.indexOf("Commands:"));
  return [...list.matchAll(/^ {2}(\w+) \[options\]/gm)].map((match) => match[1]!);
}

describe("boki", function () {
  this.timeout(60_000);
  const folder = useFolder();

  it("has help with an example and the exit codes for every command", async () => {
    const names = await commands();
    for (const name of ["append", "read", "tail", "stat", "import", "export", "trim"]) assert.ok(names.includes(name));
    for (const args of [["--help"], ["help"], ...names.map((name) => [name, "--help"])]) {
      const { code, stdout, stderr } = await boki(args, folder.path);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
      assert.match(stdout, /^Examples?:\n.*boki \w+ \.\//m);
      assert.match(stdout, /^Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}3 /m);
    }
  });

  it("prints its version", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    assert.deepEqual(await boki(["--version"], folder.path), { code: 0, stdout: `${version}\n`, stderr: "" });
  });

  for (const [args, message] of [
    [[], /Usage: boki/],
    [["reed", "data"], /unknown command 'reed'\n\(Did you mean read\?\)/],
    [["read"], /required option '-b, --book <name>'|missing required argument 'log'/],
    [["read", "data"], /required option '-b, --book <name>'/],
    [["read", "data", "more", "-b", "b"], /too many arguments/],
    [["read", "data", "-b", "b", "--form", "1"], /unknown option '--form'\n\(Did you mean --from\?\)/],
    [["read", "data", "-b", "b", "--from", "-1"], /'-1' is invalid. A seqnum is an integer/],
    [["read", "data", "-b", "b", "--from"], /argument missing/],
    [["read", "data", "-b", "b", "--limit", "many"], /'many' is invalid. Give an integer/],
    [["read", "data", "-b", "b", "--raw", "--json"], /'--raw' cannot be used with option '--json'/],
    [["read", "data", "-b", ""], /the name of a book must have 1 to 255/],
    [["read", "memory:", "-b", "b"], /memory: would end with this command; give the folder/],
    [["read", "redis://x", "-b", "b"], /no url of a log; use .*file:DIR/],
    [["read", "", "-b", "b"], /LOG is empty; give the folder/],
    [["stat", "file:"], /names no folder; write for example/],
    [["tail", "data", "-b", "b", "-n", "1.5"], /Give an integer/],
    [["import", "copy", "-b", "b", "--from-line", "x"], /Give an integer/],
    [["trim", "data", "-b", "b"], /required option '--up-to <seqnum>'/],
  ] as const) {
    it(`${["boki", ...args.map((arg) => arg || '""')].join(" ")} is exit code 2 with the remedy, and prints nothing`, async () => {
      await makeLog(folder.path, [record("a")]);
      const { code, stdout, stderr } = await boki(args, folder.path);
      assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
      assert.match(stderr, message);
      assert.equal(existsSync(join(folder.path, "copy")), false);
    });
  }

  it("tells on a folder that another process has open who that is and what to do, with exit code 3", async () => {
    await using log = await openLog(`file:${join(folder.path, "data")}`);
    await log.book("b").append(Buffer.from("a"), { tags: ["t"] });
    for (const args of [
      ["stat", "data"],
      ["read", "data", "-b", "b"],
      ["append", "data", "-b", "b", "-t", "t", "-d", "x"],
    ]) {
      const { code, stdout, stderr } = await boki(args, folder.path);
      assert.deepEqual({ code, stdout }, { code: 3, stdout: "" });
      assert.match(stderr, new RegExp(`^boki: LOG_LOCKED: .*process ${process.pid} on .*close it there`));
    }
  });

  it("works beside a program that shares the folder", async () => {
    await using log = await openLog(`file:${join(folder.path, "data")}`, { share: true });
    const { seqnum } = await log.book("b").append(Buffer.from("first"), { tags: ["t"] });
    const run = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await boki(args, folder.path);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    await run("append", "data", "-b", "b", "-t", "t", "-d", "second");
    assert.deepEqual((await log.book("b").readPrev())!.text(), "second");
    assert.equal(await run("read", "data", "-b", "b", "--raw"), "firstsecond");
    assert.equal((JSON.parse(await run("stat", "data", "--json")) as { records: number }).records, 2);
    assert.match(await run("verify", "data"), /^2 records, .*nothing is damaged/);
    await run("backup", "data", "copy");
    await run("trim", "data", "-b", "b", "--up-to", String(seqnum));
    assert.equal(await run("read", "data", "-b", "b", "--raw"), "second");
    assert.equal((JSON.parse(await run("verify", "copy", "--json")) as { records: number }).records, 2);
  });

  it("says what a crash has left torn, once", async () => {
    await makeLog(folder.path, [record("a"), record("b")]);
    const segment = join(folder.path, "data/0000000001.log");
    const bytes = readFileSync(segment);
    // The last byte of the second record, and all behind it: what a kill in the middle of a write leaves.
    writeFileSync(segment, bytes.subarray(0, bytes.lastIndexOf("tb") + 1));
    const first = await boki(["stat", "data", "--json"], folder.path);
    assert.equal(first.code, 0, first.stderr);
    const { recovered } = JSON.parse(first.stdout) as { recovered: { bytes: number; position: number } };
    assert.equal(recovered.position, 2);
    assert.match(first.stderr, new RegExp(`^boki: ${recovered.bytes} bytes torn by a crash.*cut off`));
    assert.equal((await boki(["stat", "data"], folder.path)).stderr, "");
  });

  describe("with much to print", () => {
    beforeEach(() =>
      makeLog(
        folder.path,
        Array.from({ length: 2000 }, (_, i) => record(`${i} ${"x".repeat(1000)}`)),
      ),
    );

    for (const command of ["read data -b b", "read data -b b --raw", "tail data -b b -n 2000", "export data -b b"]) {
      it(`boki ${command} | head ends quietly and well, and the log can be opened again`, async () => {
        const { stdout, stderr } = await shell(
          `boki ${command} | head -c 10 >/dev/null; echo "\${PIPESTATUS[0]}"`,
          folder.path,
        );
        assert.deepEqual({ stdout, stderr }, { stdout: "0\n", stderr: "" });
        await (await openLog(`file:${join(folder.path, "data")}`)).close();
      });
    }

    it("a full disk under the output is a fault, not the end", async function () {
      if (!existsSync("/dev/full")) this.skip();
      for (const command of ["read data -b b", "read data -b b --limit 1", "stat data --json"]) {
        const { code, stderr } = await shell(`boki ${command} > /dev/full`, folder.path);
        assert.equal(code, 3, command);
        assert.match(stderr, /^boki: writing the output failed: ENOSPC/);
      }
    });

    it("shows a bar on stderr where that is a terminal, and only there", async function () {
      if (process.platform !== "linux" || !existsSync("/usr/bin/script")) this.skip();
      const terminal = `script -qec '"${process.execPath}" "$PROGRAM" export data out -b b --force' /dev/null`;
      const shown = await shell(`PROGRAM="${join(root, "dist/cli/boki.js")}" ${terminal}`, folder.path);
      assert.equal(shown.code, 0);
      assert.match(shown.stdout, /export \[=+-*\] \d+% [\d,]+\/2,001/);
      const piped = await boki(["export", "data", "out", "-b", "b", "--force"], folder.path);
      assert.deepEqual(piped, { code: 0, stdout: "2000 records exported\n", stderr: "" });
    });
  });

  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    it(`tail -f shows what is there at once, and ends with ${code} on ${signal}, leaving the log closed`, async () => {
      await makeLog(folder.path, [record("first"), record("second")]);
      const { child, ended } = startBoki(["tail", "data", "-b", "b", "-n", "1", "-f", "--json"], folder.path);
      await new Promise((resolve) => child.stdout!.once("data", resolve));
      child.kill(signal);
      const { stdout, ...rest } = await ended;
      assert.match(stdout, /"data":"second"/);
      assert.deepEqual(rest, { code, stderr: "boki: interrupted\n" });
      await using log = await openLog(`file:${join(folder.path, "data")}`);
      assert.equal(log.recovered, undefined);
      assert.equal((await log.book("b").readPrev())!.text(), "second");
    });
  }

  it("append ends on Ctrl-C while it waits for its input, and appends nothing", async () => {
    const { child, ended } = startBoki(["append", "data", "-b", "b", "-t", "t"], folder.path);
    child.stdin!.write("half of the da");
    while (!existsSync(join(folder.path, "data/.lock.1"))) await new Promise(setImmediate);
    child.kill("SIGINT");
    assert.deepEqual(await ended, { code: 130, stdout: "", stderr: "boki: interrupted\n" });
    await using log = await openLog(`file:${join(folder.path, "data")}`);
    assert.equal(await log.book("b").readNext(), undefined);
  });
});
