/** The processes of the suite `remote`, and what is measured with several of them at once. */
import { rmSync } from "node:fs";
import type { Sample } from "../harness/measure.js";
import { type Durability, Helper, type Server } from "../harness/remote.js";
import { type Latencies, samplesOf, together } from "../harness/workload.js";
import type { ClientTasks, System, Target } from "./remote-client.js";
import type { ServerTasks } from "./remote-server.js";

/** Records that reads go over: they fit into the server's cache, and into a client's. */
const readSet = 20_000;
const clientsMax = 16;

/** So many in flight from each of so many processes. */
export interface Load {
  readonly inFlight: number;
  readonly processes: number;
}

const alone: Load = { inFlight: 1, processes: 1 };

type Client = Helper<ClientTasks>;

export class Fleet {
  readonly #folder: string;
  readonly #clients = Array.from({ length: clientsMax }, () => new Helper<ClientTasks>(script("remote-client")));
  readonly #server = new Helper<ServerTasks>(script("remote-server"));
  readonly #echo = new Helper<ServerTasks>(script("remote-server"));

  constructor(folder: string) {
    this.#folder = folder;
  }

  async ready(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.ask("ready")));
  }

  async stop(): Promise<void> {
    for (const helper of [...this.#clients, this.#server, this.#echo]) await helper.stop();
  }

  /** A fresh log that is served, one that the first client has itself, or none. */
  async open(system: "boki" | "embedded" | "raw", durability: Durability): Promise<Server> {
    if (system === "embedded") {
      const path = `${this.#folder}/embedded`;
      return {
        address: `file:${path}`,
        count: () => this.#clients[0]!.ask("count"),
        close: async () => rmSync(path, { recursive: true }),
      };
    }
    const helper = system === "raw" ? this.#echo : this.#server;
    const address = await (system === "raw"
      ? helper.ask("echo")
      : helper.ask("serve", `${this.#folder}/served`, durability));
    return { address, count: () => helper.ask("count"), close: () => helper.ask("close") };
  }

  /** Connects some clients, has them do something at the same time, and ends. */
  async #together<T>(
    target: Omit<Target, "inFlight">,
    { inFlight, processes }: Load,
    work: (clients: readonly Client[]) => Promise<T>,
  ): Promise<T> {
    const clients = this.#clients.slice(0, processes);
    await Promise.all(clients.map((client) => client.ask("connect", { ...target, inFlight })));
    const result = await work(clients);
    await Promise.all(clients.map((client) => client.ask("close")));
    return result;
  }

  /** Appends; what was answered must be what there is. */
  async append(system: System, durability: Durability, server: Server, load: Load, ms: number): Promise<Latencies> {
    const target = { system, durability, address: server.address };
    return this.#together(target, load, async (clients) => {
      const parts = await Promise.all(clients.map((client, i) => client.ask("append", load.inFlight, ms, i << 16)));
      const all = together(parts);
      const count = await server.count();
      if (count !== all.ops) throw new Error(`${system} has ${count} records of ${all.ops} that it acknowledged`);
      return all;
    });
  }

  /** Single records in no order, which the client does not remember and the server does; and all of them in order. */
  async reads(system: "boki" | "embedded" | "raw", loads: readonly Load[], ms: number): Promise<Sample[]> {
    const server = await this.open(system, "os");
    // In the process that has the log there is one cache, which is the server's.
    const target = {
      system,
      durability: "os",
      address: server.address,
      cacheBytes: system === "boki" ? 0 : undefined,
    } as const;
    const samples: Sample[] = [];
    if (system !== "raw") await this.#together(target, alone, ([client]) => client!.ask("fill", readSet));
    for (const load of loads) {
      const parts = await this.#together(target, load, (clients) =>
        Promise.all(clients.map((client, i) => client.ask("read", load.inFlight, ms, readSet, i * 1009))),
      );
      samples.push(...samplesOf(nameOf("read", load), system, together(parts), "reads/s"));
    }
    if (system !== "raw") {
      const rate = (name: string, value: number): Sample => ({
        case: name,
        system,
        metric: "rate",
        unit: "reads/s",
        value,
      });
      const { cacheBytes: _, ...remembering } = target;
      samples.push(
        rate("read()", await this.#together(target, alone, ([client]) => client!.ask("stream", ms, readSet))),
        rate("read.own", await this.#together(remembering, alone, ([client]) => client!.ask("readOwn", ms, readSet))),
      );
    }
    await server.close();
    return samples;
  }

  /** From an append, by one process, to a reading that follows its tag in another. */
  async wakes(durability: Durability, count: number): Promise<Sample[]> {
    const server = await this.open("boki", durability);
    const target = { system: "boki", durability, address: server.address } as const;
    const [came, times] = await this.#together(target, { inFlight: 1, processes: 2 }, async ([follower, appender]) => {
      const following = follower!.ask("follow", "wake", count);
      return Promise.all([following, appender!.ask("wake", "wake", count)]);
    });
    await server.close();
    const name = durability === "os" ? "follow os" : "follow";
    const sample = (metric: string, value: number): Sample => ({
      case: name,
      system: "boki",
      metric,
      unit: "us",
      value,
    });
    const fromCall = came.map((us, i) => us - times[i]!.called);
    // It may be there before the appender has heard.
    const fromAnswer = came.map((us, i) => Math.max(0, us - times[i]!.answered));
    return [
      sample("p50", percentile(fromCall, 0.5)),
      sample("p99", percentile(fromCall, 0.99)),
      sample("p50 from the answer", percentile(fromAnswer, 0.5)),
    ];
  }
}

/** Such as "append256x4": 256 in flight from each of 4 processes. */
export function nameOf(what: string, { inFlight, processes }: Load): string {
  return `${what}${inFlight}x${processes}`;
}

function percentile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * part)]!;
}

function script(name: string): URL {
  return new URL(`${name}.js`, import.meta.url);
}
