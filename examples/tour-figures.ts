/** The tour's quick measurements: rates on this machine, this disk, now. `npm run bench` measures with more care. */
import type { LogBook } from "../libs/index.js";

const measureMs = 1_000;
const sizeBytes = 1_024;

/** Appends a second: `inFlight` writers, each waiting for its append to be durable before the next, for a second. */
export async function appendRate(book: LogBook, inFlight: number, limit: number, signal: AbortSignal): Promise<number> {
  const data = Buffer.alloc(sizeBytes, "boki ");
  const tags = ["figures"];
  const start = performance.now();
  let done = 0;
  let given = 0;
  const writer = async (): Promise<void> => {
    while (given < limit && performance.now() - start < measureMs) {
      given++;
      await book.append(data, { tags });
      signal.throwIfAborted();
      done++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, writer));
  return done / ((performance.now() - start) / 1_000);
}

/** Reads a second: awaited `readNext`s that walk the streams of `tags`, for a second. */
export async function readRate(book: LogBook, tags: readonly string[], signal: AbortSignal): Promise<number> {
  const start = performance.now();
  let reads = 0;
  while (performance.now() - start < measureMs && !signal.aborted) {
    for (const tag of tags) {
      let from = 0;
      for (;;) {
        const record = await book.readNext({ tag, from });
        reads++;
        if (record === undefined) break;
        from = record.seqnum + 1;
      }
    }
    // One turn of the event loop, so that Ctrl-C is heard.
    await new Promise(setImmediate);
  }
  return reads / ((performance.now() - start) / 1_000);
}
