/** LevelDB: one synced batch for all appends that came while the last one was written. */
import { rmSync } from "node:fs";
import { type AppendPeer, client } from "../harness/peer.js";
import { GroupCommit } from "../harness/workload.js";

interface Operation {
  readonly type: "put";
  readonly key: string;
  readonly value: Uint8Array;
}

interface Level {
  open(): Promise<void>;
  batch(operations: Operation[], options: { sync: boolean }): Promise<void>;
  keys(range: { gte: string; lt: string }): AsyncIterable<string>;
  close(): Promise<void>;
}

export const level: AppendPeer = {
  name: "classic-level",
  inFlight: 256,
  start() {
    const { ClassicLevel } = client("classic-level") as { ClassicLevel: new (path: string, options: object) => Level };
    return Promise.resolve({
      async open(folder) {
        const db = new ClassicLevel(`${folder}/level`, { valueEncoding: "view" });
        await db.open();
        const commits = new GroupCommit<Operation[]>((items) => db.batch(items.flat(), { sync: true }));
        const nothing = new Uint8Array(0);
        let next = 0;
        return {
          append(data, tags) {
            const number = String(++next).padStart(12, "0");
            return commits.add([
              { type: "put", key: `r${number}`, value: data },
              ...tags.map((tag) => ({ type: "put" as const, key: `t${tag}/${number}`, value: nothing })),
            ]);
          },
          async count() {
            let count = 0;
            for await (const _ of db.keys({ gte: "r", lt: "s" })) count++;
            return count;
          },
          async close() {
            await db.close();
            rmSync(`${folder}/level`, { recursive: true, force: true });
          },
        };
      },
      stop: () => Promise.resolve(),
    });
  },
};
