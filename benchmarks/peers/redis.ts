/**
 * Redis: XADD with appendfsync always, 256 clients with one command each. It does less: the tags are fields of the
 * record, and nothing finds a record by them.
 */
import { mkdirSync } from "node:fs";
import { client, freePort, type Peer, program, serve } from "../harness/peer.js";

interface Redis {
  connect(): Promise<void>;
  xadd(stream: string, ...values: (string | Uint8Array)[]): Promise<string | null>;
  xlen(stream: string): Promise<number>;
  flushall(): Promise<unknown>;
  disconnect(): void;
}

export const redis: Peer = {
  name: "redis",
  inFlight: 256,
  async start(folder) {
    const { Redis } = client("ioredis") as { Redis: new (options: object) => Redis };
    const server = program("redis-server");
    const port = await freePort();
    const directory = `${folder}/redis`;
    mkdirSync(directory, { recursive: true });
    const stop = await serve(
      server,
      [
        "--port",
        String(port),
        "--bind",
        "127.0.0.1",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--save",
        "",
        "--dir",
        directory,
      ],
      port,
    );
    const clients = Array.from({ length: 256 }, () => new Redis({ port, host: "127.0.0.1", lazyConnect: true }));
    await Promise.all(clients.map((one) => one.connect()));
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
      async stop() {
        for (const one of clients) one.disconnect();
        await stop();
      },
    };
  },
};
