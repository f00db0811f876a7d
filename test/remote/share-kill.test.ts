/** L8 in a folder that three processes share: the owner is killed, again and again, and nobody notices. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { openLog } from "../../core/index.js";
import { findOwner } from "../../core/loglet/file/lock.js";
import { SocketFolder } from "../../core/loglet/file/socket-folder.js";
import { identify } from "../crash/payload.js";

const sharer = fileURLToPath(new URL("sharer.js", import.meta.url));
const kills = process.env["FULL"] === "1" ? 50 : 6;

class Sharer {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  readonly #heard: (line: string) => void;
  /** Those who wait for the next acknowledgement of an append, or error. */
  #awaiting: (() => void)[] = [];

  constructor(folder: string, name: string, hear: (line: string) => void) {
    this.#heard = hear;
    this.child = spawn(process.execPath, [sharer, folder, name], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    this.ended = this.#listen();
  }

  async #listen(): Promise<void> {
    for await (const line of createInterface({ input: this.child.stdout! })) {
      this.#heard(line);
      if (line.startsWith("p ") || line.startsWith("e ")) for (const resolve of this.#awaiting.splice(0)) resolve();
    }
    for (const resolve of this.#awaiting.splice(0)) resolve();
  }

  acknowledged(): Promise<void> {
    return new Promise((resolve) => this.#awaiting.push(resolve));
  }
}

describe("L8 a shared folder whose owner is killed", () => {
  const folder = mkdtempSync(join(tmpdir(), "boki-share-kill-"));
  const all: Sharer[] = [];
  after(() => {
    for (const { child } of all) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  it(`loses nothing, repeats nothing and shows no error, ${kills} times with three processes`, async function () {
    this.timeout(60_000 + kills * 10_000);
    const plain = new Map<string, number>();
    const counts = new Map<number, number>();
    const reasons = new Set<number>();
    const errors: string[] = [];
    let done = 0;
    const hear = (line: string): void => {
      const [kind, what, seqnum] = line.split(" ") as [string, string, string];
      if (kind === "p") plain.set(what, Number(seqnum));
      if (kind === "c") counts.set(Number(what), Number(seqnum));
      if (kind === "r") reasons.add(Number(what));
      if (kind === "e") errors.push(line);
      if (kind === "done") done++;
    };
    let names = 0;
    const start = (): Sharer => {
      const made = new Sharer(folder, String(names++), hear);
      all.push(made);
      return made;
    };
    let sharers = [start(), start(), start()];
    await Promise.all(sharers.map((one) => one.acknowledged()));
    const takeovers: number[] = [];
    for (let kill = 0; kill < kills; kill++) {
      const ownerPid = (await findOwner(folder, new SocketFolder(folder)))?.pid;
      const victim = sharers.find(({ child }) => child.pid === ownerPid);
      assert.ok(victim, `one of the three has the folder, not ${ownerPid}`);
      victim.child.kill("SIGKILL");
      const killed = performance.now();
      await victim.ended;
      const rest = sharers.filter((one) => one !== victim);
      // What was acknowledged before the kill may still be in a pipe: the second one that comes is of after it.
      await Promise.all(rest.map(async (one) => (await one.acknowledged(), one.acknowledged())));
      assert.deepEqual(errors, []);
      takeovers.push(performance.now() - killed);
      sharers = [...rest, start()];
      await sharers.at(-1)!.acknowledged();
      assert.deepEqual(errors, []);
    }
    for (const { child } of sharers) child.send("stop");
    await Promise.all(sharers.map(({ ended }) => ended));
    assert.deepEqual(errors, []);
    assert.equal(done, 3, "those who were not killed closed in good order");

    const log = await openLog(`file:${folder}`);
    try {
      const book = log.book("crash");
      const found = new Map<string, number>();
      const next = new Map<string, number>();
      for await (const record of book.read({ tag: "plain" })) {
        const id = identify(record.data);
        assert.ok(!found.has(id), `L8 ${id} is there twice`);
        found.set(id, record.seqnum);
        const [name, writer, i] = id.split(".") as [string, string, string];
        assert.equal(Number(i), next.get(`${name}.${writer}`) ?? 0, `L1 the records of ${name}.${writer} have no gap`);
        next.set(`${name}.${writer}`, Number(i) + 1);
      }
      for (const [id, seqnum] of plain) assert.equal(found.get(id), seqnum, `L2 ${id} was acknowledged at ${seqnum}`);
      let value = 0;
      const countAt = new Map<number, number>();
      for await (const record of book.read({ tag: "count" })) {
        assert.equal(record.json(), ++value, "L3 each count follows the one before");
        countAt.set(value, record.seqnum);
      }
      for (const [count, seqnum] of counts) assert.equal(countAt.get(count), seqnum, `L2 count ${count}`);
      const counted = new Set(countAt.values());
      for (const seqnum of reasons) assert.ok(counted.has(seqnum), `L3 a refusal named ${seqnum}, which is not there`);
      assert.ok(reasons.size > 0 && counts.size > kills, "the processes did what they should");
      assert.equal((await log.verify()).ok, true);
    } finally {
      await log.close();
    }
  });
});
