/**
 * A process that appends with many in flight until it is killed. Writes a line for each acknowledgement, synchronously, so that a
 * kill cannot lose one that was said: "p ID SEQNUM" plain, "c VALUE SEQNUM" a count that was taken, "r SEQNUM" one refused.
 */
import { writeSync } from "node:fs";
import { openLog } from "../../core/index.js";
import { payload } from "./payload.js";

const [folder, round] = process.argv.slice(2) as [string, string];
const log = await openLog(`file:${folder}`);
const book = log.book("crash");
const say = (line: string): void => void writeSync(1, `${line}\n`);

async function append(writer: number): Promise<never> {
  for (let i = 0; ; i++) {
    const id = `${round}.${writer}.${i}`;
    const { seqnum } = await book.append(payload(id), { tags: ["plain", `writer-${writer}`] });
    say(`p ${id} ${seqnum}`);
  }
}

/** Appends in bursts, none awaited before the next: the acknowledged ones of a burst are its beginning (L1). */
async function burst(writer: number): Promise<never> {
  for (let i = 0; ; i += 25) {
    await Promise.all(
      Array.from({ length: 25 }, async (_, n) => {
        const id = `${round}.${writer}.${i + n}`;
        const { seqnum } = await book.append(payload(id), { tags: ["plain", `writer-${writer}`] });
        say(`p ${id} ${seqnum}`);
      }),
    );
  }
}

/** Counts up by compare-and-set; several do, so some are refused. */
async function count(): Promise<never> {
  for (;;) {
    const last = await book.readPrev({ tag: "count" });
    const value = (last?.json<number>() ?? 0) + 1;
    const unless = [{ tag: "count", after: last?.seqnum ?? 0 }];
    const result = await book.append(Buffer.from(String(value)), { tags: ["count"], unless });
    say(result.ok ? `c ${value} ${result.seqnum}` : `r ${result.conflict.seqnum}`);
  }
}

say("ready");
await Promise.all([
  ...Array.from({ length: 40 }, (_, i) => append(i)),
  burst(100),
  burst(101),
  count(),
  count(),
  count(),
  count(),
]);
