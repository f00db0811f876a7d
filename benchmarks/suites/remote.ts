/** The log for many processes: appends and reads through a server on loopback, against the log in the process, the wire and other servers. */
import type { Key, RatioOf, Task } from "../harness/measure.js";
import { startPeers } from "../harness/peer.js";
import type { Durability, Server, ServerPeer } from "../harness/remote.js";
import type { Suite, SuiteRun } from "../harness/suite.js";
import { samplesOf } from "../harness/workload.js";
import { natsServer } from "../peers/nats.js";
import { redisServer } from "../peers/redis.js";
import type { System } from "./remote-client.js";
import { Fleet, type Load, nameOf } from "./remote-fleet.js";

const unit = "records/s";
const durabilities = ["disk", "os"] as const;
const inFlights = [1, 64, 256, 512];
const processCounts = [1, 4, 16];
const allLoads = inFlights.flatMap((inFlight) => processCounts.map((processes) => ({ inFlight, processes })));
/** What --quick measures: each number of processes and in flight once. */
const quickLoads = allLoads.filter(({ inFlight, processes }) => processes === 1 || inFlight === 256);

export const remoteSuite: Suite = {
  name: "remote",
  unit,
  about:
    "records of 1 KiB, two tags of 24 bytes, over loopback; 256x4: 256 in flight from each of 4 client processes; fsync before the answer, but not where it says os",
  async run({ quick, folder, skip, say }: SuiteRun) {
    const ms = quick ? 100 : 500;
    const loads = quick ? quickLoads : allLoads;
    say("client processes");
    const fleet = new Fleet(folder);
    await fleet.ready();
    const peers = durabilities.flatMap((durability) => [redisServer(durability), natsServer(durability)]);
    const running = await startPeers<ServerPeer, Server>(peers, folder, skip);

    const tasks: Task[] = [];
    const appends = (system: System, durability: Durability, load: Load, open: () => Promise<Server>): void => {
      const name = caseOf(load, durability);
      const run = async (): ReturnType<Task["run"]> => {
        const server = await open();
        const measured = await fleet.append(system, durability, server, load, ms);
        await server.close();
        return samplesOf(name, system, measured, unit);
      };
      tasks.push({ name: `${name} ${system}`, run });
    };
    for (const durability of durabilities) {
      for (const load of loads) {
        if (quick && durability === "os" && nameOf("", load) !== "256x1") continue;
        appends("boki", durability, load, () => fleet.open("boki", durability));
        if (load.processes === 1) appends("embedded", durability, load, () => fleet.open("embedded", durability));
        if (durability === "disk") appends("raw", durability, load, () => fleet.open("raw", durability));
        if (load.processes > 1) continue;
        for (const [peer, server] of running.filter(([one]) => one.durability === durability)) {
          const open = (): Promise<Server> => server.open(folder);
          appends(peer.system, durability, load, open);
          if (peer.system === "redis" && load.inFlight === 256) appends("redis pipelined", durability, load, open);
        }
      }
    }
    const alone = loads.filter(({ processes }) => processes === 1);
    tasks.push(
      { name: "reads boki", run: () => fleet.reads("boki", loads, ms) },
      { name: "reads embedded", run: () => fleet.reads("embedded", alone, ms) },
      { name: "reads raw", run: () => fleet.reads("raw", alone, ms) },
      ...durabilities.map((durability) => ({
        name: `follow ${durability}`,
        run: () => fleet.wakes(durability, quick ? 100 : 500),
      })),
    );
    return {
      tasks,
      ratios: ratios(),
      rounds: quick ? 2 : 5,
      async end() {
        for (const [, server] of running) await server.stop();
        await fleet.stop();
        return [];
      },
    };
  },
};

function caseOf(load: Load, durability: Durability): string {
  return nameOf("append", load) + (durability === "os" ? " os" : "");
}

function ratios(): RatioOf[] {
  const found: RatioOf[] = [];
  const rates = (name: string, of: [name: string, system: System], to: [name: string, system: System]): void =>
    void found.push({ name, of: [...of, "rate"], to: [...to, "rate"] });
  for (const durability of durabilities) {
    const end = durability === "os" ? ".os" : "";
    for (const inFlight of inFlights) {
      const name = `remote${inFlight}`;
      const [one, ...more] = processCounts.map((processes) => caseOf({ inFlight, processes }, durability));
      if (inFlight === 1) {
        const p50 = (system: System): Key => [one!, system, "p50"];
        found.push({
          name: `${name}.embedded.ms${end}`,
          of: p50("boki"),
          to: p50("embedded"),
          by: (remote, embedded) => (remote - embedded) / 1000,
        });
      }
      rates(`${name}.redis${end}`, [one!, "boki"], [one!, "redis"]);
      rates(`${name}.redis.pipelined${end}`, [one!, "boki"], [one!, "redis pipelined"]);
      rates(`${name}.nats${end}`, [one!, "boki"], [one!, "nats"]);
      rates(`${name}.embedded${end}`, [one!, "boki"], [one!, "embedded"]);
      rates(`${name}.raw${end}`, [one!, "boki"], [nameOf("append", { inFlight, processes: 1 }), "raw"]);
      more.forEach((many, i) =>
        rates(`${name}.processes${processCounts[i + 1]}${end}`, [many, "boki"], [one!, "boki"]),
      );
    }
  }
  for (const inFlight of inFlights) {
    const [one, ...more] = processCounts.map((processes) => nameOf("read", { inFlight, processes }));
    rates(`read${inFlight}.embedded`, [one!, "boki"], [one!, "embedded"]);
    rates(`read${inFlight}.raw`, [one!, "boki"], [one!, "raw"]);
    more.forEach((many, i) =>
      rates(`read${inFlight}.processes${processCounts[i + 1]}`, [many, "boki"], [one!, "boki"]),
    );
  }
  rates("read().embedded", ["read()", "boki"], ["read()", "embedded"]);
  rates("read.own.embedded", ["read.own", "boki"], ["read.own", "embedded"]);
  return found;
}
