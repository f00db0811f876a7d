/** A project of a user that has boki installed, and the examples of the papers as programs in it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const root = fileURLToPath(new URL("../../../", import.meta.url));

export interface Project {
  /** Runs a program in the project's folder and gives the lines that it printed. It must not complain. */
  run(program: string): Promise<string[]>;
}

/** An empty project for each test. `packages` of our own node_modules are installed too. */
export function useProject(...packages: string[]): Project {
  let dir = "";
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "boki-example-"));
    await mkdir(join(dir, "node_modules"));
    await symlink(root, join(dir, "node_modules/boki"), "junction");
    for (const name of packages)
      await symlink(join(root, "node_modules", name), join(dir, "node_modules", name), "junction");
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  return {
    async run(program) {
      await writeFile(join(dir, "example.mjs"), program);
      const { stdout, stderr } = await promisify(execFile)(process.execPath, ["example.mjs"], { cwd: dir });
      assert.equal(stderr, "");
      return stdout === "" ? [] : stdout.replace(/\n$/, "").split("\n");
    },
  };
}

/** The JavaScript blocks of a paper. */
export async function blocksOf(path: string): Promise<string[]> {
  const paper = await readFile(join(root, path), "utf8");
  return [...paper.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1]!);
}

/** The lines that a program says it prints: in the comment behind a `console.log`, or in comments on lines of their own. */
export function promisedBy(program: string): string[] {
  return [...program.matchAll(/^(?:.*console\.log\(.*; )?\/\/ (.*)$/gm)].map((match) => match[1]!);
}
