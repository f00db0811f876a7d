/** boki tail: the newest records, and those that come. */
import type { Command } from "commander";
import type { LogBook, SeqNum } from "../core/index.js";
import { bookOption, count, jsonOption, tagOption } from "./arguments.js";
import { action, command, type Run } from "./command.js";
import { noteMissingBook, print } from "./read.js";

interface Flags {
  readonly book: string;
  readonly tag?: string;
  readonly lines: number;
  readonly follow?: true;
  readonly json?: true;
}

export function tailCommand(): Command {
  return command("tail <log>", "Print the newest records, oldest of them first", [
    "boki tail ./data --book orders -n 2",
  ])
    .addOption(bookOption())
    .addOption(tagOption())
    .option("-n, --lines <count>", "so many records", count, 10)
    .option("-f, --follow", "go on with records as they are appended, until Ctrl-C")
    .addOption(jsonOption("a record a line"))
    .addHelpText("after", "\nWhile you follow a folder, programs that open it with share: true can use it, others not.")
    .action(action(tail));
}

async function tail(run: Run, place: string, { lines, follow, tag, ...flags }: Flags): Promise<void> {
  await using log = await run.open(place);
  const book = log.book(flags.book);
  const from = await startOf(run, book, tag, lines);
  let records = 0;
  for await (const record of book.read({ tag, from, follow, signal: run.signal })) {
    await print(run, record, flags);
    records++;
  }
  if (records === 0 && lines > 0) await noteMissingBook(run, book);
}

/** The seqnum of the last but `lines` record; of heads only, because the records may be large. */
async function startOf(run: Run, book: LogBook, tag: string | undefined, lines: number): Promise<SeqNum> {
  let from = await book.tail();
  let records = 0;
  if (lines === 0) return from;
  for await (const head of book.read({ tag, reverse: true, head: true, signal: run.signal })) {
    from = head.seqnum;
    if (++records >= lines) break;
  }
  return from;
}
