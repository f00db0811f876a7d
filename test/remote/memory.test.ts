/** What clients do that do not take what they asked for: the server stays as small as it is, and serves the others. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLog } from "../../core/index.js";
import type { Call } from "../../core/remote/wire.js";
import type { Log } from "../../core/types.js";
import { entries, RawSession } from "./raw.js";

const isFull = process.env["FULL"] === "1";
/** What one client that does not read may cost, and what the process grows by anyway: caches, and garbage not yet collected. */
const allowedBytes = 160 << 20;

describe("a server with clients that do not take what they asked for", function () {
  this.timeout(isFull ? 600_000 : 120_000);
  let folder: string;
  let server: ChildProcess;
  let port: number;
  let log: Log;
  const open: { close(): unknown }[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "boki-served-memory-"));
    const program = fileURLToPath(new URL("server-process.js", import.meta.url));
    server = spawn(process.execPath, [program, folder, "0", "os"], { stdio: ["ignore", "pipe", "inherit"] });
    const said = await new Promise<string>((resolve) => server.stdout!.once("data", (data) => resolve(String(data))));
    port = Number(said);
    log = await openLog(`grpc://127.0.0.1:${port}`, { cacheBytes: 0 });
    // Warm, so that what follows is measured against a process at work.
    for (let i = 0; i < 20; i++)
      await log.book("warm").appendAll(Array.from({ length: 1000 }, () => ({ data: Buffer.alloc(1000), tags: ["t"] })));
  });

  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    await log.close();
    const gone = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGKILL");
    await gone;
    rmSync(folder, { recursive: true, force: true });
  });

  function raw(): RawSession {
    const session = new RawSession(port, { reads: false });
    open.push(session);
    return session;
  }

  function rss(): number {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))![1]) * 1024;
  }

  /** Does something, and others work meanwhile: the most that the server grew by. */
  async function growth(work: () => Promise<unknown>, rounds = 100): Promise<number> {
    const before = rss();
    let most = 0;
    await work();
    for (let i = 0; i < rounds; i++) {
      await log.book("others").append(Buffer.alloc(1000), { tags: ["t"] });
      await log.book("others").readPrev();
      most = Math.max(most, rss() - before);
    }
    return most;
  }

  /** Says frames for as long as they are taken, and many more then, which wait in this process. */
  async function flood(
    session: RawSession,
    frame: (i: number) => Parameters<RawSession["say"]>[0],
    count: number,
  ): Promise<void> {
    for (let i = 0; i < count; i++) {
      session.say(frame(i));
      if (i % 20 === 0) await log.book("others").tail();
    }
  }

  async function fill(records: number, bytes: number): Promise<void> {
    for (let i = 0; i < records; i++) await log.book("b").append(Buffer.alloc(bytes, "x"), { tags: ["t"] });
  }

  it("stays within bounds when answers to reads are not taken", async () => {
    // More than the server's cache holds.
    await fill(40, 1 << 20);
    const tail = await log.book("b").tail();
    const calls = (from: number): Call[] =>
      Array.from({ length: 1000 }, (_, i) => ({ id: from + i, readPrev: { book: "b", upTo: tail - 1 - (i % 40) } }));
    const session = raw();
    const grown = await growth(() => flood(session, (i) => ({ calls: calls(1000 * i) }), 60));
    assert.ok(grown < allowedBytes, `${Math.round(grown / 2 ** 20)} MiB`);
  });

  it("stays within bounds when answers to appends are not taken", async () => {
    const session = raw();
    // Of two writers by turns, so that each has an answer of its own.
    const both = (n: number): Buffer => Buffer.concat([entries(77, n, n - 1, "x"), entries(78, n, n - 1, "x")]);
    const frame = (i: number): Buffer => Buffer.concat(Array.from({ length: 1000 }, (_, k) => both(1 + 1000 * i + k)));
    const grown = await growth(() => flood(session, (i) => ({ appends: frame(i) }), isFull ? 3000 : 600));
    assert.ok(grown < allowedBytes, `${Math.round(grown / 2 ** 20)} MiB`);
  });

  it("stays within bounds when reads with any credit are not taken, and follows", async () => {
    await fill(30, 2 << 20);
    const grown = await growth(async () => {
      for (let i = 0; i < 5; i++)
        raw().say({
          // Each may have one record in hand.
          calls: Array.from({ length: 10 }, (_, id) => ({
            id,
            read: { book: "b", follow: id % 2 === 0, credit: 2 ** 32 - 1 },
          })),
        });
      await fill(5, 2 << 20);
    });
    assert.ok(grown < 3 * allowedBytes, `${Math.round(grown / 2 ** 20)} MiB`);
  });

  it("stays within bounds when hundreds of reads of one client are not taken", async () => {
    await fill(30, 2 << 20);
    const calls = Array.from({ length: 400 }, (_, id) => ({ id, read: { book: "b", credit: 2 ** 32 - 1 } }));
    const grown = await growth(async () => raw().say({ calls }));
    assert.ok(grown < allowedBytes, `${Math.round(grown / 2 ** 20)} MiB`);
  });

  it("stays within bounds while a subscriber is stopped, which has all when it goes on", async () => {
    const program = fileURLToPath(new URL("load-process.js", import.meta.url));
    const child = spawn(process.execPath, [program, `grpc://127.0.0.1:${port}`, "fed"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    open.push({ close: () => child.kill("SIGKILL") });
    const lines = createInterface({ input: child.stdout });
    await line(lines);
    child.kill("SIGSTOP");
    const total = isFull ? 1_000_000 : 60_000;
    const grown = await growth(async () => {
      for (let i = 0; i < total; i += 5000)
        await log
          .book("fed")
          .appendAll(Array.from({ length: 5000 }, () => ({ data: Buffer.alloc(1000, "x"), tags: ["t"] })));
    });
    await log.book("fed").append(Buffer.from("end"), { tags: ["end"] });
    const said = line(lines);
    child.kill("SIGCONT");
    assert.equal(Number(await said), total + 1);
    // The index of a million records is a part of it.
    assert.ok(grown < allowedBytes + total * 100, `${Math.round(grown / 2 ** 20)} MiB`);
  });

  it("takes thousands of waits, and forgets them with their client", async () => {
    const waiting = isFull ? 60_000 : 10_000;
    const session = raw();
    const grown = await growth(async () => {
      const calls = Array.from({ length: waiting }, (_, id) => ({
        id,
        readNext: { book: "b", tag: `never-${id}`, wait: true },
      }));
      session.say({ calls });
    }, 20);
    assert.ok(grown < allowedBytes + waiting * 4000, `${Math.round(grown / 2 ** 20)} MiB`);
  });
});

function line(lines: Interface): Promise<string> {
  return new Promise((resolve) => lines.once("line", resolve));
}
