/**
 * A process that uses a shared folder until it is killed or told to stop. Writes a line for each acknowledgement, synchronously:
 * "p ID SEQNUM" plain, "c VALUE SEQNUM" a count that was taken, "r SEQNUM" one refused, "e TEXT" what must not be, "done" at the end.
 */
import { writeSync } from "node:fs";
import { openLog } from "../../core/index.js";
import { identify, payload } from "../crash/payload.js";

const [folder, name] = process.argv.slice(2) as [string, string];
const say = (line: string): void => void writeSync(1, `${line}\n`);
const log = await openLog(`file:${folder}`, { share: true });
const book = log.book("crash");
let isOver = false;
process.on("message", () => (isOver = true));

async function append(writer: number): Promise<void> {
  for (let i = 0; !isOver; i++) {
    const id = `${name}.${writer}.${i}`;
    const { seqnum } = await book.append(payload(id), { tags: ["plain", `writer-${writer}`] });
    say(`p ${id} ${seqnum}`);
    // L4: what was appended here is read here.
    if (i % 50 !== 0) continue;
    const record = await book.readNext({ tag: "plain", from: seqnum });
    if (record === undefined || identify(record.data) !== id) say(`e L4 ${id} at ${seqnum} is not read`);
  }
}

async function count(): Promise<void> {
  while (!isOver) {
    const last = await book.readPrev({ tag: "count" });
    const value = (last?.json<number>() ?? 0) + 1;
    const unless = [{ tag: "count", after: last?.seqnum ?? 0 }];
    const result = await book.append(Buffer.from(String(value)), { tags: ["count"], unless });
    say(result.ok ? `c ${value} ${result.seqnum}` : `r ${result.conflict.seqnum}`);
  }
}

/** Sees every count, each once and in order, whoever has the folder; ends at the last one. */
async function follow(stop: AbortSignal): Promise<void> {
  let value = 0;
  try {
    for await (const record of book.read({ tag: "count", follow: true, signal: stop })) {
      if (record.json() !== ++value) say(`e L1 the follower saw ${record.text()} behind ${value - 1}`);
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  }
  const last = await book.readPrev({ tag: "count" });
  // Records that were on their way when it was stopped are not counted: what came is a beginning of what is there.
  if (value > (last?.json<number>() ?? 0)) say(`e the follower saw ${value}, more than there are`);
}

/** The same for a subscription: what comes has no gap. */
async function listen(): Promise<void> {
  let last = 0;
  await book.subscribe({
    record: ({ seqnum }) => {
      if (seqnum <= last) say(`e L1 the subscriber was given ${seqnum} behind ${last}`);
      last = seqnum;
    },
    end: (error) => {
      if (!isOver) say(`e the subscription ended: ${String(error)}`);
    },
  });
}

try {
  const stop = new AbortController();
  await listen();
  const following = follow(stop.signal);
  say("ready");
  await Promise.all([...Array.from({ length: 8 }, (_, i) => append(i)), count(), count()]);
  stop.abort();
  await following;
  await log.close();
  say("done");
} catch (error) {
  say(`e ${String((error as Error).stack)}`.replaceAll("\n", " | "));
}
process.disconnect?.();
