import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../../core/index.js";
import { randomSource } from "../../core/testing.js";
import { BadProxy } from "./bad-proxy.js";
import { Chaos } from "./chaos.js";
import { serve } from "./serve.js";

const rounds = process.env["FULL"] === "1" ? 40 : 2;

describe("L1 L2 L3 L4 L6 L7 L8 a log over a bad network", () => {
  it(`is as one beside the program, in ${rounds} rounds`, async function () {
    this.timeout(rounds * 60_000);
    const first = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
    for (let round = 0; round < rounds; round++) await play(first + round);
  });
});

async function play(seed: number): Promise<void> {
  const random = randomSource(seed);
  const folder = mkdtempSync(join(tmpdir(), "boki-chaos-"));
  const url = `file:${folder}`;
  const server = await serve(url);
  const log = await openLog(url);
  const proxy = await BadProxy.start(server.port, random);
  try {
    const chaos = new Chaos(random);
    const count = 2 + Math.floor(random() * 3);
    // Every other one is in a hurry.
    const sessions = await Promise.all(
      Array.from({ length: count }, (_, i) => chaos.open(proxy.url, i % 2 === 0 ? undefined : 300)),
    );
    await Promise.all(sessions.map((session) => session.run(40)));
    proxy.calm();
    await chaos.check(log);
    assert.ok([...proxy.happened.values()].reduce((a, b) => a + b) > count, "connections broke");
  } catch (error) {
    (error as Error).message += ` (SEED=${seed} replays it)`;
    throw error;
  } finally {
    await proxy.close();
    await server.close();
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
