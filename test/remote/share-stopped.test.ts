/** A shared folder whose owner is stopped, as in a debugger: it is nobody else's, and who waits goes on when it does. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { join } from "node:path";
import { type Log, openLog } from "../../core/index.js";
import { findOwner } from "../../core/loglet/file/lock.js";
import { SocketFolder } from "../../core/loglet/file/socket-folder.js";
import { scratch } from "../loglet/on-disk.js";
import { Keeper } from "./keeping.js";

/** Connects to a socket until the kernel takes no more; gives the code it says so with. */
async function fill(path: string): Promise<string> {
  for (;;) {
    const refused = await new Promise<string | undefined>((resolve) => {
      const socket = connect(path);
      socket.on("connect", () => {
        socket.destroy();
        resolve(undefined);
      });
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    });
    if (refused !== undefined) return refused;
  }
}

describe("a shared folder whose owner is stopped", () => {
  const keeper = new Keeper();
  after(() => keeper.end("SIGKILL"));

  it("waits for it, also when so many have asked that the socket takes no more", async function () {
    if (process.platform !== "linux") this.skip();
    this.timeout(20_000);
    const folder = join(scratch(), "log");
    const append = (log: Log): Promise<unknown> => log.book("b").append(Buffer.from("x"), { tags: ["t"] });
    const share = (): Promise<Log> => openLog(`file:${folder}`, { share: true });
    await keeper.open(folder);
    const logs = [await share()];
    const { path } = (await findOwner(folder, new SocketFolder(folder)))!;
    keeper.stop();
    try {
      const openings = [share()];
      await assert.rejects(openLog(`file:${folder}`), { code: "LOG_LOCKED" });
      assert.equal(await fill(path), "EAGAIN");
      await assert.rejects(openLog(`file:${folder}`), { code: "LOG_LOCKED" });
      openings.push(share());
      const appended = append(logs[0]!);
      keeper.goOn();
      logs.push(...(await Promise.all(openings)));
      await appended;
      await Promise.all(logs.map(append));
      assert.equal(await logs[0]!.book("b").tail(), 5);
    } finally {
      for (const log of logs) await log.close();
    }
  });

  it("is waited for no longer than until the signal, or the time of the opening", async function () {
    if (process.platform !== "linux") this.skip();
    const url = `file:${join(scratch(), "log")}`;
    await keeper.open(url.slice("file:".length));
    keeper.stop();
    try {
      // Who has the lock is asked for two seconds.
      const aborted = openLog(url, { share: true, signal: AbortSignal.timeout(2300) });
      const late = openLog(url, { share: true, timeoutMs: 300 });
      const both = Promise.all([
        assert.rejects(aborted, { code: "LOG_ABORTED" }),
        assert.rejects(late, { code: "LOG_UNAVAILABLE" }),
      ]);
      const twice = async (): Promise<void> => {
        for (let i = 0; i < 2; i++) await assert.rejects(openLog(url), { code: "LOG_LOCKED" });
      };
      const first = await Promise.race([both.then(() => "both"), twice().then(() => "who asks twice")]);
      assert.equal(first, "both");
    } finally {
      keeper.goOn();
    }
  });
});
