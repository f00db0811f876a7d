/**
 * boki import: JSON lines become records, in order, in pieces, in bounded memory.
 *
 * Whatever ends an import early - a damaged line, a full disk, Ctrl-C - what came before it stays, and the message says how
 * much that is and with which line to go on.
 */
import { statSync } from "node:fs";
import { type Command, Option } from "commander";
import { LogError, type AppendInput, type AppendResult, type Log, type LogBook } from "../core/index.js";
import { bookOption, count, jsonOption } from "./arguments.js";
import { action, command, type Run } from "./command.js";
import { messageOf, Refusal } from "./exit.js";
import { lineGroups } from "./lines.js";
import { progress } from "./progress.js";
import { parseRecord } from "./record-text.js";

interface Flags {
  readonly book: string;
  readonly fromLine: number;
  readonly json?: true;
}

export function importCommand(): Command {
  return command("import <log> [file]", "Append records from JSON lines; begins the log if there is none", [
    "boki import ./copy orders.jsonl --book orders",
  ])
    .addOption(bookOption())
    .addOption(new Option("--from-line <number>", "first line that is looked at, to go on").argParser(count).default(1))
    .addOption(jsonOption("the outcome"))
    .addHelpText(
      "after",
      `
Each line is { "data": "text", "tags": ["tag"] }, with { "base64": "..." } as data for what is no text; boki export writes
it. A time in it is for people: the log stamps its own. Importing again appends again.
A damaged line ends the import (exit code 1); what came before it stays.`,
    )
    .action(action(importLines));
}

/** Where an import is. */
interface State {
  /** Lines that are done with, from the first. */
  line: number;
  imported: number;
  first: number | undefined;
  last: number | undefined;
}

/** A line that is no record. */
class Damage extends Error {}

async function importLines(run: Run, place: string, file: string | undefined, flags: Flags): Promise<void> {
  // First: without the file there is nothing to begin a log for.
  const bytes = sizeOf(file);
  const input = run.input(file) as AsyncIterable<Buffer>;
  await using log = await run.open(place, { create: true });
  const state: State = { line: 0, imported: 0, first: undefined, last: undefined };
  try {
    await appendLines(run, log, state, { input, bytes, ...flags });
  } catch (thrown) {
    const error: unknown = run.signal.aborted ? run.signal.reason : thrown;
    const fromLine = Math.max(state.line + 1, flags.fromLine);
    const damaged = error instanceof Damage ? { line: fromLine, what: error.message } : undefined;
    if (flags.json) await run.out.json({ imported: state.imported, fromLine, damaged });
    const names = [place, file ?? "-", "--book", flags.book].map(quoted).join(" ");
    run.note(
      (damaged === undefined ? "" : `line ${fromLine} is damaged: ${damaged.what}; `) +
        `${state.imported} records were imported, from lines before ${fromLine}; ` +
        (isUnknown(error) ? "some behind them may be there too: look with boki tail before you " : "") +
        `${damaged === undefined ? "" : "mend it and "}go on with: boki import ${names} --from-line ${fromLine}`,
    );
    throw damaged === undefined ? error : new Refusal();
  }
  const { imported, first, last } = state;
  if (flags.json) await run.out.json({ imported, first: first ?? null, last: last ?? null });
  else await run.out.line(`${imported} records imported`);
}

/** Whether records may be in the log that are not counted. */
function isUnknown(error: unknown): boolean {
  if (!(error instanceof LogError)) return false;
  // The cause is about those that were not decided.
  const rest = error.decided === undefined ? error : error.cause;
  return rest instanceof LogError && rest.outcome === "unknown";
}

/** As a shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Bytes of a file; undefined for a pipe. */
function sizeOf(file: string | undefined): number | undefined {
  if (file === undefined || file === "-") return undefined;
  const stat = statSync(file);
  return stat.isFile() ? stat.size : undefined;
}

interface Source {
  readonly input: AsyncIterable<Buffer>;
  readonly bytes: number | undefined;
  readonly book: string;
  readonly fromLine: number;
}

async function appendLines(run: Run, log: Log, state: State, source: Source): Promise<void> {
  const book = log.book(source.book);
  using bar = progress("import");
  // Text takes at most six bytes a byte in JSON (\u0000).
  const lineBytesMax = 6 * (log.limits.recordBytes + log.limits.headerBytes) + 1024;
  let done = 0;
  for await (const lines of lineGroups(source.input, lineBytesMax)) {
    run.signal.throwIfAborted();
    let damage: Damage | undefined;
    /** Records of this group, and the line of each. */
    const records: AppendInput[] = [];
    const numbers: number[] = [];
    let number = state.line;
    for (const line of lines) {
      number++;
      done += line.length + 1;
      if (number < source.fromLine || isBlank(line)) continue;
      try {
        if (line.length > lineBytesMax)
          throw new Error(`it is longer than the ${lineBytesMax} bytes that a record can need`);
        records.push(parseRecord(line));
        numbers.push(number);
      } catch (error) {
        damage = new Damage((error as Error).message);
        break;
      }
    }
    await appendPiece(book, records, numbers, state);
    state.line = damage === undefined ? number : number - 1;
    if (damage !== undefined) throw damage;
    if (source.bytes !== undefined) bar.update({ done: Math.min(done, source.bytes), total: source.bytes });
  }
}

function isBlank(line: Buffer): boolean {
  return line.length === 0 || (line.length < 100 && line.toString("latin1").trim() === "");
}

async function appendPiece(book: LogBook, records: AppendInput[], numbers: number[], state: State): Promise<void> {
  const take = (results: readonly AppendResult[]): void => {
    for (const result of results) {
      if (!result.ok) continue;
      state.imported++;
      state.first ??= result.seqnum;
      state.last = result.seqnum;
    }
  };
  try {
    take(await book.appendAll(records));
  } catch (error) {
    if (!isRefused(error)) {
      const decided = (error instanceof LogError ? error.decided : undefined) ?? 0;
      state.imported += decided;
      state.line = numbers[decided]! - 1;
      throw error;
    }
    // One of them is no record, so none was appended: one by one, the log says which.
    for (const [i, record] of records.entries()) {
      state.line = numbers[i]! - 1;
      try {
        take(await book.appendAll([record]));
      } catch (fault) {
        throw isRefused(fault) ? new Damage(messageOf(fault)) : fault;
      }
    }
  }
}

/** Refused for what it is, before anything was done. */
function isRefused(error: unknown): boolean {
  if (error instanceof LogError) return error.code === "LOG_TOO_LARGE";
  return error instanceof TypeError || error instanceof RangeError;
}
