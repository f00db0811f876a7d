/** What `openLog` takes: each option checked, with its default, and only where it means something. */
import { checkBoolean, checkBytes, checkOptions, checkSignal, checkTimeout, show } from "./check.js";
import { defaultAuxBytes, defaultCacheBytes, defaultTimeoutMs } from "./limits.js";
import type { Disk } from "./loglet/file/disk.js";
import { realDisk } from "./loglet/file/real-disk.js";
import { checkTime, systemClock } from "./loglet/log-clock.js";
import { systemRandom } from "./random.js";
import { parseSession } from "./session-id.js";
import type { OpenOptions } from "./types.js";

export type Scheme = "memory" | "file" | "grpc";

/** What makes two openings of one log differ. */
export type Settings = {
  readonly [K in keyof Omit<OpenOptions, "create" | "share" | "session" | "signal" | "token" | "tls">]-?: NonNullable<
    OpenOptions[K]
  >;
};

/** Options that are not for every log, and for which they are. */
const onlyFor: { readonly [K in keyof OpenOptions]?: readonly Scheme[] } = {
  create: ["file"],
  durability: ["file"],
  io: ["memory", "file"],
  disk: ["file"],
  share: ["file"],
  timeoutMs: ["file", "grpc"],
  token: ["grpc"],
  tls: ["grpc"],
};

const optionNames = new Set([
  ...Object.keys(onlyFor),
  "cacheBytes",
  "auxBytes",
  "clock",
  "random",
  "session",
  "signal",
]);

const howCalled = { memory: '"memory:"', file: '"file:DIR"', grpc: '"grpc://HOST:PORT"' } as const;

/** Refuses options that would do nothing. */
export function checkScheme(url: string, scheme: Scheme, options: OpenOptions): void {
  for (const [name, schemes] of Object.entries(onlyFor)) {
    const value = options[name as keyof OpenOptions];
    if (value === undefined || schemes.includes(scheme)) continue;
    const others = schemes.map((other) => howCalled[other]).join(" or ");
    throw new TypeError(`${name} is not for ${show(url)}; leave it away or use ${others}`);
  }
  const { share, disk, timeoutMs } = options;
  if (scheme !== "file") return;
  if (share !== true && timeoutMs !== undefined)
    throw new TypeError(`timeoutMs is for logs of other processes; leave it away or open ${url} with share: true`);
  if (share === true && disk !== undefined)
    throw new TypeError("share is not for a disk that other processes do not see; leave it or disk away");
  if (share === true && process.platform === "win32")
    throw new TypeError("share is not available on Windows; let one process serve the log with boki serve");
}

export function checkSettings(options: OpenOptions): Settings {
  checkOptions("openLog", options ?? null, optionNames);
  const {
    durability = "disk",
    io = "auto",
    cacheBytes = defaultCacheBytes,
    auxBytes = defaultAuxBytes,
    clock = systemClock,
    random = systemRandom,
    disk = realDisk,
    create,
    share,
    timeoutMs = defaultTimeoutMs,
    token,
    tls,
    session,
    signal,
  } = options;
  if (durability !== "disk" && durability !== "os")
    throw new TypeError(`durability must be "disk" or "os", not ${show(durability)}`);
  if (io !== "main" && io !== "worker" && io !== "auto")
    throw new TypeError(`io must be "main", "worker" or "auto", not ${show(io)}`);
  checkBytes("cacheBytes", cacheBytes);
  checkBytes("auxBytes", auxBytes);
  checkBoolean("create", create);
  checkBoolean("share", share);
  checkTimeout("timeoutMs", timeoutMs);
  if (token !== undefined && (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)))
    throw new TypeError("token must be a string of visible ASCII characters, as the server's token file has it");
  checkTls(tls);
  checkSignal("signal", signal);
  if (
    typeof clock.now !== "function" ||
    typeof clock.monotonic !== "function" ||
    typeof clock.setTimer !== "function"
  ) {
    throw new TypeError("clock must have the functions now, monotonic and setTimer");
  }
  checkTime("clock.now()", clock.now());
  checkTime("clock.monotonic()", clock.monotonic());
  if (typeof random !== "function") throw new TypeError(`random must be a function, not ${show(random)}`);
  checkDisk(disk);
  if (session !== undefined) parseSession(session);
  return { durability, io, cacheBytes, auxBytes, clock, random, disk, timeoutMs };
}

function checkDisk(disk: Disk): void {
  for (const name of Object.keys(realDisk) as (keyof Disk)[]) {
    if (name === "link" || name === "removeFolder") continue;
    if (typeof (disk as Partial<Disk> | null)?.[name] !== "function") {
      throw new TypeError(
        `disk must be a Disk, such as new FaultDisk() of boki/testing; ${show(disk)} has no ${name}()`,
      );
    }
  }
}

function checkTls(tls: unknown): void {
  if (tls === undefined || typeof tls === "boolean") return;
  checkOptions("tls", tls as object, new Set(["ca", "cert", "key", "serverName"]));
  const { ca, cert, key, serverName } = tls as Record<string, unknown>;
  for (const [name, value] of Object.entries({ ca, cert, key })) {
    if (value !== undefined && typeof value !== "string" && !(value instanceof Uint8Array))
      throw new TypeError(`tls.${name} must be the text of a PEM file, not ${show(value)}`);
    if (value !== undefined && !Buffer.from(value).includes("-----BEGIN "))
      throw new TypeError(`tls.${name} has nothing of a PEM file in it; give the text of the file, not its path`);
  }
  if ((cert === undefined) !== (key === undefined))
    throw new TypeError("tls.cert and tls.key belong together; give both or neither");
  if (serverName !== undefined && typeof serverName !== "string")
    throw new TypeError(`tls.serverName must be a string, not ${show(serverName)}`);
}
