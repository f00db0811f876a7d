/** boki repair: keeps what is whole of a damaged log, and says what is lost. */
import type { Command } from "commander";
import { repair } from "../core/index.js";
import { jsonOption } from "./arguments.js";
import { action, command, folderUrlOf, type Run } from "./command.js";
import { Refusal } from "./exit.js";
import { progress } from "./progress.js";

export function repairCommand(): Command {
  return command("repair <folder>", "Make a damaged log whole again from what can be read, and say what is lost", [
    "boki repair ./data",
  ])
    .addOption(jsonOption("what was kept and lost"))
    .addHelpText(
      "after",
      "\nCopy the folder first. A backup, if there is one, has what a repair cannot bring back.\nExit code 1 when anything was lost.",
    )
    .action(action(repairLog));
}

async function repairLog(run: Run, place: string, { json }: { readonly json?: true }): Promise<void> {
  using bar = progress("repair");
  const { kept, lost } = await repair(folderUrlOf(place, "repair"), {
    signal: run.signal,
    onProgress: (at) => bar.update(at),
  });
  bar.stop();
  if (json) await run.out.json({ kept, lost });
  else {
    for (const what of lost) await run.out.line(`lost: ${what}`);
    await run.out.line(`${kept} records kept`);
  }
  if (lost.length > 0) throw new Refusal();
}
