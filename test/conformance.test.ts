import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../core/index.js";
import type { Log, OpenOptions } from "../core/types.js";
import { conformance, type Subject } from "./conformance/index.js";

let names = 0;

/** A log in memory: named, so that it can be opened again. */
function inMemory(options: OpenOptions): Subject {
  return at(`memory:conformance-${++names}`, options, () => Promise.resolve());
}

function inFolder(options: OpenOptions): Subject {
  const folder = mkdtempSync(join(tmpdir(), "boki-conformance-"));
  return at(`file:${folder}`, options, () => Promise.resolve(rmSync(folder, { recursive: true })));
}

function at(url: string, options: OpenOptions, dispose: () => Promise<void>): Subject {
  return {
    open: () => openLog(url, options),
    another: () => openLog(url, options),
    reopen: async (log: Log) => {
      await log.close();
      return openLog(url, options);
    },
    dispose,
  };
}

conformance({ describe, it, name: "memory:", subject: () => inMemory({}) });
conformance({ describe, it, name: "memory: without caches", subject: () => inMemory({ cacheBytes: 0, auxBytes: 0 }) });
conformance({ describe, it, name: "file:", subject: () => inFolder({}) });
conformance({
  describe,
  it,
  name: "file: without caches",
  subject: () => inFolder({ cacheBytes: 0, auxBytes: 0, io: "main" }),
});
conformance({ describe, it, name: "file: syncing elsewhere", subject: () => inFolder({ io: "worker" }) });
conformance({ describe, it, name: 'file: with durability "os"', subject: () => inFolder({ durability: "os" }) });
