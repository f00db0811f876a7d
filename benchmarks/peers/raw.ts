/**
 * The limit: one thread that writes the same bytes and syncs once a batch, into files that are prepared ahead in the
 * same way, with a turn of the event loop between batches. No records, no index, no answers.
 */
import { mkdirSync, rmSync } from "node:fs";
import { realDisk } from "../../core/loglet/file/disk.js";
import { nextSegmentBytes, Spare } from "../../core/loglet/file/spare.js";
import { closedLoop, type Latencies } from "../harness/workload.js";

export async function runRaw(
  folder: string,
  batchRecords: number,
  bytesPerRecord: number,
  ms: number,
): Promise<Latencies> {
  const path = `${folder}/raw`;
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  const spare = new Spare(realDisk, path);
  const batch = Buffer.alloc(batchRecords * bytesPerRecord, 7);
  let total = 0;
  let current = await spare.take(1, nextSegmentBytes(total), 0);
  let at = 0;
  const { ops, ...rest } = await closedLoop(1, ms, async () => {
    if (at + batch.length > current.size) {
      total += current.size;
      realDisk.close(current.file);
      current = await spare.take(current.number + 1, nextSegmentBytes(total), batch.length);
      at = 0;
    }
    realDisk.write(current.file, batch, batch.length, at);
    realDisk.sync(current.file);
    at += batch.length;
    const used = at / current.size;
    if (used > 0.2) {
      spare.prepare(current.number + 1, nextSegmentBytes(total + current.size));
      spare.advance((used - 0.2) / 0.7);
    }
    await new Promise((resolve) => setImmediate(resolve));
  });
  realDisk.close(current.file);
  await spare.discard();
  rmSync(path, { recursive: true });
  return { ops: ops * batchRecords, ...rest };
}
