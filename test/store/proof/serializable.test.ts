/**
 * S1: random transactions from several sessions, checked twice: by a replay through a map in the order of the log, which
 * must explain every read, find and scan; and by the cycle checkers, which know nothing of the store.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../../../core/index.js";
import { checkListAppend } from "../../check/list-append.js";
import { checkRegisters } from "../../check/registers.js";
import { randomSource } from "../../../core/testing.js";
import { explain, type Ran } from "./model.js";
import { Sessions, turn, type SessionsOptions } from "./sessions.js";
import { txns } from "./txns.js";
import { serve, type Served } from "../../remote/serve.js";
import { withoutConditions } from "./tapped-book.js";

const full = process.env["FULL"] === "1";
const asked = process.env["SEED"];
const rounds = asked !== undefined ? 1 : full ? 10 : 2;
const servedRounds = full ? rounds : 1;
const perStrand = full ? 150 : 40;
const firstSeed = asked !== undefined ? Number(asked) : Date.now() % 1_000_000;

type Variant = Partial<Omit<SessionsOptions, "random" | "url">> & {
  readonly disk?: boolean;
  readonly reopen?: boolean;
  /** All sessions are clients of a server. Or all but the first, and the server is gone now and then. */
  readonly served?: "always" | "now and then";
};

/** Each is a way in which a store might go wrong. */
const variants: Readonly<Record<string, Variant>> = {
  "in memory": {},
  "on disk": { disk: true },
  "without aux data": { open: { auxBytes: 0 }, padding: 2000, cacheBytes: 65_536 },
  "with few objects open at once": { disk: true, padding: 8000, cacheBytes: 65_536 },
  "opened again in the middle": { disk: true, reopen: true },
  "with a session that does not know the indexes": { older: true },
  "while checkpoints are written and nothing is retained": { retain: "0s" },
  "on disk, while nothing is retained and few objects are open": {
    disk: true,
    retain: "0s",
    padding: 8000,
    cacheBytes: 65_536,
    reopen: true,
  },
  "through a server": { served: "always" },
  "through a server, without aux data": {
    served: "always",
    open: { auxBytes: 0, cacheBytes: 0 },
    padding: 2000,
    cacheBytes: 65_536,
  },
  "through a server, on disk, while nothing is retained": { served: "always", disk: true, retain: "0s", reopen: true },
  "through a server that is gone now and then": { served: "now and then" },
  "through a server that is gone now and then, while nothing is retained": { served: "now and then", retain: "0s" },
  "through a server that is gone now and then, on disk, while nothing is retained and few objects are open": {
    served: "now and then",
    disk: true,
    retain: "0s",
    padding: 8000,
    cacheBytes: 65_536,
  },
};

let names = 0;

/** Runs sessions, and gives what they did and saw. */
async function run(seed: number, variant: Variant): Promise<Ran[]> {
  const { disk = false, reopen = false, served, ...options } = variant;
  const folder = disk ? mkdtempSync(join(tmpdir(), "boki-proof-")) : undefined;
  const place = folder === undefined ? `memory:proof-${process.pid}-${++names}` : `file:${folder}`;
  const server = served === undefined ? undefined : await Restarting.start(place);
  const isClient = (i: number): boolean => served === "always" || (served === "now and then" && i > 0);
  const url = (i: number): string => (isClient(i) ? server!.url : place);
  const sessions = new Sessions({ url, sessions: 3, random: randomSource(seed), ...options });
  try {
    await sessions.open();
    const stop = served === "now and then" ? await server!.comeAndGo(sessions.logs) : undefined;
    try {
      for (let left = reopen ? 3 : 1; left > 0; left--) {
        await sessions.run(4, Math.ceil(perStrand / (reopen ? 3 : 1)));
        if (left === 1) break;
        await sessions.close();
        await server?.restart();
        await sessions.open();
      }
    } finally {
      await stop?.();
    }
    if (stop !== undefined && options.retain === "0s") assert.ok(server!.gaps > 3, `there were ${server!.gaps} gaps`);
  } finally {
    await sessions.close();
    await server?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
  return sessions.history;
}

/** A server that stops and starts again on its port. */
class Restarting {
  gaps = 0;
  readonly #place: string;
  #served: Served;

  private constructor(place: string, served: Served) {
    this.#place = place;
    this.#served = served;
  }

  static async start(place: string): Promise<Restarting> {
    return new Restarting(place, await serve(place));
  }

  get url(): string {
    return this.#served.url;
  }

  async restart(meanwhile = (): Promise<void> => Promise.resolve()): Promise<void> {
    await this.close();
    await meanwhile();
    this.#served = await serve(this.#place, this.#served.port);
  }

  /** Restarts again and again; gives the function that ends this. The first of the sessions is the one that has the log itself. */
  async comeAndGo(logs: readonly Log[]): Promise<() => Promise<void>> {
    const gap = (): void => void this.gaps++;
    for (const log of logs) await log.book("b").subscribe({ record: () => undefined, gap, end: () => undefined });
    let isRunning = true;
    const running = (async () => {
      while (isRunning) {
        await this.restart(async () => {
          for (let left = 100; left > 0; left--) await turn();
        });
        await Promise.all(logs.map((log) => log.book("b").sync()));
      }
    })();
    return () => ((isRunning = false), running);
  }

  close(): Promise<void> {
    return this.#served.close();
  }
}

describe("S1 random transactions of three sessions with four strands each", function () {
  this.timeout(rounds * 60_000);

  async function everyRound(variant: Variant, check: (history: Ran[]) => void): Promise<void> {
    const count = variant.served === undefined ? rounds : servedRounds;
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      try {
        check(await run(seed, variant));
      } catch (error) {
        throw new Error(`SEED=${seed} makes the same choices: ${(error as Error).message}`, { cause: error });
      }
    }
  }

  for (const [name, variant] of Object.entries(variants)) {
    it(`are explained by their order in the log, ${name}`, async () => {
      await everyRound(variant, (history) => {
        assert.deepEqual(explain(history).faults, []);
        const conflicts = history.filter(({ status }) => status === "failed").length;
        assert.ok(conflicts < history.length / 4, `${conflicts} of ${history.length} came to nothing`);
      });
    });
  }

  it("have no cycle of dependencies", async () => {
    await everyRound({ deletes: false }, (history) => {
      assert.deepEqual(checkRegisters(txns(history, "register")), []);
      assert.deepEqual(checkListAppend(txns(history, "list")), []);
      assert.deepEqual(explain(history).faults, []);
    });
  });

  it("are found out by each of the three checks when commits have no conditions", async () => {
    const found = { explain: 0, registers: 0, lists: 0 };
    for (let seed = 1; seed <= 3; seed++) {
      const history = await run(seed, { deletes: false, taps: withoutConditions });
      if (explain(history).faults.length > 0) found.explain++;
      if (checkRegisters(txns(history, "register")).length > 0) found.registers++;
      if (checkListAppend(txns(history, "list")).length > 0) found.lists++;
    }
    assert.deepEqual(found, { explain: 3, registers: 3, lists: 3 });
  });
});
