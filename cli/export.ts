/** boki export: records as JSON lines, which import takes. A named file appears when it is whole, or not at all. */
import { once } from "node:events";
import { createWriteStream, existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import type { Command } from "commander";
import type { LogBook, LogRecord } from "../core/index.js";
import { bookOption, jsonOption, tagOption } from "./arguments.js";
import { action, command, type Run } from "./command.js";
import { UsageError } from "./exit.js";
import { progress } from "./progress.js";
import { noteMissingBook } from "./read.js";
import { jsonData } from "./record-text.js";

interface Flags {
  readonly book: string;
  readonly tag?: string;
  readonly force?: true;
  readonly json?: true;
}

export function exportCommand(): Command {
  return command("export <log> [file]", "Write the records of a book as JSON lines", [
    "boki export ./data orders.jsonl --book orders",
    "boki export ./data --book orders --tag customer:ada",
  ])
    .addOption(bookOption())
    .addOption(tagOption())
    .option("--force", "write over a file that is there")
    .addOption(jsonOption("the outcome (with a file)"))
    .addHelpText(
      "after",
      `
Each line is { "data": "text", "tags": ["tag"], "time": ms }, with { "base64": "..." } as data for what is no text.
A file appears under its name when all of it is written.`,
    )
    .action(action(exportLines));
}

async function exportLines(run: Run, place: string, file: string | undefined, flags: Flags): Promise<void> {
  const toFile = file !== undefined && file !== "-";
  if (toFile && flags.force !== true && existsSync(file))
    throw new UsageError(`${file} is there already; give another name, or --force to write over it`);
  await using log = await run.open(place);
  const book = log.book(flags.book);
  const records = toFile
    ? await writeFile(run, file, linesOf(run, book, flags.tag, true))
    : await writeOut(run, linesOf(run, book, flags.tag, !process.stdout.isTTY));
  if (records === 0) await noteMissingBook(run, book);
  if (!toFile) return;
  if (flags.json) await run.out.json({ exported: records, file });
  else await run.out.line(`${records} records exported`);
}

/** The lines, of the records that are there now. */
async function* linesOf(run: Run, book: LogBook, tag: string | undefined, bar: boolean): AsyncGenerator<string> {
  using shown = bar ? progress("export", "") : undefined;
  const total = await book.tail();
  for await (const record of book.read({ tag, signal: run.signal })) {
    yield line(record);
    shown?.update({ done: record.seqnum, total });
  }
}

function line({ data, tags, time }: LogRecord): string {
  return `${JSON.stringify({ data: jsonData(data), tags, time })}\n`;
}

async function writeOut(run: Run, lines: AsyncIterable<string>): Promise<number> {
  let records = 0;
  for await (const text of lines) {
    await run.out.write(text);
    records++;
  }
  return records;
}

async function writeFile(run: Run, file: string, lines: AsyncIterable<string>): Promise<number> {
  const part = `${file}.part`;
  const stream = createWriteStream(part, { flush: true, signal: run.signal });
  const ended = once(stream, "close");
  // Failures are met where the stream is waited for.
  ended.catch(() => undefined);
  try {
    let records = 0;
    for await (const text of lines) {
      if (!stream.write(text)) await Promise.race([once(stream, "drain"), ended]);
      records++;
    }
    stream.end();
    await ended;
    await rename(part, file);
    return records;
  } catch (error) {
    stream.destroy();
    await rm(part, { force: true });
    throw error;
  }
}
