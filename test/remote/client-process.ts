/**
 * A process that appends to a served log until it is told to stop (a line on its input), and ends with 1 if it ever meets an error. Says
 * what was acknowledged, as the writer of test/crash does, and behind the end what it followed and was given: "f SEQNUM", "s SEQNUM".
 */
import { once } from "node:events";
import { writeSync } from "node:fs";
import { openLog } from "../../core/index.js";
import { payload } from "../crash/payload.js";

const [url, name] = process.argv.slice(2) as [string, string];
const log = await openLog(url);
const book = log.book("crash");
const say = (line: string): void => void writeSync(1, `${line}\n`);

let isOver = false;
void once(process.stdin, "data").then(() => (isOver = true));

const fed: number[] = [];
const { position, stop: unsubscribe } = await book.subscribe({
  record: ({ seqnum }) => fed.push(seqnum),
  end: (error) => {
    throw error;
  },
});
const stop = new AbortController();
const followed: number[] = [];
const following = (async (): Promise<void> => {
  try {
    for await (const { seqnum } of book.read({ tag: "count", follow: true, head: true, signal: stop.signal }))
      followed.push(seqnum);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
})();

/** In bursts, none awaited before the next: what is there of a writer has no gap (L1). */
async function burst(writer: string, size: number): Promise<void> {
  for (let i = 0; !isOver; i += size) {
    await Promise.all(
      Array.from({ length: size }, async (_, n) => {
        const id = `${name}.${writer}.${i + n}`;
        const { seqnum } = await book.append(payload(id), { tags: ["plain", `writer-${writer}`] });
        say(`p ${id} ${seqnum}`);
      }),
    );
  }
}

/** Counts up by compare-and-set, against everybody. */
async function count(): Promise<void> {
  while (!isOver) {
    const last = await book.readPrev({ tag: "count" });
    const value = (last?.json<number>() ?? 0) + 1;
    const unless = [{ tag: "count", after: last?.seqnum ?? 0 }];
    const result = await book.append(Buffer.from(String(value)), { tags: ["count"], unless });
    say(result.ok ? `c ${value} ${result.seqnum}` : `r ${result.conflict.seqnum}`);
  }
}

say("ready");
await Promise.all([burst("0", 1), burst("1", 1), burst("2", 40), count(), count()]);
const last = (await book.append(Buffer.from("0"), { tags: ["end"] })).seqnum;
// A subscriber has a record before its append is answered; a follow may be behind.
const counted: number[] = [];
for await (const { seqnum } of book.read({ tag: "count", head: true })) counted.push(seqnum);
while (followed.length < counted.length) await book.sync();
unsubscribe();
stop.abort();
await following;
say(`from ${position} ${last}`);
for (const seqnum of fed) if (seqnum <= last) say(`s ${seqnum}`);
for (const seqnum of followed) if (seqnum <= last) say(`f ${seqnum}`);
await log.close();
process.exit(0);
