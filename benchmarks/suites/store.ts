/** Objects: changes of one and of two against bare appends and other stores, reads, opening, memory. */
import type { Key, RatioOf, Task } from "../harness/measure.js";
import { Accounts, type Bank, measureBank } from "../harness/accounts.js";
import { type Peer, startPeers } from "../harness/peer.js";
import type { Suite, SuiteRun } from "../harness/suite.js";
import { closedLoop, samplesOf } from "../harness/workload.js";
import { type BankRecord, openBankAppender, openBokiBank } from "../peers/boki.js";
import { mongodbBank } from "../peers/mongodb.js";
import { postgresBank } from "../peers/postgres.js";
import { redisBank } from "../peers/redis.js";
import { alone, hotObject, readClosed } from "./store-objects.js";
import { coldReads, fillCold, fillMany, reopening } from "./store-reopened.js";

const unit = "operations/s";
const peerNames = ["postgres", "redis", "mongodb"];
const kinds = ["update", "txn"] as const;
type Kind = (typeof kinds)[number];

export const storeSuite: Suite = {
  name: "store",
  unit,
  about:
    "10,000 accounts of 150 bytes (2,000 with --quick), fsync before the answer, fresh files; every answer is in the balances",
  async run({ quick, folder, random, say, skip }: SuiteRun) {
    const accounts = new Accounts(random, quick ? 2_000 : 10_000);
    const ms = quick ? 200 : 750;
    const inFlights = quick ? [1, 256] : [1, 16, 256];
    const running = await startPeers<Peer<Bank>, Bank>(
      [postgresBank(accounts), redisBank(accounts), mongodbBank(accounts)],
      folder,
      skip,
    );
    say("objects to open again");
    const many = { path: `${folder}/many`, objects: quick ? 5_000 : 100_000 };
    const cold = { path: `${folder}/cold`, objects: quick ? 4 : 40 };
    await fillMany(many);
    await fillCold(cold);
    const records = { update: await recordsOf("update"), txn: await recordsOf("txn") };

    /** The records that changes append: three of each account, for some hold patches and some whole values. */
    async function recordsOf(kind: Kind): Promise<BankRecord[]> {
      const bank = await openBokiBank(folder, accounts);
      await measureBank(bank, accounts, kind, { inFlight: 256, ms: quick ? 500 : 3000 });
      const found: BankRecord[] = [];
      for await (const { data, tags } of bank.records()) {
        found.push({ data, tags });
        if (found.length === 3 * accounts.keys.length) break;
      }
      await bank.close();
      return found;
    }

    const changes = (
      name: string,
      system: string,
      kind: Kind,
      inFlight: number,
      open: () => Promise<Bank>,
      picks = accounts.distinct,
    ): Task => ({
      name: `${name} ${system}`,
      async run() {
        const bank = await open();
        const measured = await measureBank(bank, accounts, kind, { picks, inFlight, ms });
        await bank.close();
        return samplesOf(name, system, measured, unit);
      },
    });
    const appends = (name: string, kind: Kind, inFlight: number): Task => ({
      name: `${name} append`,
      async run() {
        const log = await openBankAppender(folder, records[kind]);
        const measured = await closedLoop(inFlight, ms, (i) => log.append(i));
        const count = await log.count();
        if (count !== measured.ops) throw new Error(`${count} records of ${measured.ops} acknowledged`);
        await log.close();
        return samplesOf(name, "append", measured, unit);
      },
    });

    const boki = (): Promise<Bank> => openBokiBank(folder, accounts);
    const tasks: Task[] = [];
    for (const kind of kinds) {
      for (const inFlight of inFlights) {
        const name = `${kind}${inFlight}`;
        tasks.push(changes(name, "boki", kind, inFlight, boki), appends(name, kind, inFlight));
        for (const [peer, store] of running)
          if (!quick || inFlight > 1) tasks.push(changes(name, peer.name, kind, inFlight, () => store.open(folder)));
      }
      for (const inFlight of inFlights.slice(1)) {
        const name = `${kind}${inFlight}.zipf`;
        tasks.push(changes(name, "boki", kind, inFlight, boki, accounts.contended));
        if (inFlight < 256) continue;
        for (const [peer, store] of running)
          tasks.push(changes(name, peer.name, kind, inFlight, () => store.open(folder), accounts.contended));
      }
    }
    tasks.push(
      changes("txn256", "boki put", "txn", 256, () => openBokiBank(folder, accounts, true)),
      { name: "reads of open objects", run: () => alone("reads", { ...many, objects: accounts.keys.length }) },
      { name: "reads of closed objects", run: () => readClosed(folder, quick ? 200 : 1000) },
      { name: "one hot object", run: () => hotObject(folder, ms) },
      { name: "cold reads", run: () => coldReads(cold) },
      { name: "opening again", run: () => reopening(many) },
    );
    return {
      tasks,
      ratios: ratiosOf(inFlights),
      rounds: quick ? 2 : 7,
      async end() {
        for (const [, store] of running) await store.stop();
        say("memory");
        return alone("memory", many);
      },
    };
  },
};

function ratiosOf(inFlights: readonly number[]): RatioOf[] {
  const rate = (name: string, system: string): Key => [name, system, "rate"];
  const p50 = (name: string, system: string): Key => [name, system, "p50"];
  const ratios: RatioOf[] = [];
  for (const kind of kinds) {
    for (const inFlight of inFlights) {
      const name = `${kind}${inFlight}`;
      // With one in flight it is the time that counts, with many the rate.
      const of = inFlight === 1 ? p50 : rate;
      ratios.push({ name: `${name}.append`, of: of(name, "boki"), to: of(name, "append") });
    }
    const [name, contended] = [`${kind}256`, `${kind}256.zipf`];
    ratios.push({ name: contended, of: rate(contended, "boki"), to: rate(name, "boki") });
    for (const peer of peerNames)
      for (const of of [name, contended])
        ratios.push({ name: `${of}.${peer}`, of: rate(of, "boki"), to: rate(of, peer) });
  }
  return [
    ...ratios,
    { name: "txn256.put.append", of: rate("txn256", "boki put"), to: rate("txn256", "append") },
    { name: "hot8.hot1", of: rate("hot8", "boki"), to: rate("hot1", "boki") },
    { name: "cold10k.cold10", of: p50("cold10k", "boki"), to: p50("cold10", "boki") },
    { name: "read.closed.aux", of: p50("read.closed with aux", "boki"), to: p50("read.closed", "boki") },
  ];
}
