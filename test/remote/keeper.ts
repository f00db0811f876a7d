/**
 * A process that has folders open as their owner, for tests of its guests. Told over IPC: `["open", FOLDER]`, `["close", FOLDER]`;
 * answers each with the folder, or with an error's code.
 */
import { openLog } from "../../core/index.js";
import type { Log } from "../../core/types.js";

const logs = new Map<string, Log>();

process.on("message", ([what, folder]: [what: "open" | "close", folder: string]) => {
  const work = async (): Promise<void> => {
    if (what === "open") logs.set(folder, await openLog(`file:${folder}`, { share: true }));
    else {
      await logs.get(folder)?.close();
      logs.delete(folder);
    }
  };
  work().then(
    () => process.send!(folder),
    (error: unknown) => process.send!(String(error)),
  );
});
