import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLog } from "../../core/index.js";
import type { Log } from "../../core/types.js";
import { identify } from "./payload.js";

const writer = fileURLToPath(new URL("writer.js", import.meta.url));
const rounds = process.env["FULL"] === "1" ? 200 : 20;

/** What writers were told, over all rounds. */
interface Acknowledged {
  readonly plain: Map<string, number>;
  readonly counts: Map<number, number>;
  /** Seqnums named by refusals: they must be there, for a refusal is answered only when its reason is durable. */
  readonly reasons: Set<number>;
}

/** Runs a writer and kills it after so many acknowledgements. */
async function runAndKill(folder: string, round: number, after: number, acknowledged: Acknowledged): Promise<void> {
  const child = spawn(process.execPath, [writer, folder, String(round)], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once("exit", (_code, signal) => resolve(signal)),
  );
  let left = after;
  for await (const line of createInterface({ input: child.stdout })) {
    const [kind, what, seqnum] = line.split(" ") as [string, string, string];
    if (kind === "p") acknowledged.plain.set(what, Number(seqnum));
    if (kind === "c") acknowledged.counts.set(Number(what), Number(seqnum));
    if (kind === "r") acknowledged.reasons.add(Number(what));
    // What is in the pipe already is read on after the kill: it was acknowledged too.
    if (left-- === 0) child.kill("SIGKILL");
  }
  assert.equal(await exited, "SIGKILL", "the writer failed before it was killed");
}

async function check(log: Log, { plain, counts, reasons }: Acknowledged, ofRound: number): Promise<void> {
  const book = log.book("crash");
  const found = new Map<string, number>();
  const perWriter = new Map<string, number>();
  let last = 0;
  for await (const record of book.read({ tag: "plain" })) {
    assert.ok(record.seqnum > last, "L1 seqnums rise");
    last = record.seqnum;
    const id = identify(record.data);
    assert.ok(!found.has(id), `L8 ${id} is there twice`);
    found.set(id, record.seqnum);
    const [round, name, i] = id.split(".") as [string, string, string];
    const key = `${round}.${name}`;
    assert.equal(Number(i), perWriter.get(key) ?? 0, `L1 the records of writer ${key} have no gap`);
    perWriter.set(key, Number(i) + 1);
    if (Number(round) === ofRound) assert.deepEqual(record.tags, ["plain", `writer-${name}`]);
  }
  for (const [id, seqnum] of plain) assert.equal(found.get(id), seqnum, `L2 ${id} was acknowledged at ${seqnum}`);

  let value = 0;
  const countAt = new Map<number, number>();
  for await (const record of book.read({ tag: "count" })) {
    assert.equal(record.json(), ++value, "L3 each count follows the one before");
    countAt.set(value, record.seqnum);
  }
  for (const [count, seqnum] of counts)
    assert.equal(countAt.get(count), seqnum, `L2 count ${count} was acknowledged at ${seqnum}`);
  const counted = new Set(countAt.values());
  for (const seqnum of reasons) assert.ok(counted.has(seqnum), `L3 a refusal named ${seqnum}, which is not there`);
}

describe("L2 a process that is killed while it appends", () => {
  const folder = mkdtempSync(join(tmpdir(), "boki-kill-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it(`loses nothing that it acknowledged, in ${rounds} rounds on one folder`, async function () {
    this.timeout(rounds * 15_000);
    const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
    let state = seed;
    const random = (): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32;
    const acknowledged: Acknowledged = { plain: new Map(), counts: new Map(), reasons: new Set() };
    try {
      for (let round = 0; round < rounds; round++) {
        // From the first acknowledgement to some thousands: early and late in a segment, and over several.
        await runAndKill(folder, round, Math.floor(random() ** 3 * 6000), acknowledged);
        const log = await openLog(`file:${folder}`);
        await check(log, acknowledged, round);
        // Every other time the next writer finds a folder that was killed twice, or closed in order.
        if (random() < 0.5) await log.book("crash").append(Buffer.from("between"), { tags: ["between"] });
        await log.close();
      }
      assert.ok(acknowledged.plain.size > rounds && acknowledged.reasons.size > 0, "the writers did what they should");
    } catch (error) {
      (error as Error).message += ` (SEED=${seed} replays the moments of the kills)`;
      throw error;
    }
  });
});
