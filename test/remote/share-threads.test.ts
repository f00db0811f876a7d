/** Worker threads of one process share a folder as processes do: the one that has it may end, or be ended. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { openLog } from "../../core/index.js";
import { scratch } from "../loglet/on-disk.js";

class Thread {
  readonly #worker: Worker;

  private constructor(folder: string, name: string) {
    this.#worker = new Worker(new URL("share-thread.js", import.meta.url), { workerData: { folder, name } });
  }

  /** Resolves when it has opened the folder. */
  static async start(folder: string, name: string): Promise<Thread> {
    const thread = new Thread(folder, name);
    await once(thread.#worker, "message");
    return thread;
  }

  async append(count: number): Promise<void> {
    this.#worker.postMessage(count);
    await once(this.#worker, "message");
  }

  async close(): Promise<void> {
    this.#worker.postMessage(0);
    await once(this.#worker, "exit");
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}

describe("worker threads that share a folder", () => {
  for (const [kind, name] of Object.entries({ "": "log", ", by a path too long for a socket": "x".repeat(120) })) {
    it(`append to one log, whichever of them has the folder, and whichever ends${kind}`, async () => {
      const folder = join(scratch(), name);
      const owner = await Thread.start(folder, "owner");
      const heir = await Thread.start(folder, "heir");
      const log = await openLog(`file:${folder}`, { share: true });
      const others = await Promise.all([Thread.start(folder, "a"), Thread.start(folder, "b")]);
      await Promise.all([owner, heir, ...others].map((thread) => thread.append(50)));
      const appending = Promise.all(others.map((thread) => thread.append(200)));
      await owner.terminate();
      await heir.append(50);
      await heir.close();
      await appending;
      await Promise.all(others.map((thread) => thread.append(50)));
      const texts: string[] = [];
      for await (const record of log.book("b").read()) texts.push(record.text());
      assert.equal(new Set(texts).size, texts.length, "L8 nothing is there twice");
      for (const [name, count] of [
        ["owner", 50],
        ["heir", 100],
        ["a", 300],
        ["b", 300],
      ] as const) {
        const own = texts.filter((text) => text.startsWith(`${name}.`));
        assert.deepEqual(
          own,
          Array.from({ length: count }, (_, i) => `${name}.${i}`),
        );
      }
      for (const thread of others) await thread.close();
      await log.close();
    });
  }
});
