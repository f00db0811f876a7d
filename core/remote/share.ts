/**
 * A folder that several processes of one machine use: the one that has its lock serves it on the lock's socket, the others are its
 * clients. When it is gone, one of them takes the lock and serves; the rest find it there, and send again what is unanswered (L8).
 *
 *     who connects:   somebody alive has the lock, and shares  ->  a client of his
 *                     nobody has it                            ->  takes it, and is a client of itself
 */
import type { Duplex } from "node:stream";
import grpc from "@grpc/grpc-js";
import { closedError, LogError } from "../errors.js";
import type { Session } from "../log.js";
import { findOwner } from "../loglet/file/lock.js";
import { SocketFolder } from "../loglet/file/socket-folder.js";
import type { Settings } from "../open-options.js";
import { parseSession } from "../session-id.js";
import type { Log, OpenOptions } from "../types.js";
import { RemoteLog } from "./client.js";
import type { Connect, Link, LinkEvents } from "./connection.js";
import { openLink } from "./grpc.js";
import { localLink } from "./link.js";
import { allRights } from "./rights.js";
import { LogServer } from "./server.js";
import type { ServerFrame } from "./wire.js";

/** The longest wait between two attempts to find the owner, or to be it, ms. */
const retryMs = 100;
/** What a client has to take its last answers, ms. */
const graceMs = 500;

/** Serves the log of this process to guests. */
export function shareLog(log: Session): { welcome: (guest: Duplex) => void; close: () => Promise<void> } {
  const server = new LogServer(log, () => allRights);
  return { welcome: server.door(), close: () => server.close(graceMs) };
}

/** Opens a log of this process, or rejects with `LOG_LOCKED`. */
export type Own = () => Promise<Session>;

/** Opens a folder that another process has: as a client of whoever has it. `locked` is thrown where that one does not share it. */
export async function openShared(
  url: string,
  folder: string,
  own: Own,
  settings: Settings,
  options: OpenOptions,
  locked: LogError,
): Promise<Log> {
  const place = new SharedFolder(folder, own, locked);
  const { session, signal } = options;
  const seen = session === undefined ? { id: "", position: 0 } : parseSession(session);
  const connection = { ...settings, connect: place.connect, retryMs, dispose: () => place.close() };
  const log = await RemoteLog.open(url, connection, seen, signal);
  if (log.durability === settings.durability) return log;
  await log.close();
  throw new TypeError(
    `${url} is open in another process with another durability ("${log.durability}", not "${settings.durability}"); open it with the same options`,
  );
}

class SharedFolder {
  readonly #folder: string;
  readonly #own: Own;
  /** Why the folder could not be opened, until it is known whether its owner shares it. */
  #locked: LogError | undefined;
  /** The log, once this process has it, or is about to. */
  #log: Promise<Session> | undefined;
  /** The way to the owner, of the last attempt: none for longer, since it may be swept away with what is temporary. */
  #sockets: SocketFolder | undefined;
  /** What the first owner promised. */
  #durability: string | undefined;
  #isClosed = false;

  constructor(folder: string, own: Own, locked: LogError) {
    this.#folder = folder;
    this.#own = own;
    this.#locked = locked;
  }

  readonly connect: Connect = async (events: LinkEvents): Promise<Link> => {
    if (this.#log !== undefined) return localLink(await this.#log, events);
    if (this.#isClosed) throw closedError();
    const guest = await this.#visit(events);
    if (guest !== undefined) return guest;
    // Nobody would give back what is taken now.
    if (this.#isClosed) throw closedError();
    try {
      return localLink(await (this.#log = this.#own()), events);
    } catch (error) {
      this.#log = undefined;
      // Another one was faster, perhaps one of this process with other options; or there is no room for now.
      if (error instanceof TypeError || (error instanceof LogError && error.retryable))
        throw unavailable(error.message, error);
      throw error;
    }
  };

  /** A link to the owner, if there is one alive. */
  async #visit(events: LinkEvents): Promise<Link | undefined> {
    const folder = this.#folder;
    const locked = this.#locked;
    this.#locked = undefined;
    this.#sockets?.close();
    try {
      this.#sockets = new SocketFolder(folder);
      const owner = await findOwner(folder, this.#sockets);
      if (owner === undefined) return undefined;
      if (owner.shares === false)
        throw locked ?? unavailable(`process ${owner.pid} has ${folder}, and does not share it`);
      if (owner.shares === undefined)
        throw unavailable(`the process that has ${folder} does not answer; look whether it is stopped or busy`);
      return this.#enter(`unix:${owner.path}`, events);
    } catch (error) {
      if (error instanceof LogError) throw error;
      throw unavailable(`${folder} cannot be reached: ${(error as Error).message}`, error);
    }
  }

  /** A later owner promises what the first one did: what it acknowledges would be less than what was asked for. */
  #enter(address: string, events: LinkEvents): Link {
    const frame = (frame: ServerFrame): void => {
      const durability = frame.welcome?.durability;
      if (durability !== undefined && durability !== (this.#durability ??= durability)) {
        link.close();
        const what = `"${durability}", not "${this.#durability}"`;
        events.closed(unavailable(`${this.#folder} is open in another process with another durability (${what})`));
      } else events.frame(frame);
    };
    const link = openLink({ address, credentials: grpc.credentials.createInsecure() }, { ...events, frame });
    return link;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sockets?.close();
    const log = await this.#log?.catch(() => undefined);
    await log?.close();
  }
}

function unavailable(message: string, cause?: unknown): LogError {
  return new LogError("LOG_UNAVAILABLE", message, { retryable: true, cause });
}
