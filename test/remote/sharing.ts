/** A folder that two processes share, as the suites of cases open it: this process is a guest of the other, or has its place. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../../core/index.js";
import type { Log } from "../../core/types.js";
import type { Subject } from "../conformance/index.js";
import type { Keeper } from "./keeping.js";

const options = { share: true, timeoutMs: 10_000 };

/** Another process owns the folder. */
export function asGuest(keeper: Keeper): Subject {
  const folder = mkdtempSync(join(tmpdir(), "boki-shared-"));
  const open = (): Promise<Log> => openLog(`file:${folder}`, options);
  return {
    open: async () => {
      await keeper.open(folder);
      return open();
    },
    another: open,
    reopen: async (log) => {
      await log.close();
      await keeper.close(folder);
      await keeper.open(folder);
      return open();
    },
    dispose: async () => {
      await keeper.close(folder);
      rmSync(folder, { recursive: true });
    },
  };
}

/** Another process owned it, and gave it up: a guest has taken it over. */
export function asHeir(keeper: Keeper): Subject {
  const folder = mkdtempSync(join(tmpdir(), "boki-heir-"));
  const inherit = async (): Promise<Log> => {
    await keeper.open(folder);
    const log = await openLog(`file:${folder}`, options);
    await keeper.close(folder);
    await log.book("any").tail();
    return log;
  };
  return {
    open: inherit,
    another: () => openLog(`file:${folder}`, options),
    reopen: async (log) => {
      await log.close();
      return inherit();
    },
    dispose: () => Promise.resolve(rmSync(folder, { recursive: true })),
  };
}
