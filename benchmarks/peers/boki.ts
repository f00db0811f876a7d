/** Ourselves: a log in a folder, with the defaults. */
import { rmSync } from "node:fs";
import { openLog } from "../../libs/index.js";
import type { Appender } from "../harness/workload.js";

/** With `conditional` every append carries a condition that holds. */
export async function openBoki(folder: string, conditional = false): Promise<Appender & { bytesPerRecord(): number }> {
  const path = `${folder}/boki`;
  rmSync(path, { recursive: true, force: true });
  const log = await openLog(`file:${path}`);
  const book = log.book("bench");
  return {
    // A refusal would be seen in the count.
    append: conditional
      ? (data, tags) => book.append(data, { tags, unless: [{ tag: tags[0], after: Number.MAX_SAFE_INTEGER }] })
      : (data, tags) => book.append(data, { tags }),
    count: () => Promise.resolve(log.stats().records),
    bytesPerRecord: () => Math.ceil(log.stats().logBytes / log.stats().records),
    async close() {
      await log.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
}
