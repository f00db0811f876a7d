/** A process that waits in a shared folder lives until it closes the log, whoever has the folder: others append what it waits for. */
import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Readable } from "node:stream";
import { openLog } from "../../core/index.js";
import { scratch } from "../loglet/on-disk.js";

const program = `
  const { openLog } = await import(${JSON.stringify(new URL("../../core/index.js", import.meta.url).href)});
  const log = await openLog(process.argv[1], { share: true });
  console.log("open");
  for await (const record of log.book("b").read({ follow: true })) {
    console.log(record.text());
    if (record.text() === "end") break;
  }
  await log.close();
`;

type Follower = ChildProcessByStdio<null, Readable, null>;

async function follow(url: string): Promise<{ child: Follower; ended: Promise<[string, number | null]> }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, url], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = once(child, "exit");
  const ended = text(child.stdout).then(async (said): Promise<[string, number | null]> => [said, (await exited)[0]]);
  await once(child.stdout, "data");
  return { child, ended };
}

async function append(url: string, ...data: string[]): Promise<void> {
  await using log = await openLog(url, { share: true });
  for (const one of data) await log.book("b").append(Buffer.from(one), { tags: ["t"] });
}

describe("a process that follows a shared folder and does nothing else", () => {
  it("goes on while it has the folder, and ends when it closes the log", async () => {
    const url = `file:${join(scratch(), "log")}`;
    const { ended } = await follow(url);
    await append(url, "one", "end");
    assert.deepEqual(await ended, ["open\none\nend\n", 0]);
  });

  it("goes on when it has taken the folder over", async () => {
    const url = `file:${join(scratch(), "log")}`;
    const first = await follow(url);
    const second = await follow(url);
    first.child.kill("SIGKILL");
    await first.ended;
    await append(url, "one", "end");
    assert.deepEqual(await second.ended, ["open\none\nend\n", 0]);
  });
});
