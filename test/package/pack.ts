/** Makes the tarball as `npm pack` would on a fresh clone, and projects that install it. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const root = fileURLToPath(new URL("../../../", import.meta.url));
const notCopied = new Set(["node_modules", "dist", "data"]);

const run = promisify(execFile);

/** Runs a program; its output is in the error if it fails. Gives what it printed. */
export async function execute(file: string, args: readonly string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await run(file, args, {
      cwd,
      maxBuffer: 64 * 1024 * 1024,
      shell: process.platform === "win32" && /^np[mx]$/.test(file),
    });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${file} ${args.join(" ")} failed\n${stdout ?? ""}\n${stderr ?? ""}`, { cause: error });
  }
}

/** Runs a program of node_modules/.bin by its file. */
export function executeTool(path: string, args: readonly string[], cwd: string): Promise<string> {
  return execute(process.execPath, [join(root, "node_modules", path), ...args], cwd);
}

export async function makeTempDir(): Promise<string> {
  return mkdtemp(join(tmpdir(), "boki-package-"));
}

export function removeDir(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true });
}

/** Copies the sources into `dir` and packs them there, so that the tests that run now keep their dist. Gives the tarball. */
export async function pack(dir: string): Promise<string> {
  const source = join(dir, "source");
  await mkdir(source);
  for (const name of await readdir(root)) {
    if (notCopied.has(name) || name.startsWith(".")) continue;
    await cp(join(root, name), join(source, name), {
      recursive: true,
      filter: (path) => !/[\\/](node_modules|results)$/.test(path),
    });
  }
  await symlink(join(root, "node_modules"), join(source, "node_modules"), "junction");
  await execute("npm", ["pack", "--loglevel=error", "--pack-destination", dir], source);
  const tarball = (await readdir(dir)).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error("npm pack made no tarball");
  return join(dir, tarball);
}

/** A new project in `dir` that has installed the tarball, with the given files. No script runs at the installation unless `scripts` is set. */
export async function makeConsumer(
  dir: string,
  tarball: string,
  packageJson: object,
  files: Readonly<Record<string, string>>,
  scripts = false,
): Promise<void> {
  await mkdir(dir);
  await writeFile(join(dir, "package.json"), JSON.stringify({ name: "consumer", private: true, ...packageJson }));
  const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  await execute("npm", ["install", ...flags, ...(scripts ? [] : ["--ignore-scripts"]), tarball], dir);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), text);
  }
}
