/** Peers: other stores, loaded where they are installed, started where they are servers. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { join, resolve } from "node:path";
import type { Appender } from "./workload.js";

/** A system that is compared; `S` is what is asked of it. */
export interface Peer<S> {
  readonly name: string;
  /** Once, before all rounds. Rejects with `Missing` where it is not to be had. */
  start(folder: string): Promise<RunningPeer<S>>;
}

export interface RunningPeer<S> {
  /** Empty, or as at the beginning, for one round. */
  open(folder: string): Promise<S>;
  stop(): Promise<void>;
}

/** One that appends. */
export interface AppendPeer extends Peer<Appender> {
  /** How many appends are in flight against it. */
  readonly inFlight: number;
}

/** Not to be had here; the message says what is missing. */
export class Missing extends Error {}

/** Starts those that are to be had. */
export async function startPeers<P extends Peer<S>, S>(
  peers: readonly P[],
  folder: string,
  skip: (system: string, why: string) => void,
): Promise<[P, RunningPeer<S>][]> {
  const running: [P, RunningPeer<S>][] = [];
  for (const peer of peers) {
    try {
      running.push([peer, await peer.start(folder)]);
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      skip(peer.name, error.message);
    }
  }
  return running;
}

const require = createRequire(resolve("benchmarks", "package.json"));

/** A client out of benchmarks/node_modules. */
export function client(name: string): unknown {
  try {
    return require(name);
  } catch {
    throw new Missing(`the package ${name} is not installed (npm install --prefix benchmarks)`);
  }
}

/** The path of a program, in PATH or in one of Debian's folders. */
export function program(name: string): string {
  const postgres = "/usr/lib/postgresql";
  const versions = existsSync(postgres) ? readdirSync(postgres).map((version) => join(postgres, version, "bin")) : [];
  for (const folder of [...versions, ...(process.env["PATH"] ?? "").split(":"), "/usr/sbin"]) {
    if (existsSync(join(folder, name))) return join(folder, name);
  }
  throw new Missing(`${name} is not installed`);
}

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as net.AddressInfo;
  await new Promise<void>((done) => server.close(() => done()));
  return port;
}

/** Starts a server and waits until its port answers; it is stopped by its pid, at the latest when this process ends. */
export async function serve(command: string, args: readonly string[], port: number): Promise<() => Promise<void>> {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  const killed = (): void => void child.kill("SIGTERM");
  process.once("exit", killed);
  child.once("exit", () => process.removeListener("exit", killed));
  let errors = "";
  child.stderr.on("data", (text) => (errors += String(text)));
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Missing(`${command} did not start: ${errors.trim().slice(-300)}`);
    if (await answers(port)) return () => stop(child);
    await new Promise((done) => setTimeout(done, 50));
  }
  await stop(child);
  throw new Missing(`${command} did not answer on port ${port}`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.destroy();
      done(true);
    });
    socket.on("error", () => done(false));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((done) => child.once("exit", () => done()));
  child.kill("SIGTERM");
  await gone;
}

/** Runs a program to its end; throws with what it said. */
export function runProgram(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Missing(`${command} failed: ${error?.message ?? stderr.trim().slice(-300)}`);
}
