import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FolderLock } from "../../core/loglet/file/lock.js";
import { scratch } from "./on-disk.js";

const module = fileURLToPath(new URL("../../core/loglet/file/lock.js", import.meta.url));
const clusterOwner = fileURLToPath(new URL("cluster-owner.js", import.meta.url));

/** A process that tries for the lock, says "held" or the code of its refusal, and keeps it until it is killed. */
function contender(folder: string): { said: Promise<string>; kill: () => Promise<void> } {
  const script = `
    import { FolderLock } from ${JSON.stringify(module)};
    FolderLock.acquire(${JSON.stringify(folder)}).then(
      () => { console.log("held"); setInterval(() => {}, 1000); },
      (error) => console.log(error.code + " " + error.message),
    );`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
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

  it("works where the path is too long for a socket", async () => {
    const folder = join(scratch(), "x".repeat(120));
    mkdirSync(folder);
    const lock = await FolderLock.acquire(folder);
    await assert.rejects(FolderLock.acquire(folder), { code: "LOG_LOCKED" });
    await lock.release();
  });
});
