/**
 * One process owns a folder. Node has no flock, and files with a pid lie once pids are reused or containers share a
 * folder; so the lock is a listening Unix socket: a refused connection means a dead owner, at once and for certain.
 *
 * Taking over from a dead owner must not race, so lock names have generations: `.lock.1`, `.lock.2`, ... An owner listens on a
 * name of its own first and then links it to the next generation, which only one can do. It owns the folder if then
 * no higher generation exists and no lower one is alive. The dead are removed only after that, and so is the first name.
 *
 * Who connects speaks first. A question is answered with who the owner is; what begins as HTTP/2 does is a guest, who wants to use
 * the log through its owner.
 */
import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import { dirname, join } from "node:path";
import { LogError } from "../../errors.js";
import { SocketFolder } from "./socket-folder.js";

const prefix = ".lock.";
/** Other names are none of ours. */
const lockName = /^\.lock\.([1-9]\d{0,8})$/;
const generationMax = 999_999_999;
const ownPrefix = ".lock-";
const firstName = /^\.lock-[0-9a-f]{12}$/;
const greetingMs = 2000;
/** Nobody is so long about taking a lock. */
const takingMs = 600_000;

/** What a guest says first; all else is a question. */
const guestBegin = "PRI ";
const question = "?\n";

interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly since: string;
  /** Guests are taken, or will be. */
  readonly shares: boolean;
}

/** Somebody alive who has the folder. */
export interface LiveOwner extends Partial<Owner> {
  /** Of the socket that he listens at. */
  readonly path: string;
}

export class FolderLock {
  readonly #door: Door;
  readonly #name: LockName | undefined;

  private constructor(door: Door, name?: LockName) {
    this.#door = door;
    this.#name = name;
  }

  /** Rejects with `LOG_LOCKED` while another process owns the folder. `shares`: guests may come from the first moment on. */
  static async acquire(folder: string, shares = false): Promise<FolderLock> {
    const door = new Door(shares);
    if (process.platform === "win32") return acquirePipe(folder, door, () => new FolderLock(door));
    const sockets = new SocketFolder(folder);
    const name = ownPrefix + randomBytes(6).toString("hex");
    const own = join(folder, name);
    try {
      await door.listen(join(sockets.path, name));
      for (;;) {
        const highest = Math.max(0, ...generations(folder));
        if (highest > 0) {
          const owner = await ask(join(sockets.path, prefix + highest));
          if (owner !== undefined) throw locked(folder, owner);
        }
        if (highest >= generationMax) throw spentError(folder);
        const mine = new LockName(own, join(folder, prefix + (highest + 1)));
        try {
          fs.linkSync(own, mine.path);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
          throw error;
        }
        const rival = await findRival(sockets, folder, highest + 1);
        if (rival !== undefined) {
          mine.remove();
          if (rival === "newer") continue;
          throw locked(folder, rival);
        }
        fs.rmSync(own, { force: true });
        removeLeft(folder);
        return new FolderLock(door, mine);
      }
    } catch (error) {
      await door.close();
      fs.rmSync(own, { force: true });
      throw error;
    } finally {
      sockets.close();
    }
  }

  /** Gives the guests to `welcome`, those too that wait already. */
  share(welcome: (guest: net.Socket) => void): void {
    this.#door.share(welcome);
  }

  /** The path still leads to the folder, and nobody has removed the name. */
  isHeld(): boolean {
    return this.#name?.isThere() ?? true;
  }

  async release(): Promise<void> {
    this.#name?.remove();
    await this.#door.close();
  }
}

/** The name by which a socket has the folder. */
class LockName {
  readonly path: string;
  readonly #made: fs.BigIntStats;

  /** `own`: the socket's first name. */
  constructor(own: string, path: string) {
    this.path = path;
    this.#made = fs.lstatSync(own, { bigint: true });
  }

  /** It is still this socket's: the folder may have been moved away, and its place be another owner's. */
  isThere(): boolean {
    const found = fs.lstatSync(this.path, { bigint: true, throwIfNoEntry: false });
    return found !== undefined && found.dev === this.#made.dev && found.ino === this.#made.ino;
  }

  remove(): void {
    try {
      if (this.isThere()) fs.unlinkSync(this.path);
    } catch {
      // One that stays is a dead one's soon, which is in nobody's way.
    }
  }
}

/** From the newest. */
function generations(folder: string): number[] {
  return fs
    .readdirSync(folder)
    .flatMap((name) => lockName.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

/** Who else may own the folder beside generation `mine`; removes the locks of the dead. */
async function findRival(
  sockets: SocketFolder,
  folder: string,
  mine: number,
): Promise<Partial<Owner> | "newer" | undefined> {
  const others = generations(folder).filter((generation) => generation !== mine);
  if (others.some((generation) => generation > mine)) return "newer";
  for (const generation of others) {
    // Generations begin again when an owner leaves in good order, so a lower one may be alive too.
    const owner = await ask(join(sockets.path, prefix + generation));
    if (owner !== undefined) return owner;
    removeDead(join(folder, prefix + generation));
  }
  return undefined;
}

function removeDead(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // It only costs a question each time.
  }
}

/** The first names of those who died while they tried. */
function removeLeft(folder: string): void {
  try {
    for (const name of fs.readdirSync(folder)) {
      if (!firstName.test(name)) continue;
      const path = join(folder, name);
      if (fs.lstatSync(path).mtimeMs < Date.now() - takingMs) fs.unlinkSync(path);
    }
  } catch {
    // They are in nobody's way.
  }
}

/** Listens without holding the process open: tells who asks about the owner, and lets guests in. */
class Door {
  readonly #server = net.createServer((socket) => this.#greet(socket));
  readonly #sockets = new Set<net.Socket>();
  #shares: boolean;
  #welcome: ((guest: net.Socket) => void) | undefined;
  #guests: net.Socket[] = [];

  constructor(shares: boolean) {
    this.#shares = shares;
    this.#server.unref();
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      // In a cluster too this process listens, not its primary: the lock lives as long as the owner, and no longer.
      this.#server.listen({ path, exclusive: true }, () => resolve());
    });
  }

  share(welcome: (guest: net.Socket) => void): void {
    this.#shares = true;
    this.#welcome = welcome;
    for (const guest of this.#guests.splice(0)) welcome(guest);
  }

  #greet(socket: net.Socket): void {
    socket.unref();
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.setTimeout(greetingMs, () => socket.destroy());
    socket.once("data", (said) => {
      socket.pause();
      socket.setTimeout(0);
      if (!said.toString("latin1").startsWith(guestBegin)) {
        const owner: Owner = { pid: process.pid, host: os.hostname(), since, shares: this.#shares };
        socket.end(JSON.stringify(owner));
      } else if (this.#shares) {
        socket.unshift(said);
        if (this.#welcome === undefined) this.#guests.push(socket);
        else this.#welcome(socket);
      } else socket.destroy();
    });
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** When this process took its first lock. */
const since = new Date().toISOString();

/** Who has a folder, if anybody is alive who has; `sockets` is the way to him. */
export async function findOwner(folder: string, sockets: SocketFolder): Promise<LiveOwner | undefined> {
  // The newest may be of one who died before he saw that an older one is alive.
  for (const generation of generations(folder)) {
    const path = join(sockets.path, prefix + generation);
    const owner = await ask(path);
    if (owner !== undefined) return { ...owner, path };
  }
  return undefined;
}

/** The owner behind a socket; undefined if nobody listens any more. */
function ask(path: string): Promise<Partial<Owner> | undefined> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = net.connect(path);
    // An owner that is busy or stopped is an owner all the same.
    const timer = setTimeout(() => socket.destroy(), greetingMs);
    let connected = false;
    socket.setEncoding("utf8");
    socket.on("connect", () => {
      connected = true;
      socket.write(question);
    });
    socket.on("data", (data) => (text += String(data)));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      // EAGAIN: so many ask an owner that is stopped that the kernel takes no more.
      if (connected || error.code === "EAGAIN") resolve({});
      // It was closed while we waited at the door: there is another one, or none.
      else if (error.code === "ECONNRESET") resolve(ask(path));
      else if (error.code === "ECONNREFUSED") resolve(undefined);
      // Unless it is the way to the folder that is gone.
      else if (error.code === "ENOENT" && fs.existsSync(dirname(path))) resolve(undefined);
      else reject(error);
    });
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(parseOwner(text));
    });
  });
}

function parseOwner(text: string): Partial<Owner> {
  try {
    return JSON.parse(text) as Owner;
  } catch {
    return {};
  }
}

function locked(folder: string, { pid, host, since }: Partial<Owner>): LogError {
  const who = pid === undefined ? "another process" : `process ${pid} on ${host} since ${since}`;
  return new LogError(
    "LOG_LOCKED",
    `${folder} is open in ${who}; one process owns a folder: close it there first; programs that are to use it at the same time open it with share: true`,
    {
      retryable: true,
    },
  );
}

function spentError(folder: string): LogError {
  return new LogError(
    "LOG_IO",
    `${folder} has a lock with the last number there is; remove the files ${prefix}NUMBER while no process uses it`,
  );
}

/** Named pipes vanish with their owner and belong to one: they need no generations. */
async function acquirePipe(folder: string, door: Door, make: () => FolderLock): Promise<FolderLock> {
  const path = `\\\\.\\pipe\\boki-${createHash("sha256").update(fs.realpathSync(folder).toLowerCase()).digest("hex").slice(0, 32)}`;
  try {
    await door.listen(path);
    return make();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw locked(folder, (await ask(path)) ?? {});
  }
}
