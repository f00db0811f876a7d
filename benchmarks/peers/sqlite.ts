/** SQLite: WAL with synchronous=FULL, one transaction for all appends of a turn, an index over tags. */
import { rmSync } from "node:fs";
import { type AppendPeer, client, Missing } from "../harness/peer.js";
import { GroupCommit } from "../harness/workload.js";

interface Statement {
  run(...values: unknown[]): { lastInsertRowid: number | bigint };
  get(): { count: number };
}

interface Sqlite {
  pragma(text: string): unknown;
  exec(sql: string): void;
  prepare(sql: string): Statement;
  transaction<A>(fn: (argument: A) => void): (argument: A) => void;
  close(): void;
}

export const sqlite: AppendPeer = {
  name: "better-sqlite3",
  inFlight: 256,
  start() {
    const Database = client("better-sqlite3") as new (path: string) => Sqlite;
    try {
      new Database(":memory:").close();
    } catch (error) {
      throw new Missing(`better-sqlite3 is not built: ${(error as Error).message.split("\n")[0]}`);
    }
    return Promise.resolve({
      open(folder) {
        const path = `${folder}/log.sqlite`;
        const db = new Database(path);
        db.pragma("journal_mode = WAL");
        db.pragma("synchronous = FULL");
        db.exec(
          "create table log (id integer primary key, data blob); create table tag (tag text, id integer, primary key (tag, id)) without rowid",
        );
        const insert = db.prepare("insert into log (data) values (?)");
        const index = db.prepare("insert or ignore into tag values (?, ?)");
        const count = db.prepare("select count(*) as count from log");
        const write = db.transaction<readonly [Uint8Array, readonly string[]][]>((items) => {
          for (const [data, tags] of items) {
            const { lastInsertRowid } = insert.run(data);
            for (const tag of tags) index.run(tag, lastInsertRowid);
          }
        });
        const commits = new GroupCommit<[Uint8Array, readonly string[]]>((items) => write([...items]));
        return Promise.resolve({
          append: (data, tags) => commits.add([data, tags]),
          count: () => Promise.resolve(count.get().count),
          close() {
            db.close();
            for (const end of ["", "-wal", "-shm"]) rmSync(path + end, { force: true });
            return Promise.resolve();
          },
        });
      },
      stop: () => Promise.resolve(),
    });
  },
};
