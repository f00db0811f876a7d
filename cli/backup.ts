/** boki backup: a copy of a log in another folder, as it is at one position. */
import { isAbsolute } from "node:path";
import type { Command } from "commander";
import { jsonOption } from "./arguments.js";
import { action, command, type Run } from "./command.js";
import { UsageError } from "./exit.js";
import { progress } from "./progress.js";
import { isServer } from "./server-url.js";

export function backupCommand(): Command {
  return command("backup <log> <to>", "Copy a log, as it is at one position, into a new folder", [
    "boki backup ./data ./backup",
  ])
    .addOption(jsonOption("what was copied"))
    .addHelpText(
      "after",
      "\nThe program that has the log open goes on meanwhile, if it shares the folder; one that does not makes its backups itself, with\nlog.backup(). A server writes them into a folder of its own machine.",
    )
    .action(action(backup));
}

async function backup(run: Run, place: string, to: string, { json }: { readonly json?: true }): Promise<void> {
  if (isServer(place) && !isAbsolute(to))
    throw new UsageError(`the server writes the backup on its own machine; give the absolute path there, not ${to}`);
  await using log = await run.open(place);
  using bar = progress("backup");
  const { records, bytes, position } = await log.backup(to, { signal: run.signal, onProgress: (at) => bar.update(at) });
  bar.stop();
  if (json) await run.out.json({ records, bytes, position });
  else await run.out.line(`${records} records, ${bytes} bytes, up to ${position}`);
}
