/** The tour of `npm start`, as a user sees it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { BokiStore, openLog } from "../../libs/index.js";

const tourFile = fileURLToPath(new URL("../../examples/tour.js", import.meta.url));

describe("tour", function () {
  this.timeout(120_000);
  let cwd = "";
  beforeEach(async () => void (cwd = await mkdtemp(join(tmpdir(), "boki-tour-"))));
  afterEach(() => rm(cwd, { recursive: true, force: true }));

  it("ends by itself, can be run again, and leaves a log that anybody may read", async () => {
    for (const run of [1, 2]) {
      const tour = spawn(process.execPath, [tourFile], { cwd, stdio: ["ignore", "pipe", "inherit"] });
      const [output, [code]] = await Promise.all([text(tour.stdout), once(tour, "exit") as Promise<[number | null]>]);
      assert.equal(code, 0, output);
      assert.match(output, new RegExp(`Run ${run} in the folder ./data`));
      assert.match(output, /✓ 3,201 films appended/);
      assert.match(output, /1975 Jaws\n/);
      assert.match(output, /✗ Bob does not: \{"tag":"ticket:Jaws:seat 12","seqnum":\d+\} was there first/);
      const [, found, acknowledged] =
        /✓ ([\d,]+) of ([\d,]+) acknowledged records are there, in order, each once/.exec(output) ?? [];
      assert.ok(found !== undefined && found === acknowledged, output);
      assert.match(output, /✓ 3,376 objects put/);
      assert.match(output, /find\("director", "Steven Spielberg"\) {2}23 films/);
      assert.match(output, / Universal {2}seqnum \d+\n +Walt Disney Pictures {2}seqnum \d+\n/);
      assert.match(output, /✓ 500 sales at once, in [\d,]+ ms: 3,201 films and \$[\d,]+ as before/);
      assert.match(output, /appends\/s, 1 in flight/);
      assert.match(output, /import \{ openLog \} from "boki";/);
      assert.match(output, /import \{ BokiStore, openLog \} from "boki";/);
    }
    const log = await openLog(`file:${join(cwd, "data")}`);
    try {
      let films = 0;
      for await (const head of log.book("films-2").read({ tag: "film", head: true })) films += head.size > 0 ? 1 : 0;
      assert.equal(films, 3_201);
      await using store = new BokiStore(log.book("objects-2"));
      const jaws = await store.collection<{ owner: string }>("films").get("Jaws (1975)");
      assert.equal(jaws?.owner, "Walt Disney Pictures");
    } finally {
      await log.close();
    }
  });

  it("stops cleanly on Ctrl-C, in the middle of the kill", async () => {
    // A terminal sends SIGINT to the whole group.
    const tour = spawn(process.execPath, [tourFile], { cwd, stdio: ["ignore", "pipe", "inherit"], detached: true });
    let output = "";
    let interrupted = false;
    tour.stdout.setEncoding("utf8");
    tour.stdout.on("data", (chunk: string) => {
      output += chunk;
      if (interrupted || !output.includes("4. Kill") || tour.pid === undefined) return;
      interrupted = true;
      process.kill(-tour.pid, "SIGINT");
    });
    const [code] = (await once(tour, "exit")) as [number | null];
    assert.equal(code, 130, output);
    assert.match(output, /Interrupted/);
    // The child is gone too: nobody has the folder.
    await (await openLog(`file:${join(cwd, "data")}`)).close();
  });
});
