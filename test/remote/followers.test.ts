/** Many that follow one tag: each is given every record, and the disk is read for one of them. */
import assert from "node:assert/strict";
import grpc from "@grpc/grpc-js";
import { FaultDisk } from "../../core/testing.js";
import { openLog } from "../../core/index.js";
import type { Session } from "../../core/log.js";
import { LogServer } from "../../core/remote/index.js";
import { allRights } from "../../core/remote/rights.js";
import type { Log, LogBook } from "../../core/types.js";

const records = process.env["FULL"] === "1" ? 1000 : 50;

/** A disk that counts its reads of files. */
class CountingDisk extends FaultDisk {
  reads = 0;

  override read(...args: Parameters<FaultDisk["read"]>): ReturnType<FaultDisk["read"]> {
    this.reads++;
    return super.read(...args);
  }
}

describe("followers of one tag", function () {
  this.timeout(process.env["FULL"] === "1" ? 600_000 : 60_000);
  const disk = new CountingDisk({ seed: 1 });
  let log: Log;
  let server: LogServer;
  let url: string;

  before(async () => {
    // Records that only the disk has, before those that come while they are followed.
    log = await openLog("file:/followed", { disk });
    for (let i = 0; i < records; i++) await log.book("b").append(Buffer.alloc(100, "x"), { tags: ["t"] });
    await log.close();
    log = await openLog("file:/followed", { disk, cacheBytes: 1 << 20 });
    server = new LogServer(log as Session, () => allRights);
    url = `grpc://127.0.0.1:${await server.listen("127.0.0.1:0", grpc.ServerCredentials.createInsecure())}`;
  });

  after(async () => {
    await server.close(1000);
    await log.close();
  });

  async function follow(book: LogBook, end: string): Promise<number[]> {
    const seqnums: number[] = [];
    for await (const { seqnum, tags } of book.read({ tag: "t", follow: true })) {
      if (tags.includes(end)) return seqnums;
      seqnums.push(seqnum);
    }
    return seqnums;
  }

  for (const [clients, each] of [
    [1, 1000],
    [10, 100],
  ] as const) {
    it(`give every record to each of ${each} in ${clients} clients, for one read each`, async () => {
      const { reads } = disk;
      const opened = await Promise.all(Array.from({ length: clients }, () => openLog(url)));
      const following = opened.flatMap((client) =>
        Array.from({ length: each }, () => follow(client.book("b"), `end-${clients}`)),
      );
      const book = opened[0]!.book("b");
      const expected: number[] = [];
      for await (const { seqnum } of book.read({ tag: "t", head: true })) expected.push(seqnum);
      for (let i = 0; i < records; i++)
        expected.push((await book.append(Buffer.alloc(100, "x"), { tags: ["t"] })).seqnum);
      await book.append(Buffer.from("end"), { tags: [`end-${clients}`, "t"] });
      for (const seqnums of await Promise.all(following)) assert.deepEqual(seqnums, expected);
      assert.ok(disk.reads - reads <= expected.length, `${disk.reads - reads} reads of ${expected.length} records`);
      // Ends are said with what is asked next, and looked at behind it.
      for (let i = 0; i < 2; i++) await Promise.all(opened.map((client) => client.book("b").sync()));
      assert.equal((await log.stats()).readsWaiting, 0);
      for (const client of opened) await client.close();
    });
  }
});
