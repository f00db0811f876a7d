/** boki append: one record, from an argument or from standard input. */
import type { Command } from "commander";
import { LogError, type Condition, type Log } from "../core/index.js";
import { another, bookOption, jsonOption, unlessOption } from "./arguments.js";
import { action, command, type Run } from "./command.js";
import { Refusal } from "./exit.js";

interface Flags {
  readonly book: string;
  readonly tag: readonly string[];
  readonly data?: string;
  readonly unless?: readonly Condition[];
  readonly json?: true;
}

export function appendCommand(): Command {
  return command("append <log>", "Append one record and print its seqnum; begins the log if there is none", [
    "boki append ./data --book orders --tag order:7 --tag customer:ada --data tea",
    "boki append ./data --book orders --tag order:7 --unless order:7@1 --data shipped",
    "echo milk | boki append ./data --book orders --tag order:8",
  ])
    .addOption(bookOption())
    .requiredOption("-t, --tag <tag>", "tag of the record; may be repeated", another)
    .option("-d, --data <text>", "the data; without it, all of standard input as it is")
    .addOption(unlessOption())
    .addOption(jsonOption("the result"))
    .action(action(append));
}

async function append(run: Run, place: string, flags: Flags): Promise<void> {
  await using log = await run.open(place, { create: true });
  const data = flags.data === undefined ? await readAll(run, log) : Buffer.from(flags.data);
  // Without the signal: an append is a matter of milliseconds, and its outcome is worth waiting for.
  const result = await log.book(flags.book).append(data, { tags: flags.tag, unless: flags.unless ?? [] });
  if (flags.json) await run.out.json(result);
  else if (result.ok) await run.out.line(String(result.seqnum));
  if (result.ok) return;
  const { tag, seqnum } = result.conflict;
  throw new Refusal(`refused: the last record of ${JSON.stringify(tag)} is ${seqnum}`);
}

async function readAll(run: Run, log: Log): Promise<Buffer> {
  if (process.stdin.isTTY) run.note("reading the data from the terminal; end it with Ctrl-D");
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of run.input(undefined) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > log.limits.recordBytes) {
      throw new LogError(
        "LOG_TOO_LARGE",
        `standard input has more than the ${log.limits.recordBytes} bytes of one record`,
        {
          outcome: "none",
        },
      );
    }
  }
  return Buffer.concat(chunks);
}
