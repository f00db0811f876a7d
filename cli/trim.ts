/** boki trim: removes the beginning of a book or of a tag's stream. */
import type { Command } from "commander";
import { bookOption, jsonOption, seqnum } from "./arguments.js";
import { action, command, type Run } from "./command.js";

interface Flags {
  readonly book: string;
  readonly tag?: string;
  readonly upTo: number;
  readonly json?: true;
}

export function trimCommand(): Command {
  return command("trim <log>", "Remove the beginning of a book, or of the stream of one tag", [
    "boki trim ./data --book orders --up-to 2",
  ])
    .addOption(bookOption())
    .option(
      "-t, --tag <tag>",
      "only from the stream of this tag; a record is gone when all its tags are trimmed past it",
    )
    .requiredOption("--up-to <seqnum>", "last seqnum to be removed, inclusive; below the tail of the log", seqnum)
    .addOption(jsonOption("what was done"))
    .action(action(trim));
}

async function trim(run: Run, place: string, { tag, upTo, ...flags }: Flags): Promise<void> {
  await using log = await run.open(place);
  await log.book(flags.book).trim({ upTo, tag });
  if (flags.json) await run.out.json({ book: flags.book, tag, upTo });
  else await run.out.line(`trimmed up to ${upTo}`);
}
