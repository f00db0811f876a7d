/** Runs the command line as a user does: the built program, a process of its own, real folders. */
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { openLog, type AppendInput } from "../../core/index.js";

export const program = fileURLToPath(new URL("../../cli/boki.js", import.meta.url));
export const root = fileURLToPath(new URL("../../../", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

function start(file: string, args: readonly string[], options: SpawnOptions): Started {
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return {
    child,
    ended: Promise.all([ended, text(child.stdout!), text(child.stderr!)]).then(([code, stdout, stderr]) => ({
      code,
      stdout,
      stderr,
    })),
  };
}

/** `boki ARGS`, started; its input stays open. */
export function startBoki(args: readonly string[], cwd: string): Started {
  return start(process.execPath, [program, ...args], { cwd });
}

/** `boki ARGS`, to its end. */
export function boki(args: readonly string[], cwd: string, input: string | Uint8Array = ""): Promise<Ended> {
  const { child, ended } = startBoki(args, cwd);
  // A command that wants no input ends before it takes it.
  child.stdin!.on("error", () => undefined);
  child.stdin!.end(input);
  return ended;
}

/** A line for bash, in which `boki` is the program. */
export function shell(line: string, cwd: string): Promise<Ended> {
  const define = `boki() { "${process.execPath}" "${program}" "$@"; }\n`;
  const { child, ended } = start("bash", ["-c", define + line], { cwd });
  child.stdin!.end();
  return ended;
}

/** An empty folder for each test, with all of them gone at the end. */
export function useFolder(): { readonly path: string } {
  let top = "";
  let folders = 0;
  const folder = { path: "" };
  before(() => void (top = mkdtempSync(join(tmpdir(), "boki-cli-"))));
  beforeEach(() => void (folder.path = mkdtempSync(join(top, `${++folders}-`))));
  after(() => rmSync(top, { recursive: true, force: true }));
  return folder;
}

/** Makes the log `data` in a folder, with these records in the book `b`. */
export async function makeLog(folder: string, records: readonly AppendInput[]): Promise<void> {
  await using log = await openLog(`file:${join(folder, "data")}`);
  await log.book("b").appendAll(records);
}

export function record(data: string | Uint8Array, ...tags: string[]): AppendInput {
  return { data: typeof data === "string" ? Buffer.from(data) : data, tags: tags.length > 0 ? tags : ["t"] };
}

/** The JSON lines of an output. */
export function jsonLines<T = Record<string, unknown>>(stdout: string): T[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}
