/** store-memory.js FOLDER OBJECTS: opens all objects of a store and tells its parent how many bytes each takes. */
import { BokiStore, openLog } from "../../libs/index.js";
import { type Account, keyOf } from "../harness/accounts.js";

const [path, objects] = [process.argv[2]!, Number(process.argv[3])];

/** Of the heap, and of buffers outside it. */
function used(): number {
  // What is only weakly held goes with the second time.
  for (let i = 0; i < 2; i++) globalThis.gc!();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

// Without the log's caches, which are not a matter of objects.
const log = await openLog(`file:${path}`, { cacheBytes: 0, auxBytes: 0 });
const store = new BokiStore(log.book("bench"), { cacheBytes: 2 ** 30 });
const accounts = store.collection<Account>("accounts");
// Reading each twice tells what reading itself leaves behind.
await accounts.get("absent");
const before = used();
for (let i = 0; i < objects; i++) {
  const key = keyOf(i);
  if ((await accounts.get(key))?.id !== key) throw new Error(`${key} is not there`);
}
const bytes = (used() - before) / objects;
await store.close();
await log.close();
process.send!(bytes);
process.disconnect();
