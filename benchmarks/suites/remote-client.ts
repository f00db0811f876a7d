/** remote-client.js: one of the processes that append and read, as its parent says. */
import type { Log, LogBook } from "../../libs/index.js";
import { carryOut, type Connected, type Durability, type Place } from "../harness/remote.js";
import { type Part, partOfLoop, recordBytes, Workload } from "../harness/workload.js";
import { connectBoki } from "../peers/boki.js";
import { connectEcho } from "../peers/echo.js";
import { connectNats } from "../peers/nats.js";
import { connectRedis } from "../peers/redis.js";

export type System = "boki" | "embedded" | "raw" | "redis" | "redis pipelined" | "nats";

export interface Target {
  readonly system: System;
  readonly address: string;
  readonly durability: Durability;
  readonly inFlight: number;
  /** Of the client's own records; the default of the log where it is left away. */
  readonly cacheBytes?: number | undefined;
}

/** So many of the last appends of a process are read again and compared. */
const checked = 256;

let state = 42;
const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
const workload = new Workload(random);
let connected: Connected;
let isEmbedded = false;
/** Of our own systems only. */
let log: Log | undefined;
let book: LogBook;

async function connect({ system, address, durability, inFlight, cacheBytes }: Target): Promise<void> {
  log = undefined;
  isEmbedded = system === "embedded";
  if (system === "raw") connected = await connectEcho(address, recordBytes);
  else if (system === "nats") connected = await connectNats(address);
  else if (system === "redis") connected = await connectRedis(address, inFlight);
  else if (system === "redis pipelined") connected = await connectRedis(address, "pipelined");
  else {
    const opened = await connectBoki(address, isEmbedded ? { durability } : { cacheBytes });
    connected = opened;
    log = opened.log;
    book = log.book("bench");
  }
}

const tasks = {
  ready: async (): Promise<void> => undefined,
  connect,

  /** Appends, each process other records; the last of them are then read and compared. */
  async append(inFlight: number, ms: number, first: number): Promise<Part> {
    const last: [i: number, place: Place][] = [];
    const part = await partOfLoop(inFlight, ms, async (n) => {
      const i = first + n;
      last[n % checked] = [i, await connected.append(workload.data(i), workload.pair(i))];
    });
    for (const [i, place] of last.filter((one) => one !== undefined)) {
      const data = await connected.read(place);
      // An echo keeps nothing.
      if (place !== 0 && (data === undefined || workload.data(i).compare(data) !== 0))
        throw new Error(`append ${i}, answered as ${place}, has other data or is not there`);
    }
    return part;
  },

  /** Fills a log with records 1 to `count`. */
  async fill(count: number): Promise<void> {
    const inputs = Array.from({ length: count }, (_, i) => ({
      data: workload.data(i + 1),
      tags: workload.pair(i + 1),
    }));
    await book.appendAll(inputs);
  },

  /** Single records at places in no order. */
  async read(inFlight: number, ms: number, count: number, first: number): Promise<Part> {
    if (isEmbedded) await readAll();
    return partOfLoop(inFlight, ms, async (n) => {
      const place = 1 + (((first + n) * 7919) % count);
      const data = await connected.read(place);
      if (data !== undefined ? workload.data(place).compare(data) !== 0 : log !== undefined)
        throw new Error(`record ${place} has other data or is not there`);
    });
  },

  /** All records in order, again and again; reads a second. */
  async stream(ms: number, count: number): Promise<number> {
    if (isEmbedded) await readAll();
    const start = performance.now();
    let read = 0;
    let took: number;
    do {
      let seqnum = 0;
      for await (const record of book.read()) {
        if (record.seqnum !== ++seqnum || workload.data(seqnum).compare(record.data) !== 0)
          throw new Error(`record ${record.seqnum} came in the place of ${seqnum}, or with other data`);
      }
      if (seqnum !== count) throw new Error(`${seqnum} records came of ${count}`);
      read += seqnum;
      took = performance.now() - start;
    } while (took < ms);
    return (read / took) * 1000;
  },

  /** Awaited reads of what this process has read before; reads a second. */
  async readOwn(ms: number, count: number): Promise<number> {
    await readAll();
    const start = performance.now();
    let reads = 0;
    let took: number;
    do {
      for (let i = 0; i < 1000; i++) {
        const seqnum = 1 + ((reads++ * 7919) % count);
        const record = await book.readNext({ from: seqnum });
        if (record?.seqnum !== seqnum) throw new Error(`readNext gave ${record?.seqnum} instead of ${seqnum}`);
      }
      took = performance.now() - start;
    } while (took < ms);
    return (reads / took) * 1000;
  },

  /** Follows a tag; gives when each record came, us of the machine's clock. */
  async follow(tag: string, count: number): Promise<number[]> {
    const came: number[] = [];
    for await (const record of book.read({ tag, follow: true })) {
      came.push(machineUs());
      if (workload.data(came.length).compare(record.data) !== 0)
        throw new Error(`record ${came.length} of the tag has other data`);
      if (came.length === count) break;
    }
    return came;
  },

  /** Appends to a tag one after the other; gives when each was called and when it was answered. */
  async wake(tag: string, count: number): Promise<{ called: number; answered: number }[]> {
    const times: { called: number; answered: number }[] = [];
    while (times.length < count) {
      const called = machineUs();
      await book.append(workload.data(times.length + 1), { tags: [tag] });
      times.push({ called, answered: machineUs() });
      // Long enough that the follower has nothing left to do.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return times;
  },

  count: async (): Promise<number> => (await log!.stats()).records,
  close: (): Promise<void> => connected.close(),
};

/** Afterwards the cache is full; that of a log which was opened again is as a server's. */
async function readAll(): Promise<void> {
  for await (const _record of book.read()) continue;
}

/** The same in every process. */
function machineUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

export type ClientTasks = typeof tasks;
carryOut(tasks);
