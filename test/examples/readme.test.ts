/** The examples of README.md work as they stand there, in plain JavaScript. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readmeExample } from "../../examples/readme-example.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));

describe("README.md", () => {
  let dir = "";
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "boki-readme-"));
    await mkdir(join(dir, "node_modules"));
    await symlink(root, join(dir, "node_modules/boki"), "junction");
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it("has an example that runs, twice in the same folder", async () => {
    await writeFile(join(dir, "example.mjs"), await readmeExample());
    for (const records of [2, 4]) {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, ["example.mjs"], { cwd: dir });
      const lines = stdout.trimEnd().split("\n");
      assert.equal(lines[0], "true false true");
      assert.equal(lines.length, 2 + records);
      assert.match(lines[1] ?? "", /^1 \[ 'order:7', 'customer:ada' \] \{"item":"tea","by":"ada"\}$/);
      assert.equal(lines.at(-1), "tea");
      assert.equal(stderr, "");
    }
  });

  it("has an example of a power loss that runs", async () => {
    await writeFile(join(dir, "power.mjs"), `${await readmeExample(1)}\nconsole.log(next.id === log.id);`);
    const { stdout } = await promisify(execFile)(process.execPath, ["power.mjs"], { cwd: dir });
    assert.equal(stdout, "true\n");
  });

  it("names files that exist", async () => {
    const { access, readFile } = await import("node:fs/promises");
    const readme = await readFile(join(root, "README.md"), "utf8");
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1] ?? "");
    assert.ok(links.length > 5);
    for (const link of links) await access(join(root, link));
  });
});
