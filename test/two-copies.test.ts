/** Two copies of the package in one process, as two dependencies may bring them: a log that one has open, the other has too. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { openLog } from "../core/index.js";
import { scratch } from "./loglet/on-disk.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

it("two copies of the package open one log, as one does", async () => {
  const place = scratch();
  mkdirSync(join(place, "dist"));
  for (const name of ["package.json", "dist/core"]) cpSync(join(root, name), join(place, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(place, "node_modules"));
  const copy = (await import(pathToFileURL(join(place, "dist/core/index.js")).href)) as { openLog: typeof openLog };
  assert.notEqual(copy.openLog, openLog);
  const folder = join(scratch(), "log");
  const first = await openLog(`file:${folder}`);
  const second = await copy.openLog(`file:${folder}`);
  await first.book("b").append(Buffer.from("x"), { tags: ["t"] });
  assert.equal(await second.book("b").tail(), 2);
  await first.close();
  await second.book("b").append(Buffer.from("y"), { tags: ["t"] });
  await second.close();
});
