/** boki verify: reads all of a log and says what is damaged; changes nothing. */
import type { Command } from "commander";
import { type LogError, type LongOptions, verify, type Verified } from "../core/index.js";
import { jsonOption } from "./arguments.js";
import { action, command, type Run, urlOf } from "./command.js";
import { Refusal } from "./exit.js";
import { progress } from "./progress.js";
import { isServer } from "./server-url.js";

export function verifyCommand(): Command {
  return command("verify <log>", "Read all of a log and say what is damaged; exit code 1 if anything is", [
    "boki verify ./data",
  ])
    .addOption(jsonOption("the findings"))
    .action(action(verifyLog));
}

async function verifyLog(run: Run, place: string, { json }: { readonly json?: true }): Promise<void> {
  using bar = progress("verify");
  const found = await findingsOf(run, place, { signal: run.signal, onProgress: (at) => bar.update(at) });
  bar.stop();
  if (json) await run.out.json(found);
  else {
    for (const { file, offset, position, what } of found.damage) {
      const at = position === undefined ? "" : `, position ${position}`;
      await run.out.line(`${file} at byte ${offset}${at}: ${what}`);
    }
    const places = found.damage.filter(({ harmless }) => !harmless).length;
    const state = found.ok ? "nothing is damaged" : `${places} places are damaged`;
    await run.out.line(`${found.records} records, ${found.bytes} bytes: ${state}`);
  }
  if (!found.ok)
    throw new Refusal(json ? "" : "restore a backup with boki restore, or keep what is whole with boki repair");
}

async function findingsOf(run: Run, place: string, options: LongOptions): Promise<Verified> {
  const url = urlOf(place);
  try {
    if (!isServer(url)) return await verify(url, options);
  } catch (error) {
    // Whoever has it open may share it.
    if ((error as Partial<LogError>).code !== "LOG_LOCKED") throw error;
  }
  await using log = await run.open(url);
  return await log.verify(options);
}
