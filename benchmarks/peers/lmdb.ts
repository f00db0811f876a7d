/** LMDB: records by number, and a second table of (tag, number). It groups commits by itself. */
import { rmSync } from "node:fs";
import { type AppendPeer, client } from "../harness/peer.js";

interface Database {
  openDB(options: { name: string; encoding?: string }): Database;
  put(key: unknown, value: unknown): Promise<boolean>;
  getCount(): number;
  close(): Promise<void>;
}

interface Lmdb {
  readonly open: (options: { path: string; overlappingSync: boolean }) => Database;
}

export const lmdb: AppendPeer = {
  name: "lmdb",
  inFlight: 256,
  start() {
    const { open } = client("lmdb") as Lmdb;
    return Promise.resolve({
      open(folder) {
        // Without overlappingSync a put is answered when it is synced, as ours is.
        const root = open({ path: `${folder}/lmdb`, overlappingSync: false });
        const records = root.openDB({ name: "records", encoding: "binary" });
        const tags = root.openDB({ name: "tags", encoding: "binary" });
        const nothing = Buffer.alloc(0);
        let next = 0;
        return Promise.resolve({
          append(data, [first, second]) {
            const number = ++next;
            // All three are in one transaction: puts of one turn commit together.
            void records.put(number, data);
            void tags.put([first, number], nothing);
            return tags.put([second, number], nothing);
          },
          count: () => Promise.resolve(records.getCount()),
          async close() {
            await root.close();
            rmSync(`${folder}/lmdb`, { recursive: true, force: true });
          },
        });
      },
      stop: () => Promise.resolve(),
    });
  },
};
