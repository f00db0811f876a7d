/**
 * NATS JetStream, one stream in files, publishes that wait for their acknowledgement. That is less: a record has a subject and no tags.
 * With `sync_interval: always` it is synced before the acknowledgement, which servers before 2.10 cannot do.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { client, freePort, Missing, program, serve } from "../harness/peer.js";
import type { Connected, Durability, ServerPeer } from "../harness/remote.js";

interface Connection {
  close(): Promise<void>;
}

interface JetStream {
  publish(subject: string, data: Uint8Array): Promise<{ readonly seq: number }>;
}

interface Manager {
  readonly streams: {
    add(config: object): Promise<unknown>;
    delete(name: string): Promise<unknown>;
    info(name: string): Promise<{ readonly state: { readonly messages: number } }>;
    getMessage(name: string, query: { seq: number }): Promise<{ readonly data: Uint8Array } | null>;
  };
}

const subject = "log";

export const natsServer = (durability: Durability): ServerPeer => ({
  name: durability === "disk" ? "nats" : "nats os",
  system: "nats",
  durability,
  async start(folder) {
    const server = program("nats-server");
    client("@nats-io/jetstream");
    if (durability === "disk") checkVersion(server);
    const port = await freePort();
    const directory = `${folder}/nats-${durability}`;
    mkdirSync(directory, { recursive: true });
    const sync = durability === "disk" ? ", sync_interval: always" : "";
    const config = `host: "127.0.0.1"\nport: ${port}\njetstream { store_dir: "${directory}"${sync} }\n`;
    writeFileSync(`${directory}/server.conf`, config);
    const stop = await serve(server, ["-c", `${directory}/server.conf`], port);
    const nats = await connect(port);
    const { streams } = await managerOf(nats);
    let isMade = false;
    return {
      async open() {
        if (isMade) await streams.delete("log");
        isMade = true;
        await streams.add({ name: "log", subjects: [subject], storage: "file", retention: "limits" });
        return {
          address: String(port),
          count: async () => (await streams.info("log")).state.messages,
          close: () => Promise.resolve(),
        };
      },
      async stop() {
        await nats.close();
        await stop();
      },
    };
  },
});

function checkVersion(server: string): void {
  const version = /v(\d+)\.(\d+)\.\d+/.exec(spawnSync(server, ["--version"], { encoding: "utf8" }).stdout);
  if (version === null) return;
  const [text, major, minor] = version;
  if (Number(major) === 2 && Number(minor) < 10)
    throw new Missing(`nats-server ${text} cannot sync before it answers (sync_interval: always), 2.10 can`);
}

function connect(port: number): Promise<Connection> {
  const { connect } = client("@nats-io/transport-node") as { connect: (options: object) => Promise<Connection> };
  return connect({ servers: `127.0.0.1:${port}` });
}

function managerOf(nats: Connection): Promise<Manager> {
  return (client("@nats-io/jetstream") as { jetstreamManager(nats: Connection): Promise<Manager> }).jetstreamManager(
    nats,
  );
}

/** One process's connection. */
export async function connectNats(address: string): Promise<Connected> {
  const nats = await connect(Number(address));
  const { jetstream } = client("@nats-io/jetstream") as { jetstream: (nats: Connection) => JetStream };
  const stream = jetstream(nats);
  const { streams } = await managerOf(nats);
  return {
    append: async (data) => (await stream.publish(subject, data)).seq,
    read: async (seq) => (await streams.getMessage("log", { seq: Number(seq) }))?.data,
    close: () => nats.close(),
  };
}
