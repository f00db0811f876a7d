import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findOwner, FolderLock } from "../../core/loglet/file/lock.js";
import { SocketFolder } from "../../core/loglet/file/socket-folder.js";
import { scratch } from "./on-disk.js";

const module = fileURLToPath(new URL("../../core/loglet/file/lock.js", import.meta.url));
const clusterOwner = fileURLToPath(new URL("cluster-owner.js", import.meta.url));

/** A process that tries for the lock, says "held" or the code of its refusal, and keeps it until it is killed. */
function contender(folder: string, env: NodeJS.ProcessEnv = {}): { said: Promise<string>; kill: () => Promise<void> } {
  const script = `
    import { FolderLock } from ${JSON.stringify(module)};
    FolderLock.acquire(${JSON.stringify(folder)}).then(
      () => { console.log("held"); setInterval(() => {}, 1000); },
      (error) => console.log(error.code + " " + error.message),
    );`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const said = new Promise<string>((resolve) => child.stdout.once("data", (text) => resolve(String(text).trim())));
  return {
    said,
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

describe("the lock of a folder", () => {
  it("names the owner to another, and is free when released", async () => {
    const folder = scratch();
    const lock = await FolderLock.acquire(folder);
    await assert.rejects(FolderLock.acquire(folder), {
      code: "LOG_LOCKED",
      message: new RegExp(`process ${process.pid} `),
    });
    await lock.release();
    assert.deepEqual(readdirSync(folder), []);
    await (await FolderLock.acquire(folder)).release();
  });

  it("is had by exactly one of many that race for a dead owner's", async function () {
    this.timeout(60_000);
    const folder = scratch();
    for (let round = 0; round < 3; round++) {
      const dead = contender(folder);
      assert.equal(await dead.said, "held");
      await dead.kill();
      const all = Array.from({ length: 6 }, () => contender(folder));
      const said = await Promise.all(all.map((one) => one.said));
      assert.equal(said.filter((text) => text === "held").length, 1, said.join("\n"));
      assert.ok(said.every((text) => text === "held" || text.startsWith("LOG_LOCKED")));
      await Promise.all(all.map((one) => one.kill()));
    }
  });

  it("leaves one name in the folder, however often an owner dies", async () => {
    const folder = scratch();
    for (let death = 0; death < 3; death++) {
      const owner = contender(folder);
      assert.equal(await owner.said, "held");
      await owner.kill();
    }
    assert.equal(readdirSync(folder).length, 1);
  });

  it("is rid of the names of those who died long ago while they tried for it", async () => {
    const folder = scratch();
    for (const name of [".lock-000000000000", ".lock-000000000001"]) writeFileSync(join(folder, name), "");
    const longAgo = Date.now() / 1000 - 3600;
    utimesSync(join(folder, ".lock-000000000000"), longAgo, longAgo);
    const lock = await FolderLock.acquire(folder);
    await lock.release();
    assert.deepEqual(readdirSync(folder), [".lock-000000000001"]);
  });

  it("is given back by its owner only, also when the folder was moved and its place is another's", async () => {
    const folder = join(scratch(), "log");
    mkdirSync(folder);
    const first = await FolderLock.acquire(folder);
    assert.equal(first.isHeld(), true);
    renameSync(folder, `${folder}.moved`);
    mkdirSync(folder);
    const second = await FolderLock.acquire(folder);
    assert.equal(first.isHeld(), false);
    await first.release();
    await assert.rejects(FolderLock.acquire(folder), { code: "LOG_LOCKED" });
    assert.equal(second.isHeld(), true);
    await second.release();
    await (await FolderLock.acquire(`${folder}.moved`)).release();
  });

  it("is given back also where its name cannot be removed", async () => {
    const folder = join(scratch(), "log");
    mkdirSync(folder);
    const lock = await FolderLock.acquire(folder);
    renameSync(folder, `${folder}.moved`);
    writeFileSync(folder, "");
    await lock.release();
    await (await FolderLock.acquire(`${folder}.moved`)).release();
  });

  for (const name of [".lock.9007199254740991", ".lock.1e3", ".lock.007", ".lock.", ".lock.-1", ".lock.3"]) {
    it(`is had by one where there is a file ${name}`, async () => {
      const folder = scratch();
      writeFileSync(join(folder, name), "");
      const lock = await FolderLock.acquire(folder);
      await assert.rejects(FolderLock.acquire(folder), { code: "LOG_LOCKED" });
      await lock.release();
    });
  }

  it("is had where a folder has the name of one", async () => {
    const folder = scratch();
    mkdirSync(join(folder, ".lock.3"));
    const lock = await FolderLock.acquire(folder);
    await assert.rejects(FolderLock.acquire(folder), { code: "LOG_LOCKED" });
    await lock.release();
  });

  it("is found behind a newer name of somebody who died before he saw it", async () => {
    const folder = scratch();
    const lock = await FolderLock.acquire(folder);
    writeFileSync(join(folder, ".lock.7"), "");
    assert.equal((await findOwner(folder, new SocketFolder(folder)))?.pid, process.pid);
    await lock.release();
  });

  it("stays with a worker of a cluster that has left the cluster", async () => {
    const folder = scratch();
    const primary = spawn(process.execPath, [clusterOwner, folder], { stdio: ["ignore", "pipe", "inherit"] });
    const pid = Number(
      await new Promise<string>((resolve) => primary.stdout.once("data", (text) => resolve(String(text)))),
    );
    try {
      await assert.rejects(FolderLock.acquire(folder), { code: "LOG_LOCKED", message: new RegExp(`process ${pid} `) });
    } finally {
      process.kill(pid, "SIGKILL");
      primary.kill("SIGKILL");
    }
  });

  describe("of a folder whose path is too long for a socket", () => {
    const short = scratch();
    const folder = join(short, "x".repeat(120));
    before(() => mkdirSync(folder));
    const links = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("boki-socket-"));

    it("is as any other, and leaves nothing", async () => {
      const before = links();
      const lock = await FolderLock.acquire(folder);
      await assert.rejects(FolderLock.acquire(folder), { code: "LOG_LOCKED" });
      const sockets = new SocketFolder(folder);
      assert.equal((await findOwner(folder, sockets))?.pid, process.pid);
      sockets.close();
      await lock.release();
      assert.deepEqual(readdirSync(folder), []);
      assert.deepEqual(links(), before);
    });

    it("is one with that by a shorter path", async () => {
      symlinkSync(folder, join(short, "link"));
      const lock = await FolderLock.acquire(join(short, "link"));
      await assert.rejects(FolderLock.acquire(folder), { code: "LOG_LOCKED" });
      await lock.release();
    });

    it("is not free because the way to it was swept away", async () => {
      const lock = await FolderLock.acquire(folder);
      const sockets = new SocketFolder(folder);
      sockets.close();
      await assert.rejects(findOwner(folder, sockets), { code: "ENOENT" });
      await lock.release();
    });

    it("is one for processes with other folders for what is temporary", async () => {
      const lock = await FolderLock.acquire(folder);
      const other = contender(folder, { TMPDIR: short });
      assert.match(await other.said, /^LOG_LOCKED/);
      await other.kill();
      await lock.release();
    });

    it("is had also where the path of what is temporary is as long", async () => {
      const other = contender(folder, { TMPDIR: folder });
      assert.equal(await other.said, "held");
      await other.kill();
      await (await FolderLock.acquire(folder)).release();
    });
  });
});
