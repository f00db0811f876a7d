/**
 * `openLog(url)`: finds or makes the engine behind a url and gives a session on it.
 *
 * A log that is already open in this process gives a new session on the same engine. The registry is on `globalThis`, so
 * that two copies of this package in one process agree too.
 */
import { randomUUID } from "node:crypto";
import { realpath } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import type { Duplex } from "node:stream";
import { orAborted } from "./abort.js";
import { show } from "./check.js";
import { Engine } from "./engine/engine.js";
import { abortedError, LogError } from "./errors.js";
import { Session } from "./log.js";
import type { Disk } from "./loglet/file/disk.js";
import { FileLoglet } from "./loglet/file/file-loglet.js";
import { realDisk } from "./loglet/file/real-disk.js";
import type { Loglet } from "./loglet/loglet.js";
import { systemClock } from "./loglet/log-clock.js";
import { MemoryLoglet } from "./loglet/memory.js";
import { checkScheme, checkSettings, type Scheme, type Settings } from "./open-options.js";
import { checkSeen, parseSession } from "./session-id.js";
import { systemRandom } from "./random.js";
import type { Log, OpenOptions } from "./types.js";
import { addressOf, filePath } from "./url.js";

interface Opened {
  readonly settings: Settings;
  /** It does not fail for want of a log. */
  creates: boolean;
  readonly engine: Promise<Engine>;
  sessions: number;
  /** Other processes are served; what ends that. */
  stopSharing: (() => Promise<void>) | undefined;
  /** Set while the last session closes: the next opening waits for it. */
  closing: Promise<void> | undefined;
}

interface Registry {
  readonly open: Map<string, Opened>;
  /** Named memory logs stay until the process ends, so that a program can be restarted on one in a test. */
  readonly memory: Map<string, MemoryLoglet>;
  /** Names of the disks that are not the system's: the same path is another log on each. */
  readonly disks: WeakMap<Disk, string>;
  /** The system's clock and source of random numbers, of every copy. */
  readonly defaults: WeakSet<object>;
}

/** Any time will do, ms. */
const idleMs = 2 ** 30;

const registryKey = Symbol.for("boki.registry.1");
const registry: Registry = ((globalThis as { [registryKey]?: Registry })[registryKey] ??= {
  open: new Map(),
  memory: new Map(),
  disks: new WeakMap(),
  defaults: new WeakSet(),
});
registry.defaults.add(systemClock).add(systemRandom);

/**
 * Opens a log, made where there is none, unless `create` is false.
 *
 * `memory:` is a private log in memory, `memory:NAME` one that this process shares; `file:DIR` is a folder (a path as
 * written), `file:///DIR` a URL. One process owns a folder at a time; with `share: true` others use it through that one.
 * `grpc://HOST:PORT` is a log that a server has.
 *
 * Rejects with TypeError or RangeError on a bad url or option, `LOG_LOCKED` when another process has the folder,
 * `LOG_NOT_A_LOG`, `LOG_VERSION`, `LOG_CORRUPT`, `LOG_IO`, `LOG_FULL`, `LOG_ABORTED`; of a server also `LOG_UNAVAILABLE` when it cannot
 * be reached within `timeoutMs`, `LOG_UNAUTHENTICATED`, `LOG_SESSION`.
 */
export async function openLog(url: string, options: OpenOptions = {}): Promise<Log> {
  const settings = checkSettings(options);
  const { signal } = options;
  if (signal?.aborted === true) throw abortedError(signal);
  const place = await parse(url, settings.disk);
  checkScheme(url, place.scheme, options);
  if (place.scheme === "grpc") return openRemote(url, place.name, settings, options);
  if (options.share !== true) return openHere(url, place, settings, options);
  const own = (): Promise<Session> => openHere(url, place, settings, options);
  try {
    return await own();
  } catch (error) {
    if (!(error instanceof LogError && error.code === "LOG_LOCKED")) throw error;
    const { openShared } = await import("./remote/index.js");
    return openShared(url, place.name, own, settings, options, error);
  }
}

/** A session on an engine of this process. */
async function openHere(url: string, place: Place, settings: Settings, options: OpenOptions): Promise<Session> {
  const { create = true, share = false } = options;
  for (;;) {
    const opened = registry.open.get(place.key);
    if (opened?.closing !== undefined) {
      await opened.closing.catch(() => undefined);
    } else if (opened !== undefined && create && !opened.creates) {
      // Whether it fails for want of a log is not our matter.
      opened.creates = await opened.engine.then(
        () => true,
        () => false,
      );
    } else if (opened !== undefined) {
      refuseDifferent(url, opened.settings, settings);
      return join(url, place.key, opened, options);
    } else {
      const engine = start(place, settings, create, share);
      const made: Opened = {
        settings,
        creates: create,
        engine,
        sessions: 0,
        stopSharing: undefined,
        closing: undefined,
      };
      registry.open.set(place.key, made);
      return join(url, place.key, made, options);
    }
  }
}

async function join(url: string, key: string, opened: Opened, options: OpenOptions): Promise<Session> {
  const { signal, session, share } = options;
  opened.sessions++;
  let alive: NodeJS.Timeout | undefined;
  const release = async (): Promise<void> => {
    clearInterval(alive);
    if (--opened.sessions > 0) return;
    opened.closing = close(opened).finally(() => registry.open.delete(key));
    await opened.closing;
  };
  try {
    const engine = await orAborted(opened.engine, signal);
    if (session !== undefined) checkSeen(parseSession(session), { id: engine.loglet.id, position: engine.applied });
    if (share === true) {
      opened.stopSharing ??= startSharing(url, engine);
      // As the connection of a client does: what is waited for may come from others.
      alive = setInterval(() => undefined, idleMs);
    }
    return new Session(url, engine, release);
  } catch (error) {
    // Others may be waiting for the same opening; whoever leaves last closes what comes of it.
    void release().catch(() => undefined);
    throw error;
  }
}

/** Serves other processes, from the first that comes; gives what ends that. */
function startSharing(url: string, engine: Engine): () => Promise<void> {
  let server: Promise<{ welcome: (guest: Duplex) => void; close: () => Promise<void> }> | undefined;
  let isOver = false;
  engine.loglet.share!((guest) => {
    // He comes again: to the next owner, for this one may be closing for long.
    if (isOver) {
      guest.destroy();
      return;
    }
    server ??= import("./remote/index.js").then(({ shareLog }) =>
      shareLog(new Session(url, engine, () => Promise.resolve())),
    );
    server.then(
      ({ welcome }) => welcome(guest),
      () => guest.destroy(),
    );
  });
  return async () => {
    isOver = true;
    await (await server)?.close();
  };
}

async function close({ engine, stopSharing }: Opened): Promise<void> {
  const opened = await engine;
  try {
    await stopSharing?.();
  } finally {
    await opened.close();
  }
}

interface Place {
  readonly scheme: Scheme;
  /** Name, path or address. */
  readonly name: string;
  readonly key: string;
}

async function parse(url: unknown, disk: Disk): Promise<Place> {
  if (typeof url !== "string") throw new TypeError(`openLog takes a url such as "file:./data", not ${show(url)}`);
  if (url.startsWith("memory:")) {
    const name = url.slice("memory:".length);
    return { scheme: "memory", name, key: name === "" ? `memory:#${randomUUID()}` : `memory:${name}` };
  }
  if (url.startsWith("file:")) {
    const path = filePath(url);
    const key = disk === realDisk ? `file:${await realPath(path)}` : `file#${diskName(disk)}:${path}`;
    return { scheme: "file", name: path, key };
  }
  if (url.startsWith("grpc:")) return { scheme: "grpc", name: addressOf(url), key: "" };
  throw new TypeError(
    `${show(url)} is no url of a log; use "memory:", "memory:NAME", "file:DIR", "file:///DIR" or "grpc://HOST:PORT"`,
  );
}

/** One name of a folder, whether it is there already or not. */
async function realPath(path: string): Promise<string> {
  const above = dirname(path);
  return realpath(path).catch(async () => (above === path ? path : resolve(await realPath(above), basename(path))));
}

/** gRPC is loaded only where it is needed. */
async function openRemote(url: string, address: string, settings: Settings, options: OpenOptions): Promise<Log> {
  const { openClient } = await import("./remote/index.js");
  return openClient(url, address, settings, options);
}

function diskName(disk: Disk): string {
  const name = registry.disks.get(disk) ?? randomUUID();
  registry.disks.set(disk, name);
  return name;
}

async function start(place: Place, settings: Settings, create: boolean, share: boolean): Promise<Engine> {
  const loglet = await openLoglet(place, settings, create, share);
  try {
    return await Engine.start(loglet, settings);
  } catch (error) {
    // What went wrong first is what the caller hears of; closing may well fail for the same reason.
    await loglet.close().catch(() => undefined);
    throw error;
  }
}

async function openLoglet(
  { scheme, name }: Place,
  settings: Settings,
  create: boolean,
  share: boolean,
): Promise<Loglet> {
  const { clock, random, disk, durability, io } = settings;
  if (scheme === "file") return FileLoglet.open(name, { create, durability, io, clock, random, disk, share });
  if (name === "") return MemoryLoglet.create({ clock, random });
  let loglet = registry.memory.get(name);
  if (loglet === undefined) registry.memory.set(name, (loglet = MemoryLoglet.create({ clock, random })));
  return loglet;
}

function isDefault(setting: unknown): boolean {
  return registry.defaults.has(setting as object);
}

function refuseDifferent(url: string, open: Settings, asked: Settings): void {
  for (const name of ["durability", "io", "cacheBytes", "auxBytes", "clock", "random"] as const) {
    if (open[name] === asked[name] || (isDefault(open[name]) && isDefault(asked[name]))) continue;
    throw new TypeError(
      `${url} is open in this process with another ${name} (${show(open[name])}, not ${show(asked[name])}); open it with the same options`,
    );
  }
}
