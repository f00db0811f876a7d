/** A folder that is moved away while its log is open: what comes to its place is another log, of which nothing is touched. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { type Log, openLog } from "../../core/index.js";
import { openOn, scratch } from "./on-disk.js";

const sizes = { min: 64 << 10, max: 64 << 10 };

describe("a log whose folder was moved", () => {
  it("makes no files in the folder that came to its place, and goes on when it is moved back", async () => {
    const folder = join(scratch(), "log");
    const moved = `${folder}.moved`;
    const log = await openOn(folder, { segmentSizes: sizes });
    const append = (): Promise<unknown> => log.book("b").append(Buffer.alloc(20_000), { tags: ["t"] });
    await append();
    renameSync(folder, moved);
    const other = await openOn(folder);
    const names = readdirSync(folder);
    await assert.rejects(
      async () => {
        for (;;) await append();
      },
      { code: "LOG_IO", outcome: "none", message: /moved or replaced/ },
    );
    await assert.rejects(log.checkpoint(), { code: "LOG_IO" });
    assert.deepEqual(readdirSync(folder), names);
    await other.close();
    renameSync(folder, `${folder}.other`);
    renameSync(moved, folder);
    for (let i = 0; i < 5; i++) await append();
    await log.close();
    const again = await openLog(`file:${folder}`);
    assert.equal((await again.verify()).ok, true);
    await again.close();
  });

  it("is one log by a path that goes by a link, also the first time", async () => {
    const parent = scratch();
    mkdirSync(join(parent, "real"));
    symlinkSync(join(parent, "real"), join(parent, "link"));
    const logs: Log[] = [];
    for (const name of ["link", "link", "real"]) logs.push(await openLog(`file:${join(parent, name, "a", "log")}`));
    for (const log of logs) await log.close();
  });
});
