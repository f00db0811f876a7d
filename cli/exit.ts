/**
 * What a command answers to the shell, and how a fault becomes a line on stderr and an exit code.
 *
 *   0  done          1  the answer is "no", or damage was found          2  the command line is wrong
 *   3  the log, the disk or another process stands in the way            130, 143  ended by Ctrl-C, by SIGTERM
 */
import { LogError } from "../core/index.js";

export const exitCodes = { done: 0, no: 1, usage: 2, fault: 3 } as const;

/** The command line is wrong: nothing was done, and trying again will not help. */
export class UsageError extends Error {}

/** The answer is "no", or damage was found. Without a message, all has been said already. */
export class Refusal extends Error {}

/** Ctrl-C, or its like from outside. */
export class Interruption extends Error {
  readonly exitCode: number;

  constructor(signal: "SIGINT" | "SIGTERM" | "SIGHUP") {
    super("interrupted");
    this.exitCode = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal];
  }
}

/** Whoever reads the output has seen enough (`| head`): the command ends at once and has done well. */
export class EnoughRead extends Error {}

export function exitCodeOf(error: unknown): number {
  if (error instanceof EnoughRead) return exitCodes.done;
  if (error instanceof Interruption) return error.exitCode;
  if (error instanceof Refusal) return exitCodes.no;
  // The core refuses bad arguments with these two, before it does anything.
  if (error instanceof UsageError || error instanceof TypeError || error instanceof RangeError) return exitCodes.usage;
  return exitCodes.fault;
}

/** The line for stderr; undefined where there is nothing to say. */
export function messageOf(error: unknown): string | undefined {
  if (error instanceof EnoughRead) return undefined;
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof LogError)) return error.message === "" ? undefined : error.message;
  const mayAppear =
    error.outcome === "unknown" ? "; what was being appended may still be there: look before you repeat" : "";
  return `${error.code}: ${error.message}${mayAppear}`;
}

export const exitCodeHelp = `Exit codes:
  0    done
  1    the answer is "no" (a refused append), or damage was found
  2    the command line is wrong
  3    the log, the disk or another process stands in the way
  130  ended by Ctrl-C (143 by SIGTERM)`;
