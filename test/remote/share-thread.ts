/** A worker thread that uses a shared folder: says when it has it, and appends as many records as it is told. */
import { parentPort, workerData } from "node:worker_threads";
import { openLog } from "../../core/index.js";

const { folder, name } = workerData as { folder: string; name: string };
const port = parentPort!;
const log = await openLog(`file:${folder}`, { share: true });
const book = log.book("b");
let appended = 0;

async function append(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const data = Buffer.from(`${name}.${appended++}`);
    await book.append(data, { tags: ["t"] });
  }
  port.postMessage(appended);
}

port.on("message", (count: number) => {
  void (count > 0 ? append(count) : log.close().then(() => port.close()));
});
port.postMessage(0);
