import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../../core/index.js";
import type { OpenOptions } from "../../core/types.js";
import type { StoreOptions } from "../../libs/store/store.js";
import type { Subject } from "../conformance/index.js";
import { storeCases } from "./index.js";

let names = 0;

function at(url: string, options: OpenOptions, dispose: () => void): Subject {
  return {
    open: () => openLog(url, options),
    another: () => openLog(url, options),
    reopen: async (log) => {
      await log.close();
      return openLog(url, options);
    },
    dispose: async () => dispose(),
  };
}

function inMemory(options: OpenOptions): Subject {
  return at(`memory:store-${++names}`, options, () => undefined);
}

function inFolder(options: OpenOptions): Subject {
  const folder = mkdtempSync(join(tmpdir(), "boki-store-"));
  return at(`file:${folder}`, options, () => rmSync(folder, { recursive: true }));
}

function on(name: string, make: (options: OpenOptions) => Subject, log: OpenOptions, options: StoreOptions = {}): void {
  storeCases({ describe, it, name, options, subject: (given) => make({ ...log, ...given }) });
}

/** So little aux data is kept that most of it is dropped. */
const scarce = { auxBytes: 300 };
/** So few objects stay open that most are read again and again. */
const small = { cacheBytes: 64 * 1024 };

on("memory:", inMemory, {});
on("memory: without aux data", inMemory, { auxBytes: 0 }, small);
on("memory: with little aux data", inMemory, { ...scarce, cacheBytes: 0 });
on("file:", inFolder, {});
on("file: without aux data", inFolder, { auxBytes: 0, cacheBytes: 0, durability: "os" });
on("file: with little aux data", inFolder, { ...scarce, durability: "os" }, small);
