import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLog } from "../../core/index.js";
import { crc32 } from "node:zlib";

const core = fileURLToPath(new URL("../../core/index.js", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a script that may use `openLog` in a process of its own. */
function run(
  script: string,
  options: { uid?: number } = {},
): { child: ChildProcess; said: Promise<string>; ended: Promise<Ended> } {
  const source = `import { openLog } from ${JSON.stringify(core)};\n${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
    ...options,
  });
  let output = "";
  const said = new Promise<string>((resolve) => {
    child.stdout.on("data", (text) => {
      output += String(text);
      resolve(output.trim());
    });
  });
  const ended = new Promise<Ended>((resolve) =>
    child.once("close", (code) => resolve({ code, output: output.trim() })),
  );
  return { child, said, ended };
}

describe("a folder and its owner", () => {
  const root = mkdtempSync(join(tmpdir(), "boki-folders-"));
  let folders = 0;
  let folder = "";
  beforeEach(() => {
    folder = join(root, String(++folders));
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  it("is refused to a second process, which learns the owner's pid", async () => {
    const log = await openLog(`file:${folder}`);
    const { output } = await run(
      `await openLog("file:${folder}").catch((error) => console.log(error.code, error.retryable, error.message));`,
    ).ended;
    assert.match(output, new RegExp(`^LOG_LOCKED true .*process ${process.pid} on .*close it there`));
    await log.book("b").append(Buffer.from("still mine"), { tags: ["t"] });
    await log.close();
  });

  it("is free at once when its owner is killed, with all that was acknowledged", async () => {
    const { child, said, ended } = run(`
      const log = await openLog("file:${folder}");
      await log.book("b").append(Buffer.from("acknowledged"), { tags: ["t"] });
      console.log("ready");
      setInterval(() => {}, 1000);`);
    assert.equal(await said, "ready");
    await assert.rejects(openLog(`file:${folder}`), { code: "LOG_LOCKED" });
    child.kill("SIGKILL");
    await ended;
    const log = await openLog(`file:${folder}`);
    assert.equal((await log.book("b").readNext({ tag: "t" }))!.text(), "acknowledged");
    await log.close();
  });

  it("opened twice in one process is one log: same id, same records, closed by the last", async () => {
    const [first, second] = await Promise.all([openLog(`file:${folder}`), openLog(`file:${folder}/.`)]);
    assert.equal(first.id, second.id);
    await first.book("b").append(Buffer.from("1"), { tags: ["t"] });
    assert.equal((await second.book("b").readNext())!.text(), "1");
    await first.close();
    await second.book("b").append(Buffer.from("2"), { tags: ["t"] });
    await second.close();
    const again = await openLog(`file:${folder}`, { cacheBytes: 0 });
    assert.equal(await again.book("b").tail(), 3);
    await again.close();
  });

  it("opened twice with differing options is refused by the option's name", async () => {
    const log = await openLog(`file:${folder}`, { durability: "os" });
    await assert.rejects(openLog(`file:${folder}`), {
      name: "TypeError",
      message: /another durability \("os", not "disk"\)/,
    });
    await assert.rejects(openLog(`file:${folder}`, { durability: "os", cacheBytes: 7 }), {
      message: /another cacheBytes/,
    });
    await log.close();
  });

  it("that may not be written is LOG_IO with a remedy", async function () {
    if (process.getuid?.() !== 0) this.skip();
    mkdirSync(folder, { recursive: true });
    chmodSync(root, 0o755);
    chmodSync(folder, 0o555);
    const script = `await openLog("file:${folder}").catch((error) => console.log(error.code, error.message));`;
    const { output } = await run(script, { uid: 65_534 }).ended;
    assert.match(output, /^LOG_IO .*must be writable/);
  });

  it("that is no log, or a file, is LOG_NOT_A_LOG and left as it is", async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "thesis.docx"), "precious");
    await assert.rejects(openLog(`file:${folder}`), { code: "LOG_NOT_A_LOG", message: /thesis\.docx/ });
    assert.equal(readFileSync(join(folder, "thesis.docx"), "utf8"), "precious");
    await assert.rejects(openLog(`file:${join(folder, "thesis.docx")}`), { code: "LOG_NOT_A_LOG" });
    writeFileSync(join(folder, "0000000001.log"), "no header");
    await assert.rejects(openLog(`file:${folder}`), { code: "LOG_NOT_A_LOG" });
  });

  it("L10 of a newer format is LOG_VERSION, and left as it is", async () => {
    await (await openLog(`file:${folder}`)).close();
    const path = join(folder, "0000000001.log");
    const bytes = readFileSync(path);
    bytes.writeUInt32LE(2, 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 72)), 72);
    writeFileSync(path, bytes);
    await assert.rejects(openLog(`file:${folder}`), {
      code: "LOG_VERSION",
      message: /has format 2; this version of boki reads up to 1/,
    });
    assert.deepEqual(readFileSync(path), bytes);
  });

  it("refuses urls and options that are none", async () => {
    for (const url of ["", "data", "redis://x", "file:", 7 as unknown as string]) {
      await assert.rejects(openLog(url), { name: "TypeError", message: /file:|url/ });
    }
    await assert.rejects(openLog(`file:${folder}`, { durabilty: "os" } as object), {
      name: "TypeError",
      message: /durabilty/,
    });
    await assert.rejects(openLog(`file:${folder}`, { cacheBytes: -1 }), RangeError);
    await assert.rejects(openLog("memory:", { durability: "os" }), {
      name: "TypeError",
      message: /durability is not for "memory:"/,
    });
    await assert.rejects(openLog(`file:${folder}`, { signal: AbortSignal.abort() }), {
      code: "LOG_ABORTED",
      name: "AbortError",
    });
  });

  it("gives up an opening on abort, and leaves nothing open", async () => {
    const stop = new AbortController();
    const opening = openLog(`file:${folder}`, { signal: stop.signal });
    stop.abort();
    await assert.rejects(opening, { code: "LOG_ABORTED" });
    const { output } = await run(`
      for (;;) {
        const log = await openLog("file:${folder}").catch((error) => error.code === "LOG_LOCKED" ? undefined : Promise.reject(error));
        if (log !== undefined) { await log.close(); break; }
      }
      console.log("free");`).ended;
    assert.equal(output, "free");
  });

  it("does not hold a process: neither an open log, nor a closed one, nor one with a reader waiting", async () => {
    for (const rest of ["", "await log.close();", "void log.book('b').readNext({ wait: true });"]) {
      const { ended } = run(`
        const log = await openLog("file:${folder}");
        await log.book("b").append(Buffer.from("1"), { tags: ["t"] });
        ${rest}`);
      assert.equal((await ended).code, 0);
    }
  });
});
