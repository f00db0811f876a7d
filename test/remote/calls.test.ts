/** Many calls at once over one connection: each gets its own answer, however long others wait. */
import assert from "node:assert/strict";
import { openLog } from "../../core/index.js";
import { serve } from "./serve.js";

const parked = 300;
const passing = 5000;

describe("calls to a server", () => {
  it("each gets its own answer, beside many that wait and some that are given up", async () => {
    const server = await serve("memory:");
    const log = await openLog(server.url, { cacheBytes: 0 });
    const book = log.book("calls");
    await book.appendAll(
      Array.from({ length: 100 }, (_, i) => ({ data: Buffer.from(`passing ${i}`), tags: ["passing"] })),
    );
    const readPassing = async (i: number): Promise<void> => {
      const record = await book.readNext({ from: 1 + (i % 100) });
      assert.equal(record?.text(), `passing ${i % 100}`);
    };
    const stop = new AbortController();
    const waits: Promise<string | undefined>[] = [];
    const abandoned: Promise<unknown>[] = [];
    // Others come and go between those that wait, so that waiting ones have old ids among new ones.
    let reads: Promise<void>[] = [];
    for (let i = 0; i < passing; i++) {
      if (i % Math.floor(passing / parked) === 0 && waits.length < parked) {
        waits.push(book.readNext({ tag: `wait:${waits.length}`, wait: true }).then((record) => record?.text()));
        const given = book.readNext({ tag: "never", wait: true, signal: stop.signal });
        abandoned.push(assert.rejects(given, { code: "LOG_ABORTED" }));
      }
      reads.push(readPassing(i));
      if (reads.length === 50) {
        await Promise.all(reads);
        reads = [];
      }
    }
    assert.equal((await log.stats()).readsWaiting, 2 * parked);
    stop.abort();
    await Promise.all(abandoned);
    // The server has heard of it, and what it says to that comes when there are new calls.
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all(Array.from({ length: 1000 }, (_, i) => readPassing(i)));
    const tags = waits.map((_, i) => `wait:${(i * 7) % parked}`);
    await book.appendAll(tags.map((tag) => ({ data: Buffer.from(tag), tags: [tag] })));
    assert.deepEqual(
      await Promise.all(waits),
      waits.map((_, i) => `wait:${i}`),
    );
    assert.equal((await log.stats()).readsWaiting, 0);
    await log.close();
    await server.close();
  });
});
