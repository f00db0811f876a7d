/**
 * The limit: one thread that writes the same bytes and syncs once a batch, into files that are prepared ahead in the
 * same way, with a turn of the event loop between batches. No records, no index, no answers.
 */
import { mkdirSync, rmSync } from "node:fs";
import { realDisk } from "../../core/loglet/file/real-disk.js";
import { createSegment, nextSegmentBytes, type Segment, segmentSizes } from "../../core/loglet/file/segment.js";
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
  const batch = Buffer.alloc(batchRecords * bytesPerRecord, 7);
  let total = 0;
  const next = (number: number): Segment =>
    createSegment(realDisk, path, {
      logId: "0".repeat(32),
      number,
      base: 1,
      size: nextSegmentBytes(segmentSizes, total, batch.length),
      durability: "disk",
      created: 0,
      sparse: false,
    });
  let segment = next(1);
  const { ops, ...rest } = await closedLoop(1, ms, async () => {
    if (batch.length > segment.room) {
      realDisk.close(segment.file);
      segment = next(segment.header.number + 1);
    }
    segment.write(realDisk, batch, batch.length);
    realDisk.sync(segment.file);
    segment.end += batch.length;
    total += batch.length;
    await new Promise((resolve) => setImmediate(resolve));
  });
  realDisk.close(segment.file);
  rmSync(path, { recursive: true });
  return { ops: ops * batchRecords, ...rest };
}
