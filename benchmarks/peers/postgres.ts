/** PostgreSQL: an insert with its tags in one statement, synchronous_commit on, 64 clients. */
import { spawnSync } from "node:child_process";
import { chownSync, mkdirSync } from "node:fs";
import { client, freePort, Missing, type Peer, program, runProgram, serve } from "../harness/peer.js";

interface Pool {
  query(
    query: string | { name: string; text: string; values: unknown[] },
  ): Promise<{ rowCount: number; rows: { count: string }[] }>;
  end(): Promise<void>;
}

const schema = `
  create table if not exists log (id bigserial primary key, data bytea not null);
  create table if not exists log_tag (tag text, id bigint, primary key (tag, id));
  truncate log, log_tag`;
const insert = `
  with record as (insert into log (data) values ($1) returning id)
  insert into log_tag select distinct unnest($2::text[]), id from record`;

export const postgres: Peer = {
  name: "postgres",
  inFlight: 64,
  async start(folder) {
    const { Pool } = client("pg") as { Pool: new (options: object) => Pool };
    const [initdb, server] = [program("initdb"), program("postgres")];
    const port = await freePort();
    const directory = `${folder}/postgres`;
    mkdirSync(directory, { recursive: true });
    const asServer = ownedByServer(directory);
    runProgram(...asServer(initdb, ["-D", directory, "-A", "trust", "-U", "postgres", "-N"]));
    const settings = [
      `port=${port}`,
      "listen_addresses=127.0.0.1",
      `unix_socket_directories=${directory}`,
      "synchronous_commit=on",
      "max_connections=100",
    ];
    const stop = await serve(
      ...asServer(server, ["-D", directory, ...settings.flatMap((setting) => ["-c", setting])]),
      port,
    );
    const pool = new Pool({ host: "127.0.0.1", port, user: "postgres", database: "postgres", max: 64 });
    return {
      async open() {
        await pool.query(schema);
        return {
          async append(data, tags) {
            const { rowCount } = await pool.query({ name: "insert", text: insert, values: [data, tags] });
            if (rowCount === 0) throw new Error("postgres inserted nothing");
          },
          count: async () => Number((await pool.query("select count(*) as count from log")).rows[0]!.count),
          close: () => Promise.resolve(),
        };
      },
      async stop() {
        await pool.end();
        await stop();
      },
    };
  },
};

/** The server refuses to run as root: then it runs as the user postgres. */
function ownedByServer(directory: string): (command: string, args: readonly string[]) => [string, string[]] {
  if (process.getuid?.() !== 0) return (command, args) => [command, [...args]];
  const setpriv = program("setpriv");
  try {
    const ids = [idOf("-u"), idOf("-g")] as const;
    chownSync(directory, ...ids);
    return (command, args) => [setpriv, [`--reuid=${ids[0]}`, `--regid=${ids[1]}`, "--clear-groups", command, ...args]];
  } catch (error) {
    throw new Missing(`there is no user postgres: ${(error as Error).message}`);
  }
}

function idOf(flag: string): number {
  const { stdout, status } = spawnSync("id", [flag, "postgres"], { encoding: "utf8" });
  if (status !== 0) throw new Error("id postgres failed");
  return Number(stdout.trim());
}
