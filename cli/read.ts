/** boki read: records of a book or of one tag, forwards or backwards. */
import { type Command, Option } from "commander";
import type { LogBook, LogRecord, RecordHead } from "../core/index.js";
import { bookOption, count, jsonOption, seqnum, tagOption } from "./arguments.js";
import { action, command, type Run } from "./command.js";
import { jsonRecord, recordLine } from "./record-text.js";

interface Flags {
  readonly book: string;
  readonly tag?: string;
  readonly from?: number;
  readonly to?: number;
  readonly limit?: number;
  readonly reverse?: true;
  readonly head?: true;
  readonly raw?: true;
  readonly json?: true;
}

export function readCommand(): Command {
  return command("read <log>", "Print records, oldest first: seqnum, time, tags and data, separated by tabs", [
    "boki read ./data --book orders --tag order:7",
    "boki read ./data --book orders --reverse --limit 1 --raw",
  ])
    .addOption(bookOption())
    .addOption(tagOption())
    .option("--from <seqnum>", "first seqnum, inclusive", seqnum)
    .option("--to <seqnum>", "last seqnum, inclusive", seqnum)
    .option("-r, --reverse", "newest first")
    .option("-n, --limit <count>", "at most so many", count)
    .option("--head", "without the data, only its size")
    .addOption(new Option("--raw", "only the data, byte by byte, nothing between").conflicts(["head", "json"]))
    .addOption(jsonOption("a record a line"))
    .action(action(read));
}

async function read(run: Run, place: string, flags: Flags): Promise<void> {
  const { tag, from, to, reverse, limit = Infinity, head } = flags;
  await using log = await run.open(place);
  const book = log.book(flags.book);
  const options = { tag, from, to, reverse, signal: run.signal };
  let records = 0;
  if (limit > 0) {
    for await (const record of head === true ? book.read({ ...options, head }) : book.read(options)) {
      await print(run, record, flags);
      if (++records >= limit) break;
    }
  }
  if (records === 0) await noteMissingBook(run, book);
}

/** `--json`, `--raw`, or the line for people. */
export function print(
  run: Run,
  record: LogRecord | RecordHead,
  how: { readonly json?: true; readonly raw?: true },
): Promise<void> {
  if (how.raw && "data" in record) return run.out.write(record.data);
  return how.json ? run.out.json(jsonRecord(record)) : run.out.line(recordLine(record));
}

/** Nothing to print is no fault, but a mistyped name deserves a word. */
export async function noteMissingBook(run: Run, book: LogBook): Promise<void> {
  const names = await book.log.books({ signal: run.signal });
  if (names.includes(book.name)) return;
  const there =
    names.length === 0
      ? "the log is empty"
      : `there are ${names
          .slice(0, 10)
          .map((name) => JSON.stringify(name))
          .join(", ")}${names.length > 10 ? ", ..." : ""}`;
  run.note(`no records in a book ${JSON.stringify(book.name)}; ${there}`);
}
