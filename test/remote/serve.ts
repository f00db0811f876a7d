/** A server in this process, on a port of its own. */
import grpc from "@grpc/grpc-js";
import { openLog } from "../../core/index.js";
import type { Session } from "../../core/log.js";
import type { OpenOptions } from "../../core/types.js";
import { LogServer } from "../../core/remote/index.js";
import { allRights } from "../../core/remote/rights.js";

export interface Served {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

export async function serve(url: string, port = 0, options: OpenOptions = {}): Promise<Served> {
  const log = await openLog(url, options);
  const server = new LogServer(log as Session, () => allRights);
  const bound = await server.listen(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure());
  return {
    url: `grpc://127.0.0.1:${bound}`,
    port: bound,
    close: async () => {
      await server.close(1000);
      await log.close();
    },
  };
}
