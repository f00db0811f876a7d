/** The log: durable appends against the disk's limit and other stores, reads by tag, opening, and what the index takes. */
import { rmSync } from "node:fs";
import Benchmark from "benchmark";
import { openLog } from "../../libs/index.js";
import type { Key, RatioOf, Sample, Task } from "../harness/measure.js";
import { type AppendPeer, startPeers } from "../harness/peer.js";
import type { Suite, SuiteRun } from "../harness/suite.js";
import { type Appender, closedLoop, samplesOf, Workload } from "../harness/workload.js";
import { openBoki } from "../peers/boki.js";
import { level } from "../peers/level.js";
import { lmdb } from "../peers/lmdb.js";
import { postgres } from "../peers/postgres.js";
import { runRaw } from "../peers/raw.js";
import { redis } from "../peers/redis.js";
import { sqlite } from "../peers/sqlite.js";
import { compacting, opening, space } from "./log-upkeep.js";

const inFlights = [1, 16, 256, 4096];
const readSet = 20_000;
const unit = "records/s";
const peers: readonly AppendPeer[] = [lmdb, level, sqlite, redis, postgres];
const short: Record<string, string> = { "classic-level": "level", "better-sqlite3": "sqlite" };

export const logSuite: Suite = {
  name: "log",
  unit,
  about: "records of 1 KiB, two tags of 24 bytes out of 100,000 (zipf), fsync before the answer, fresh files",
  async run({ quick, folder, random, say, skip }: SuiteRun) {
    const workload = new Workload(random);
    const ms = quick ? 350 : 1500;
    const running = await startPeers<AppendPeer, Appender>(peers, folder, skip);

    // The bytes that one record takes on disk, for the limit.
    const probe = await openBoki(folder);
    await closedLoop(16, 100, (i) => probe.append(workload.data(i), workload.pair(i)));
    const bytesPerRecord = await probe.bytesPerRecord();
    await probe.close();

    const appends = (name: string, system: string, inFlight: number, open: () => Promise<Appender>): Task => ({
      name: `${name} ${system}`,
      async run() {
        const store = await open();
        const measured = await closedLoop(inFlight, ms, (i) => store.append(workload.data(i), workload.pair(i)));
        const count = await store.count();
        await store.close();
        if (count !== measured.ops)
          throw new Error(`${system} has ${count} records of ${measured.ops} that it acknowledged`);
        return samplesOf(name, system, measured, unit);
      },
    });
    const tasks: Task[] = [];
    for (const inFlight of inFlights) {
      const name = `append${inFlight}`;
      const batch = Math.min(inFlight, Math.floor((1 << 20) / bytesPerRecord));
      tasks.push(
        appends(name, "boki", inFlight, () => openBoki(folder)),
        {
          name: `${name} raw limit`,
          run: async () => samplesOf(name, "raw", await runRaw(folder, batch, bytesPerRecord, ms), unit),
        },
      );
    }
    tasks.push(appends("append256", "boki conditional", 256, () => openBoki(folder, true)));
    for (const [peer, store] of running)
      tasks.push(appends(`append${peer.inFlight}`, peer.name, peer.inFlight, () => store.open(folder)));
    tasks.push(
      { name: "reads by tag", run: () => readByTag(workload, folder, quick) },
      { name: "opening", run: () => opening(workload, folder, quick ? 100_000 : 1_000_000) },
      { name: "space", run: () => space(workload, folder, quick ? 50_000 : 400_000) },
      { name: "upkeep", run: () => compacting(workload, folder, quick ? 50_000 : 400_000, ms) },
    );

    const rate = (name: string, system: string): Key => [name, system, "rate"];
    const ratios: RatioOf[] = [
      ...inFlights.map((n) => ({
        name: `append${n}.limit`,
        of: rate(`append${n}`, "boki"),
        to: rate(`append${n}`, "raw"),
      })),
      ...peers.map((peer) => ({
        name: `append256.${short[peer.name] ?? peer.name}`,
        of: rate("append256", "boki"),
        to: rate(`append${peer.inFlight}`, peer.name),
      })),
      { name: "append256.conditional", of: rate("append256", "boki conditional"), to: rate("append256", "boki") },
      { name: "append16.p99", of: ["append16", "boki", "p99"], to: ["append16", "boki", "p50"] },
      { name: "append16.p99.limit", of: ["append16", "boki", "p99/p50"], to: ["append16", "raw", "p99/p50"] },
      {
        name: "append256.compacting",
        of: rate("append256 with checkpoints and compaction", "boki"),
        to: rate("append256 before", "boki"),
      },
      {
        name: "append256.compacting.p99",
        of: ["append256 with checkpoints and compaction", "boki", "p99"],
        to: ["append256 before", "boki", "p99"],
      },
      { name: "readNext.hot.uncached", of: rate("readNext.hot", "boki"), to: rate("readNext.uncached", "boki") },
    ];
    return {
      tasks,
      ratios,
      rounds: quick ? 3 : 7,
      async end() {
        for (const [, store] of running) await store.stop();
        say("micro-benchmarks");
        const samples = await micro(workload);
        if (quick) return samples;
        say("opening ten million records");
        return [...samples, ...(await opening(workload, folder, 10_000_000))];
      },
    };
  },
};

/** Awaited reads one after the other on 20,000 records: cached, from the newest bytes or the page cache, and backwards. */
async function readByTag(workload: Workload, folder: string, quick: boolean): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const [kind, cacheBytes] of [
    ["hot", 64 << 20],
    ["uncached", 0],
  ] as const) {
    const path = `${folder}/reads`;
    const log = await openLog(`file:${path}`, { cacheBytes, durability: "os" });
    const book = log.book("bench");
    const inputs = Array.from({ length: readSet }, (_, i) => ({ data: workload.data(i), tags: workload.pair(i) }));
    await book.appendAll(inputs);
    const ops = quick ? 100_000 : 400_000;
    const next = async (count: number): Promise<number> => {
      const start = performance.now();
      for (let i = 0; i < count; i++) {
        // The tag of an existing record from its own place on: there is always an answer.
        const at = (i * 7919) % readSet;
        const record = await book.readNext({ tag: inputs[at]!.tags[0], from: at + 1 });
        if (record?.seqnum !== at + 1) throw new Error(`readNext gave ${record?.seqnum} instead of ${at + 1}`);
      }
      return (count / (performance.now() - start)) * 1000;
    };
    const prev = async (count: number): Promise<number> => {
      const start = performance.now();
      for (let i = 0; i < count; i++) {
        const at = (i * 7919) % readSet;
        const record = await book.readPrev({ tag: inputs[at]!.tags[1], upTo: at + 1 });
        if (record?.seqnum !== at + 1) throw new Error(`readPrev gave ${record?.seqnum} instead of ${at + 1}`);
      }
      return (count / (performance.now() - start)) * 1000;
    };
    for (const [name, run] of [
      ["readNext", next],
      ["readPrev", prev],
    ] as const) {
      await run(ops / 4);
      samples.push({ case: `${name}.${kind}`, system: "boki", metric: "rate", unit: "reads/s", value: await run(ops) });
    }
    await log.close();
    rmSync(path, { recursive: true });
  }
  return samples;
}

/** Small pieces, by `benchmark`: awaited calls on a log in memory. */
async function micro(workload: Workload): Promise<Sample[]> {
  const log = await openLog("memory:");
  const book = log.book("bench");
  await book.appendAll(Array.from({ length: 1000 }, (_, i) => ({ data: workload.data(i), tags: [`only:${i}`] })));
  const samples: Sample[] = [];
  const cases: Record<string, (i: number) => Promise<unknown>> = {
    "readNext of a tag that is not there": () => book.readNext({ tag: "absent" }),
    "readNext of a tag with one record": (i) => book.readNext({ tag: `only:${i % 1000}` }),
    tail: () => book.tail(),
  };
  for (const [name, call] of Object.entries(cases)) {
    let i = 0;
    const hz = await new Promise<number>((resolve, reject) => {
      new Benchmark(name, {
        defer: true,
        maxTime: 0.5,
        minSamples: 5,
        // A thousand calls each time: a deferred benchmark has a cost of its own.
        fn: (deferred: { resolve(): void }) => {
          void (async () => {
            for (let n = 0; n < 1000; n++) await call(i++);
            deferred.resolve();
          })().catch(reject);
        },
        onComplete: (event: { target: { hz: number } }) => resolve(event.target.hz * 1000),
      }).run({ async: true });
    });
    samples.push({ case: name, system: "boki", metric: "rate", unit: "calls/s", value: hz });
  }
  await log.close();
  return samples;
}
