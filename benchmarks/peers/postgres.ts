/**
 * PostgreSQL, synchronous_commit on, 64 clients: a record with its tags in one statement; accounts as jsonb, changed in
 * serializable transactions that run again when they are refused.
 */
import { spawnSync } from "node:child_process";
import { chownSync, mkdirSync } from "node:fs";
import { type Account, type Accounts, type Bank, type Totals, totalsOf } from "../harness/accounts.js";
import { type AppendPeer, client, freePort, Missing, type Peer, program, runProgram, serve } from "../harness/peer.js";

type Query = string | { name?: string; text: string; values: unknown[] };

interface Client {
  query<Row = unknown>(query: Query): Promise<{ rowCount: number; rows: Row[] }>;
}

interface Pool extends Client {
  connect(): Promise<Client & { release(): void }>;
  end(): Promise<void>;
}

const schema = `
  create table if not exists log (id bigserial primary key, data bytea not null);
  create table if not exists log_tag (tag text, id bigint, primary key (tag, id));
  truncate log, log_tag`;
const insert = `
  with record as (insert into log (data) values ($1) returning id)
  insert into log_tag select distinct unnest($2::text[]), id from record`;

export const postgres: AppendPeer = {
  name: "postgres",
  inFlight: 64,
  async start(folder) {
    const { pool, stop } = await startPostgres(folder);
    return {
      async open() {
        await pool.query(schema);
        return {
          async append(data, tags) {
            const { rowCount } = await pool.query({ name: "insert", text: insert, values: [data, tags] });
            if (rowCount === 0) throw new Error("postgres inserted nothing");
          },
          async count() {
            const { rows } = await pool.query<{ count: string }>("select count(*) as count from log");
            return Number(rows[0]!.count);
          },
          close: () => Promise.resolve(),
        };
      },
      stop,
    };
  },
};

// Half of each page is left free, so that a change finds room beside what it replaces.
const accountSchema = `
  create table if not exists account (key text primary key, value jsonb not null) with (fillfactor = 50);
  truncate account`;
const load = "insert into account select * from unnest($1::text[], $2::jsonb[])";
const deposit = `
  update account set value = value || jsonb_build_object(
    'balance', (value->'balance')::bigint + 1, 'changes', (value->'changes')::bigint + 1) where key = $1`;
const find = "select key, value from account where key in ($1, $2)";
const store = "update account set value = case key when $1 then $3::jsonb else $4::jsonb end where key in ($1, $2)";

export const postgresBank = ({ keys, values }: Accounts): Peer<Bank> => ({
  name: "postgres",
  async start(folder) {
    const { pool, stop } = await startPostgres(folder, ["default_transaction_isolation=serializable"]);
    return {
      async open() {
        await pool.query(accountSchema);
        await pool.query({ text: load, values: [keys, values.map((value) => JSON.stringify(value))] });
        await pool.query("vacuum analyze account");
        return {
          deposit: (key) =>
            again(async () => {
              const { rowCount } = await pool.query({ name: "deposit", text: deposit, values: [key] });
              if (rowCount !== 1) throw new Error(`postgres changed ${rowCount} accounts`);
            }),
          transfer: (from, to) => again(() => inTransaction(pool, (client) => transfer(client, from, to))),
          async totals(): Promise<Totals> {
            const { rows } = await pool.query<{ value: Account }>("select value from account");
            return totalsOf(rows.map(({ value }) => value));
          },
          close: () => Promise.resolve(),
        };
      },
      stop,
    };
  },
});

async function transfer(client: Client, from: string, to: string): Promise<void> {
  const { rows } = await client.query<{ key: string; value: Account }>({
    name: "find",
    text: find,
    values: [from, to],
  });
  const values = [from, to].map((key, i) => {
    const { value } = rows.find((row) => row.key === key)!;
    return JSON.stringify({ ...value, balance: value.balance + (i === 0 ? -1 : 1), changes: value.changes + 1 });
  });
  const { rowCount } = await client.query({ name: "store", text: store, values: [from, to, ...values] });
  if (rowCount !== 2) throw new Error(`postgres changed ${rowCount} accounts`);
}

async function inTransaction(pool: Pool, body: (client: Client) => Promise<void>): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await body(client);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

/** Until it is not refused: 40001 could not be serialized, 40P01 two waited for each other. */
async function again(body: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await body();
    } catch (error) {
      if (!["40001", "40P01"].includes((error as { code?: string }).code ?? "")) throw error;
    }
  }
}

async function startPostgres(
  folder: string,
  options: readonly string[] = [],
): Promise<{ pool: Pool; stop: () => Promise<void> }> {
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
    ...options,
  ];
  const stop = await serve(
    ...asServer(server, ["-D", directory, ...settings.flatMap((setting) => ["-c", setting])]),
    port,
  );
  const pool = new Pool({ host: "127.0.0.1", port, user: "postgres", database: "postgres", max: 64 });
  return {
    pool,
    async stop() {
      await pool.end();
      await stop();
    },
  };
}

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
