/** What a log does besides appending and reading: opening, checkpoints, giving room back. */
import { linkSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { type Log, openLog } from "../../libs/index.js";
import type { Sample } from "../harness/measure.js";
import { closedLoop, samplesOf, type Workload } from "../harness/workload.js";

const openOn = (path: string, durability: "disk" | "os"): Promise<Log> => openLog(`file:${path}`, { durability });

async function fill(log: Log, workload: Workload, from: number, to: number): Promise<void> {
  const book = log.book("bench");
  for (let first = from; first < to; first += 10_000) {
    const inputs = Array.from({ length: Math.min(10_000, to - first) }, (_, i) => ({
      data: workload.data(first + i),
      tags: workload.pair(first + i),
    }));
    await book.appendAll(inputs);
  }
}

/** The folder as a kill at this moment leaves it: the same files under other names. */
function linkFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (/^\d+\.log$|\.ckpt$/.test(name)) linkSync(`${from}/${name}`, `${to}/${name}`);
  }
}

const diskBytes = (path: string): number =>
  readdirSync(path).reduce((sum, name) => sum + statSync(`${path}/${name}`).blocks * 512, 0);

/** Opening after a clean close, after a kill, and without a checkpoint: then all records are read, checked and indexed. */
export async function opening(workload: Workload, folder: string, records: number): Promise<Sample[]> {
  const path = `${folder}/opening`;
  const killed = `${folder}/killed`;
  const log = await openOn(path, "os");
  await fill(log, workload, 0, records);
  linkFolder(path, killed);
  await log.close();
  const timed = async (at: string): Promise<number> => {
    const start = performance.now();
    const again = await openOn(at, "os");
    const ms = performance.now() - start;
    const { records: found, indexBytes, tagBytes } = await again.stats();
    if (found !== records) throw new Error(`${found} records after opening, of ${records}`);
    index = indexBytes / records;
    tags = tagBytes / records;
    await again.close();
    return ms;
  };
  let index = 0;
  let tags = 0;
  const clean = await timed(path);
  const kill = await timed(killed);
  rmSync(killed, { recursive: true });
  const name = `open${records}`;
  const sample = (metric: string, unit: string, value: number): Sample => ({
    case: name,
    system: "boki",
    metric,
    unit,
    value,
  });
  const samples = [
    sample("after a clean close", "ms", clean),
    sample("after a kill", "ms", kill),
    sample("index", "bytes/record", index),
    sample("tag bytes", "bytes/record", tags),
  ];
  if (records <= 1_000_000) {
    for (const file of readdirSync(path)) if (file.endsWith(".ckpt")) rmSync(`${path}/${file}`);
    const scan = await timed(path);
    samples.push(sample("scan", "ms", scan), sample("scan of a million", "ms", (scan * 1e6) / records));
  }
  rmSync(path, { recursive: true });
  return samples;
}

/** Disk against live bytes once nine tenths are trimmed and everything has settled. */
export async function space(workload: Workload, folder: string, records: number): Promise<Sample[]> {
  const path = `${folder}/space`;
  const log = await openOn(path, "os");
  const book = log.book("bench");
  await fill(log, workload, 0, records);
  const before = (await log.stats()).logBytes;
  const rest = records / 10;
  await book.trim({ upTo: records - rest });
  for (let i = 0; i < 4; i++) {
    await log.checkpoint();
    await fill(log, workload, records + i, records + i + 1);
  }
  const live = (before / records) * rest;
  const bytes = diskBytes(path);
  await log.close();
  rmSync(path, { recursive: true });
  return [{ case: "trim nine tenths", system: "boki", metric: "disk/live", unit: "ratio", value: bytes / live }];
}

/** Appends with 256 in flight, first as usual, then while one checkpoint follows the other and old segments are rewritten. */
export async function compacting(workload: Workload, folder: string, records: number, ms: number): Promise<Sample[]> {
  const path = `${folder}/compacting`;
  const log = await openOn(path, "disk");
  const book = log.book("bench");
  await fill(log, workload, 0, records);
  const append = (i: number): Promise<unknown> => book.append(workload.data(i), { tags: workload.pair(i) });
  const usual = await closedLoop(256, ms, append);
  // The hundred most frequent tags are on most records: what remains is a part of every segment.
  const upTo = (await book.tail()) - 1;
  await Promise.all(workload.tags.slice(0, 20_000).map((tag) => book.trim({ tag, upTo })));
  let going = true;
  const upkeep = (async () => {
    while (going) await log.checkpoint();
  })();
  const busy = await closedLoop(256, ms, append);
  going = false;
  await upkeep;
  await log.close();
  rmSync(path, { recursive: true });
  return [
    ...samplesOf("append256 before", "boki", usual, "records/s"),
    ...samplesOf("append256 with checkpoints and compaction", "boki", busy, "records/s"),
  ];
}
