/**
 * The child that the tour kills. Appends orders numbered 1, 2, ... with many in flight, tells the parent which were
 * acknowledged, and goes on until it dies.
 *
 * Arguments: url of the log, name of the book, tag.
 */
import { openLog } from "../libs/index.js";

/** An order that the log has acknowledged. */
export interface Acknowledged {
  readonly n: number;
  readonly seqnum: number;
}

const inFlight = 256;

const [url = "", bookName = "", tag = ""] = process.argv.slice(2);
// Without its parent nobody would end it.
process.once("disconnect", () => process.exit(1));
if (!process.connected) process.exit(1);

const log = await openLog(url);
const book = log.book(bookName);
let next = 1;
let unsent: Acknowledged[] = [];

function acknowledge(order: Acknowledged): void {
  if (unsent.length === 0) {
    setImmediate(() => {
      process.send?.(unsent);
      unsent = [];
    });
  }
  unsent.push(order);
}

async function writer(): Promise<never> {
  for (;;) {
    const n = next++;
    const { seqnum } = await book.append(Buffer.from(`order ${n}`), { tags: [tag] });
    acknowledge({ n, seqnum });
  }
}

await Promise.all(Array.from({ length: inFlight }, writer));
