/** A log that a server in this process has, as the suites of cases open it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../../core/index.js";
import type { Log, OpenOptions } from "../../core/types.js";
import type { Subject } from "../conformance/index.js";
import { serve, type Served } from "./serve.js";

interface Place {
  readonly url: string;
  readonly dispose: () => void;
}

let names = 0;

export function inMemory(): Place {
  return { url: `memory:served-${++names}`, dispose: () => undefined };
}

export function inFolder(): Place {
  const folder = mkdtempSync(join(tmpdir(), "boki-served-"));
  return { url: `file:${folder}`, dispose: () => rmSync(folder, { recursive: true }) };
}

/** Reopening starts the server anew too. `options` are those of the client; the server has `own`, and the same clock. */
export function served(make: () => Place, options: OpenOptions, own: OpenOptions = {}): Subject {
  const { url, dispose } = make();
  const given: OpenOptions = options.clock === undefined ? own : { ...own, clock: options.clock };
  let server: Served | undefined;
  const open = (): Promise<Log> => openLog(server!.url, options);
  return {
    open: async () => {
      server = await serve(url, 0, given);
      return open();
    },
    another: open,
    reopen: async (log) => {
      await log.close();
      await server!.close();
      server = await serve(url, server!.port, given);
      return open();
    },
    dispose: async () => {
      await server!.close();
      dispose();
    },
  };
}
