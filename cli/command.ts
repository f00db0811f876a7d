/**
 * The frame of every command: its help, the log that it opens, and its end, whatever that is.
 *
 * A command is an async function of its run and its arguments. What it throws decides the exit code; a log that was opened is
 * closed in good order first, also after Ctrl-C.
 */
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { addAbortSignal, type Readable } from "node:stream";
import { Command } from "commander";
import { openLog, type Log } from "../core/index.js";
import { exitCodeHelp, exitCodeOf, Interruption, messageOf, UsageError } from "./exit.js";
import { Output } from "./output.js";
import { isServer, serverOptions, serverHelp } from "./server-url.js";

/** One run of a command. */
export class Run {
  /** Aborted by Ctrl-C, and when nobody reads the output any more; its reason says which. */
  readonly signal: AbortSignal;
  readonly out: Output;
  readonly #stop = new AbortController();
  #input: Readable | undefined;
  /** What SIGHUP does, where it does not end the command. */
  onHangUp: (() => void) | undefined;

  constructor() {
    this.signal = this.#stop.signal;
    this.out = new Output(this.#stop);
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(name, () => {
        if (name === "SIGHUP" && this.onHangUp !== undefined) return this.onHangUp();
        const interruption = new Interruption(name);
        // The second time somebody means it.
        if (this.signal.aborted) process.exit(interruption.exitCode);
        this.#stop.abort(interruption);
      });
    }
  }

  /** A line for people, on stderr. */
  note(text: string): void {
    process.stderr.write(`boki: ${text}\n`);
  }

  /** A file to read from, or standard input where none is named. Ends with the run. */
  input(file: string | undefined): Readable {
    this.#input =
      file === undefined || file === "-" ? process.stdin : createReadStream(file, { highWaterMark: 1 << 20 });
    return addAbortSignal(this.signal, this.#input);
  }

  /** A pipe that somebody still holds open must not hold this process. */
  end(): void {
    this.#input?.destroy();
  }

  /**
   * Opens a log, beside whoever shares it. One that is not there is made only where the command is to begin one: a name may be
   * mistyped.
   */
  async open(place: string, options: { readonly create?: boolean } = {}): Promise<Log> {
    const url = urlOf(place);
    const where = isServer(url) ? serverOptions() : { create: options.create === true, share };
    const log = await openLog(url, { ...where, signal: this.signal });
    if (log.recovered !== undefined) {
      const { bytes, position } = log.recovered;
      this.note(`${bytes} bytes torn by a crash, never acknowledged, were cut off; the log goes on at ${position}`);
    }
    return log;
  }
}

/** Windows has no socket that a folder could be shared over. */
const share = process.platform !== "win32";

/** The url of what the user gave as LOG: a url, or the path of a folder. */
export function urlOf(place: string): string {
  if (place === "") throw new UsageError("LOG is empty; give the folder of a log, such as ./data");
  // One letter is a drive of Windows.
  if (!/^[a-z][a-z0-9+.-]+:/i.test(place)) return `file:${resolve(place)}`;
  if (place.startsWith("memory:"))
    throw new UsageError(`${place} would end with this command; give the folder of a log, such as ./data`);
  return place;
}

/** The folder of what the user gave as LOG, for work that a server does not do for others. */
export function folderUrlOf(place: string, work: string): string {
  const url = urlOf(place);
  if (isServer(url))
    throw new UsageError(
      `${work} needs the folder of a log that nobody has open, not ${url}; run it on the server's machine, with the server stopped`,
    );
  return url;
}

/** A command with its arguments as written in its help, such as `"read <log>"`. */
export function command(usage: string, summary: string, examples: readonly string[]): Command {
  const made = new Command(usage.split(" ")[0]);
  for (const argument of usage.split(" ").slice(1)) made.argument(argument, argumentHelp[argument] ?? "");
  const lines = examples.map((example) => `  ${example}`).join("\n");
  const more = usage.includes("<log>") ? serverHelp : "";
  return made
    .summary(summary)
    .description(`${summary}.`)
    .addHelpText("after", `\n${examples.length > 1 ? "Examples" : "Example"}:\n${lines}\n${more}\n${exitCodeHelp}`);
}

const argumentHelp: Readonly<Record<string, string>> = {
  "<log>": "folder of the log, or its url (file:DIR, grpc://HOST:PORT)",
  "<folder>": "folder of the log",
  "[file]": 'file; without it, or with "-", standard input or output',
  "<backup>": "folder of a backup",
  "<to>": "new or empty folder",
};

/** The action of a command: runs `work`, says what went wrong, and leaves the exit code. */
export function action<A extends unknown[]>(
  work: (run: Run, ...args: A) => Promise<void>,
): (...args: A) => Promise<void> {
  return async (...args) => {
    const run = new Run();
    // An open log does not hold a process, not even one that waits for its records.
    const alive = setInterval(() => undefined, 1 << 30);
    try {
      await work(run, ...args);
      await run.out.end();
    } catch (thrown) {
      // An abort is known by its reason, whichever call it ended.
      const aborted = run.signal.aborted && (thrown as Error).name === "AbortError";
      const error: unknown = aborted ? run.signal.reason : thrown;
      const message = messageOf(error);
      if (message !== undefined) run.note(message);
      process.exitCode = exitCodeOf(error);
      await run.out.end().catch(() => undefined);
    } finally {
      clearInterval(alive);
      run.end();
    }
  };
}
