/** boki restore: a log of its own from a backup, whole or as it was before some moment. */
import { type Command, Option } from "commander";
import { restore, type SeqNum } from "../core/index.js";
import { jsonOption, moment } from "./arguments.js";
import { action, command, folderUrlOf, type Run } from "./command.js";
import { progress } from "./progress.js";

interface Flags {
  readonly at?: { readonly seqnum: SeqNum } | { readonly time: number };
  readonly json?: true;
}

export function restoreCommand(): Command {
  return command("restore <backup> <to>", "Make a log from a backup; it has an id of its own", [
    "boki restore ./backup ./restored",
    "boki restore ./backup ./as-it-was --at 1",
  ])
    .addOption(
      new Option(
        "--at <seqnum|time>",
        "as it was at this seqnum, or time such as 2026-01-31T09:30:00Z, inclusive",
      ).argParser(moment),
    )
    .addOption(jsonOption("what was restored"))
    .action(action(restoreBackup));
}

async function restoreBackup(run: Run, from: string, to: string, { at, json }: Flags): Promise<void> {
  folderUrlOf(from, "restore");
  folderUrlOf(to, "restore");
  using bar = progress("restore");
  const { records, id } = await restore(from, to, { at, signal: run.signal, onProgress: (at) => bar.update(at) });
  bar.stop();
  if (json) await run.out.json({ records, id });
  else await run.out.line(`${records} records; the id of the new log is ${id}`);
}
