/** What guests of a shared folder meet when its owner ends, and what is left when they end themselves meanwhile. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import { type Log, LogError, openLog, type OpenOptions } from "../../core/index.js";
import { findOwner, FolderLock } from "../../core/loglet/file/lock.js";
import { SocketFolder } from "../../core/loglet/file/socket-folder.js";
import { systemClock } from "../../core/loglet/log-clock.js";
import { openLink } from "../../core/remote/grpc.js";
import { protocolVersion, type ServerFrame } from "../../core/remote/wire.js";
import { scratch } from "../loglet/on-disk.js";
import { Keeper } from "./keeping.js";

const append = (log: Log): Promise<unknown> => log.book("b").append(Buffer.from("x"), { tags: ["t"] });
const share = (folder: string, options: OpenOptions = {}): Promise<Log> =>
  openLog(`file:${folder}`, { share: true, ...options });

describe("guests of a folder whose owner ends", () => {
  it("do not take it when they are closed while they look for the owner", async () => {
    const folder = join(scratch(), "log");
    const keeper = new Keeper();
    await keeper.open(folder);
    let closeAtRetry = false;
    let closed!: () => void;
    const isClosed = new Promise<void>((resolve) => (closed = resolve));
    const clock = {
      ...systemClock,
      setTimer: (ms: number, fn: () => void) =>
        systemClock.setTimer(ms, () => {
          fn();
          if (!closeAtRetry) return;
          closeAtRetry = false;
          void guest.close().then(closed);
        }),
    };
    const guest = await share(folder, { clock });
    closeAtRetry = true;
    await keeper.end("SIGKILL");
    await isClosed;
    // Longer than the look for the owner takes.
    for (let i = 0; i < 20; i++) {
      await (await FolderLock.acquire(folder)).release();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });

  it("go on, of one process with several settings", async function () {
    this.timeout(30_000);
    for (let round = 0; round < 5; round++) {
      const folder = join(scratch(), "log");
      const keeper = new Keeper();
      await keeper.open(folder);
      const guests: Log[] = [];
      for (let i = 1; i <= 6; i++) guests.push(await share(folder, { cacheBytes: i << 20 }));
      await keeper.end("SIGKILL");
      await Promise.all(guests.map(append));
      for (const guest of guests) await guest.close();
    }
  });

  it("go on when there was no room for a moment", async () => {
    const folder = join(scratch(), "log");
    const keeper = new Keeper();
    await keeper.open(folder);
    const guest = await share(folder);
    const { linkSync } = fs;
    let refusals = 0;
    fs.linkSync = (...names) => {
      if (refusals++ < 3) throw Object.assign(new Error("ENOSPC: injected"), { code: "ENOSPC" });
      linkSync(...names);
    };
    try {
      await keeper.end("SIGKILL");
      await append(guest);
    } finally {
      fs.linkSync = linkSync;
    }
    await guest.close();
  });

  it("do not go on with one who promises less", async () => {
    const folder = join(scratch(), "log");
    const keeper = new Keeper();
    await keeper.open(folder);
    let hold = (): void => undefined;
    let isHeld = false;
    const clock = {
      ...systemClock,
      setTimer: (ms: number, fn: () => void) =>
        systemClock.setTimer(ms, () => {
          if (isHeld) hold = fn;
          else fn();
        }),
    };
    const guest = await share(folder, { clock });
    isHeld = true;
    await keeper.end("SIGKILL");
    const lesser = await share(folder, { durability: "os" });
    const appended = append(guest);
    isHeld = false;
    hold();
    const first = await Promise.race([
      appended.then(() => "acknowledged"),
      new Promise((resolve) => setTimeout(resolve, 500, "not yet")),
    ]);
    assert.equal(first, "not yet");
    await lesser.close();
    await appended;
    await guest.close();
  });

  it("are sent away by one who closes, for as long as that takes", async () => {
    const folder = join(scratch(), "log");
    const log = await share(folder);
    const sockets = new SocketFolder(folder);
    const { path } = (await findOwner(folder, sockets))!;
    const visit = (): { met: Promise<ServerFrame | LogError>; leave: () => void } => {
      let leave!: () => void;
      const met = new Promise<ServerFrame | LogError>((resolve) => {
        const target = { address: `unix:${path}`, credentials: grpc.credentials.createInsecure() };
        const link = openLink(target, { frame: resolve, closed: resolve, drain: () => undefined });
        link.send({ hello: { version: protocolVersion, log: "", seen: 0 } });
        leave = () => link.close();
      });
      return { met, leave };
    };
    const before = visit();
    assert.ok("welcome" in (await before.met));
    before.leave();
    const release = Object.getOwnPropertyDescriptor(FolderLock.prototype, "release")!;
    let goOn!: () => void;
    const isClosing = new Promise<void>((resolve) => {
      FolderLock.prototype.release = async function () {
        resolve();
        await new Promise<void>((go) => (goOn = go));
        await (release.value as () => Promise<void>).call(this);
      };
    });
    try {
      const closed = log.close();
      await isClosing;
      const met = await visit().met;
      assert.ok(met instanceof LogError && met.code === "LOG_UNAVAILABLE", JSON.stringify(met));
      goOn();
      await closed;
    } finally {
      Object.defineProperty(FolderLock.prototype, "release", release);
    }
  });
});
