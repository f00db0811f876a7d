/** The contract of the log through a server and a client, and in a folder that processes share. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../core/index.js";
import type { Log, OpenOptions } from "../core/types.js";
import { conformance, type Subject } from "./conformance/index.js";
import { Keeper } from "./remote/keeping.js";
import { serve, type Served } from "./remote/serve.js";

let names = 0;

/** A log that a server has, in this process. */
function served(url: () => { readonly url: string; readonly dispose: () => void }, options: OpenOptions): Subject {
  const { url: place, dispose } = url();
  let server: Served | undefined;
  const open = (): Promise<Log> => openLog(server!.url, options);
  return {
    open: async () => {
      server = await serve(place);
      return open();
    },
    another: open,
    reopen: async (log) => {
      await log.close();
      await server!.close();
      server = await serve(place, server!.port);
      return open();
    },
    dispose: async () => {
      await server!.close();
      dispose();
    },
  };
}

const inMemory = (): { url: string; dispose: () => void } => ({
  url: `memory:served-${++names}`,
  dispose: () => undefined,
});

function inFolder(): { url: string; dispose: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "boki-served-"));
  return { url: `file:${folder}`, dispose: () => rmSync(folder, { recursive: true }) };
}

conformance({ describe, it, name: "grpc: of memory:", subject: () => served(inMemory, {}) });
conformance({ describe, it, name: "grpc: of file:", subject: () => served(inFolder, {}) });
conformance({
  describe,
  it,
  name: "grpc: without caches",
  subject: () => served(inMemory, { cacheBytes: 0, auxBytes: 0 }),
});

describe("a shared folder", function () {
  let keeper: Keeper;
  before(() => (keeper = new Keeper()));
  after(() => keeper.end());

  /** Another process owns the folder. */
  function asGuest(): Subject {
    const folder = mkdtempSync(join(tmpdir(), "boki-shared-"));
    const open = (): Promise<Log> => openLog(`file:${folder}`, { share: true });
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
  function asHeir(): Subject {
    const folder = mkdtempSync(join(tmpdir(), "boki-heir-"));
    const options = { share: true, timeoutMs: 5000 };
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

  conformance({ describe, it, name: "file: as a guest", subject: asGuest });
  conformance({ describe, it, name: "file: as the heir of an owner", subject: asHeir });
});
