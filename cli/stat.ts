/** boki stat: figures of a log. */
import type { Command } from "commander";
import type { Log } from "../core/index.js";
import { jsonOption } from "./arguments.js";
import { action, command, type Run } from "./command.js";
import { printable } from "./record-text.js";

export function statCommand(): Command {
  return command("stat <log>", "Print figures of a log: its id, tail, records, tags, bytes and books", [
    "boki stat ./data",
  ])
    .addOption(jsonOption("the figures"))
    .action(action(stat));
}

async function stat(run: Run, place: string, { json }: { readonly json?: true }): Promise<void> {
  await using log = await run.open(place);
  const figures = await figuresOf(log, run.signal);
  if (json) return run.out.json(figures);
  const { books, recovered, ...numbers } = figures;
  for (const [name, value] of Object.entries(numbers)) {
    await row(run, name, typeof value === "number" ? value.toLocaleString("en-US") : value);
  }
  if (recovered !== null) await row(run, "recovered", `${recovered.bytes} bytes cut off at ${recovered.position}`);
  await row(run, "books", books.map(printable).join(", "));
}

function row(run: Run, name: string, value: string): Promise<void> {
  return run.out.line(`${name.padEnd(12)}${value}`.trimEnd());
}

async function figuresOf(log: Log, signal: AbortSignal) {
  const { records, entries, tags, diskBytes, logBytes, indexBytes, tagBytes } = await log.stats({ signal });
  return {
    id: log.id,
    url: log.url,
    durability: log.durability,
    // The tail is the log's, whichever book is asked.
    tail: await log.book("any").tail({ signal }),
    records,
    entries,
    tags,
    diskBytes,
    logBytes,
    indexBytes,
    tagBytes,
    recovered: log.recovered ?? null,
    books: await log.books({ signal }),
  };
}
