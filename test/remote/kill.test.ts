/** A server that is killed and started again under load, with clients that shall not notice. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLog } from "../../core/index.js";
import { randomSource } from "../../core/testing.js";
import { identify } from "../crash/payload.js";

const isFull = process.env["FULL"] === "1";
const kills = isFull ? 100 : 6;

/** One client process, and what it said. */
class Client {
  readonly plain = new Map<string, number>();
  readonly counts = new Map<number, number>();
  readonly reasons = new Set<number>();
  readonly fed: number[] = [];
  readonly followed: number[] = [];
  from = 0;
  last = 0;
  acknowledged = 0;
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  #heard: () => void = () => undefined;

  constructor(url: string, name: string) {
    const program = fileURLToPath(new URL("client-process.js", import.meta.url));
    const child = spawn(process.execPath, [program, url, name], { stdio: ["pipe", "pipe", "inherit"] });
    this.#child = child;
    const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    this.ended = (async (): Promise<void> => {
      for await (const line of createInterface({ input: child.stdout })) this.#hear(line);
      assert.equal(await exited, 0, `client ${name} met an error`);
    })();
    this.ended.catch(() => undefined);
  }

  #hear(line: string): void {
    const [kind, what, seqnum] = line.split(" ") as [string, string, string];
    if (kind === "p") this.plain.set(what, Number(seqnum));
    if (kind === "c") this.counts.set(Number(what), Number(seqnum));
    if (kind === "r") this.reasons.add(Number(what));
    if (kind === "s") this.fed.push(Number(what));
    if (kind === "f") this.followed.push(Number(what));
    if (kind === "from") [this.from, this.last] = [Number(what), Number(seqnum)];
    this.acknowledged++;
    this.#heard();
  }

  /** Resolves when it has said so many lines more; rejects if it ends before. */
  async more(count: number): Promise<void> {
    const until = this.acknowledged + count;
    const enough = new Promise<void>((resolve) => {
      this.#heard = () => {
        if (this.acknowledged >= until) resolve();
      };
    });
    await Promise.race([enough, this.ended.then(() => assert.fail("a client ended too soon"))]);
  }

  stop(): void {
    this.#child.stdin!.write("\n");
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Starts a server; gives its port, and what kills it. */
async function start(folder: string, port: number): Promise<{ readonly port: number; kill(): Promise<void> }> {
  const program = fileURLToPath(new URL("server-process.js", import.meta.url));
  const child = spawn(process.execPath, [program, folder, String(port), "disk"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once("exit", (_code, signal) => resolve(signal)),
  );
  const said = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (data) => resolve(String(data)));
    void exited.then(() => reject(new Error("the server ended before it served")));
  });
  return {
    port: Number(said),
    kill: async () => {
      child.kill("SIGKILL");
      assert.equal(await exited, "SIGKILL", "the server failed before it was killed");
    },
  };
}

describe("L1 L2 L3 L8 a server that is killed under load", () => {
  const folder = mkdtempSync(join(tmpdir(), "boki-served-kill-"));
  const clients: Client[] = [];
  let server: Awaited<ReturnType<typeof start>> | undefined;

  after(async () => {
    for (const client of clients) client.kill();
    await server?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  it(`loses nothing and tells nobody, killed ${kills} times`, async function () {
    this.timeout(kills * 15_000 + 30_000);
    const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
    const random = randomSource(seed);
    try {
      server = await start(folder, 0);
      const { port } = server;
      for (const name of isFull ? ["a", "b", "c"] : ["a", "b"])
        clients.push(new Client(`grpc://127.0.0.1:${port}`, name));
      for (let i = 0; i < kills; i++) {
        // After so many acknowledgements: between the first and some thousands.
        await Promise.all(clients.map((client) => client.more(1 + Math.floor(random() ** 2 * 3000))));
        await server.kill();
        server = await start(folder, port);
      }
      for (const client of clients) client.stop();
      await Promise.all(clients.map((client) => client.ended));
      await server.kill();
      server = undefined;
      await check();
    } catch (error) {
      (error as Error).message += ` (SEED=${seed} replays the moments of the kills)`;
      throw error;
    }
  });

  async function check(): Promise<void> {
    const log = await openLog(`file:${folder}`);
    const book = log.book("crash");
    const plain = new Map<string, number>();
    const next = new Map<string, number>();
    const counts = new Map<number, number>();
    const all: number[] = [];
    let value = 0;
    for await (const record of book.read()) {
      all.push(record.seqnum);
      if (record.tags.includes("count")) {
        assert.equal(record.json(), ++value, "L3 each count follows the one before");
        counts.set(value, record.seqnum);
      }
      if (!record.tags.includes("plain")) continue;
      const id = identify(record.data);
      assert.ok(!plain.has(id), `L8 ${id} is there twice`);
      plain.set(id, record.seqnum);
      const [, key, i] = /^(.*)\.(\d+)$/.exec(id) as unknown as [string, string, string];
      assert.equal(Number(i), next.get(key) ?? 0, `L1 the records of ${key} have no gap`);
      next.set(key, Number(i) + 1);
    }
    const counted = new Set(counts.values());
    for (const client of clients) {
      for (const [id, seqnum] of client.plain) assert.equal(plain.get(id), seqnum, `L2 ${id} was acknowledged`);
      for (const [count, seqnum] of client.counts) assert.equal(counts.get(count), seqnum, `L2 count ${count}`);
      for (const seqnum of client.reasons) assert.ok(counted.has(seqnum), `L3 a refusal named ${seqnum}`);
      const { from, last } = client;
      const between = all.filter((seqnum) => seqnum > from && seqnum <= last);
      assert.deepEqual(client.fed, between, "L4 a subscription gave each record once, in order");
      const upTo = [...counts.values()].filter((seqnum) => seqnum <= last);
      assert.deepEqual(client.followed, upTo, "L4 a follow gave each record once, in order");
    }
    const { ok, damage } = await log.verify();
    assert.ok(ok, JSON.stringify(damage));
    await log.close();
    const acknowledged = clients.reduce((sum, { plain }) => sum + plain.size, 0);
    assert.ok(acknowledged > kills && counts.size > 0, "the clients did what they should");
  }
});
