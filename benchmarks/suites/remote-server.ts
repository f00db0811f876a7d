/** remote-server.js: the process that has a log and serves it, or that echoes; its parent says which. */
import { rmSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { openLog } from "../../core/index.js";
import { LogServer } from "../../core/remote/index.js";
import { carryOut, type Durability, type Server } from "../harness/remote.js";
import { echoServer } from "../peers/echo.js";

const anybody = { name: "anybody", check: (): void => undefined };
let running: Server | undefined;

const tasks = {
  /** A fresh log in a folder, served; gives its url. */
  async serve(path: string, durability: Durability): Promise<string> {
    rmSync(path, { recursive: true, force: true });
    const log = await openLog(`file:${path}`, { durability });
    const server = new LogServer(log as ConstructorParameters<typeof LogServer>[0], () => anybody);
    const port = await server.listen("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
    running = {
      address: `grpc://127.0.0.1:${port}`,
      count: async () => (await log.stats()).records,
      async close() {
        await server.close(1000);
        await log.close();
        rmSync(path, { recursive: true });
      },
    };
    return running.address;
  },

  async echo(): Promise<string> {
    running = await echoServer();
    return running.address;
  },

  count: (): Promise<number> => running!.count(),
  close: (): Promise<void> => running!.close(),
};

export type ServerTasks = typeof tasks;
carryOut(tasks);
