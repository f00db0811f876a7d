/**
 * Redis with appendfsync always and 256 clients. A record is XADD: that is less, for the tags are fields of the record, and
 * nothing finds a record by them. Where processes append, each has a client for every append in flight, or one that sends what a turn
 * of its event loop has to say as one pipeline. Accounts are JSON: WATCH and MGET, then MULTI and EXEC, again when it was refused.
 */
import { mkdirSync } from "node:fs";
import { type Account, type Accounts, type Bank, totalsOf } from "../harness/accounts.js";
import { type AppendPeer, client, freePort, type Peer, program, serve } from "../harness/peer.js";
import type { Connected, Durability, ServerPeer } from "../harness/remote.js";

interface Redis {
  connect(): Promise<void>;
  xrangeBuffer(stream: string, from: string, to: string): Promise<[id: Buffer, fields: Buffer[]][]>;
  xadd(stream: string, ...values: (string | Uint8Array)[]): Promise<string | null>;
  xlen(stream: string): Promise<number>;
  watch(...keys: string[]): Promise<unknown>;
  mget(...keys: string[]): Promise<string[]>;
  mset(values: Record<string, string>): Promise<unknown>;
  multi(): Multi;
  flushall(): Promise<unknown>;
  disconnect(): void;
}

interface Multi {
  mset(values: Record<string, string>): Multi;
  /** `null` when something that was watched has changed. */
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}

export const redis: AppendPeer = {
  name: "redis",
  inFlight: 256,
  async start(folder) {
    const { clients, stop } = await startRedis(folder);
    return {
      async open() {
        await clients[0]!.flushall();
        const idle = [...clients];
        return {
          async append(data, [first, second]) {
            const one = idle.pop()!;
            const id = await one.xadd("log", "*", "a", first, "b", second, "d", data);
            idle.push(one);
            if (id === null) throw new Error("redis gave no id");
          },
          count: () => clients[0]!.xlen("log"),
          close: () => Promise.resolve(),
        };
      },
      stop,
    };
  },
};

export const redisBank = ({ keys, values }: Accounts): Peer<Bank> => ({
  name: "redis",
  async start(folder) {
    const { clients, stop } = await startRedis(folder);
    return {
      async open() {
        await clients[0]!.flushall();
        await clients[0]!.mset(Object.fromEntries(values.map((value, i) => [keys[i]!, JSON.stringify(value)])));
        const idle = [...clients];
        const change = async (changed: readonly string[], amounts: readonly number[]): Promise<void> => {
          const one = idle.pop()!;
          while (!(await tryChange(one, changed, amounts)));
          idle.push(one);
        };
        return {
          deposit: (key) => change([key], [1]),
          transfer: (from, to) => change([from, to], [-1, 1]),
          totals: async () => totalsOf((await clients[0]!.mget(...keys)).map((text) => JSON.parse(text) as Account)),
          close: () => Promise.resolve(),
        };
      },
      stop,
    };
  },
});

/** Two round trips; false if somebody else was faster. */
async function tryChange(redis: Redis, keys: readonly string[], amounts: readonly number[]): Promise<boolean> {
  const watched = redis.watch(...keys);
  const texts = await redis.mget(...keys);
  await watched;
  const changed: Record<string, string> = {};
  keys.forEach((key, i) => {
    const account = JSON.parse(texts[i]!) as Account;
    const { balance, changes } = account;
    changed[key] = JSON.stringify({ ...account, balance: balance + amounts[i]!, changes: changes + 1 });
  });
  const results = await redis.multi().mset(changed).exec();
  const failed = results?.find(([error]) => error !== null);
  if (failed !== undefined) throw failed[0]!;
  return results !== null;
}

async function startRedis(folder: string): Promise<{ clients: readonly Redis[]; stop: () => Promise<void> }> {
  const { port, stop } = await startServer(`${folder}/redis`, "disk");
  const clients = await connect(port, 256);
  return {
    clients,
    async stop() {
      for (const one of clients) one.disconnect();
      await stop();
    },
  };
}

async function startServer(
  directory: string,
  durability: Durability,
): Promise<{ port: number; stop: () => Promise<void> }> {
  client("ioredis");
  const server = program("redis-server");
  const port = await freePort();
  mkdirSync(directory, { recursive: true });
  const settings = {
    port: String(port),
    bind: "127.0.0.1",
    appendonly: "yes",
    appendfsync: durability === "disk" ? "always" : "no",
    save: "",
    dir: directory,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  return { port, stop: await serve(server, args, port) };
}

async function connect(port: number, count: number, enableAutoPipelining = false): Promise<Redis[]> {
  const { Redis } = client("ioredis") as { Redis: new (options: object) => Redis };
  const options = { port, host: "127.0.0.1", lazyConnect: true, enableAutoPipelining };
  const clients = Array.from({ length: count }, () => new Redis(options));
  await Promise.all(clients.map((one) => one.connect()));
  return clients;
}

/** For processes that append. */
export const redisServer = (durability: Durability): ServerPeer => ({
  name: durability === "disk" ? "redis" : "redis os",
  system: "redis",
  durability,
  async start(folder) {
    const { port, stop } = await startServer(`${folder}/redis-${durability}`, durability);
    const [control] = await connect(port, 1);
    return {
      async open() {
        await control!.flushall();
        return { address: String(port), count: () => control!.xlen("log"), close: () => Promise.resolve() };
      },
      async stop() {
        control!.disconnect();
        await stop();
      },
    };
  },
});

/** One process's clients. */
export async function connectRedis(address: string, clients: number | "pipelined"): Promise<Connected> {
  const all = await connect(Number(address), clients === "pipelined" ? 1 : clients, clients === "pipelined");
  const [first] = all;
  const idle = [...all];
  const add = async (one: Redis, data: Uint8Array, [a, b]: [string, string]): Promise<string> => {
    const id = await one.xadd("log", "*", "a", a, "b", b, "d", data);
    if (id === null) throw new Error("redis gave no id");
    return id;
  };
  return {
    async append(data, tags) {
      if (clients === "pipelined") return add(first!, data, tags);
      const one = idle.pop()!;
      const id = await add(one, data, tags);
      idle.push(one);
      return id;
    },
    async read(id) {
      const [entry] = await first!.xrangeBuffer("log", String(id), String(id));
      return entry?.[1][5];
    },
    async close() {
      for (const one of all) one.disconnect();
    },
  };
}
