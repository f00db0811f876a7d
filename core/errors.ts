/**
 * Operating faults. Bad arguments are TypeError and RangeError; expected outcomes are values.
 * Every code has a heading in docs/errors.md.
 */

export type LogErrorCode =
  | "LOG_CLOSED"
  | "LOG_LOCKED"
  | "LOG_TRIMMED"
  | "LOG_TOO_LARGE"
  | "LOG_FULL"
  | "LOG_CLOCK"
  | "LOG_UNAVAILABLE"
  | "LOG_TIMEOUT"
  | "LOG_ABORTED"
  | "LOG_IO"
  | "LOG_CORRUPT"
  | "LOG_VERSION"
  | "LOG_PROTOCOL"
  | "LOG_NOT_A_LOG"
  | "LOG_SESSION"
  | "LOG_UNAUTHENTICATED"
  | "LOG_FORBIDDEN";

/** Whether a failed append may still appear: `"none"` never, `"unknown"` perhaps (L7). */
export type Outcome = "none" | "unknown";

export interface LogErrorOptions {
  readonly outcome?: Outcome | undefined;
  readonly retryable?: boolean | undefined;
  readonly trimPoint?: number | undefined;
  readonly decided?: number | undefined;
  readonly cause?: unknown;
}

export class LogError extends Error {
  readonly code: LogErrorCode;
  /** The same call may succeed later. */
  readonly retryable: boolean;
  /** Only on failed appends. */
  readonly outcome?: Outcome;
  /** Only with `LOG_TRIMMED`: the last seqnum that was removed from the stream. */
  readonly trimPoint?: number;
  /** Only of an `appendAll`: so many of its records, from the first on, were decided before the fault; `cause` is about the others. */
  readonly decided?: number;

  constructor(code: LogErrorCode, message: string, options: LogErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code === "LOG_ABORTED" ? "AbortError" : "LogError";
    this.code = code;
    this.retryable = options.retryable ?? false;
    if (options.outcome !== undefined) this.outcome = options.outcome;
    if (options.trimPoint !== undefined) this.trimPoint = options.trimPoint;
    if (options.decided !== undefined) this.decided = options.decided;
  }

  /** The same fault, met by an `appendAll` whose first records are decided already. */
  after(decided: number, count: number): LogError {
    return new LogError(
      this.code,
      `${this.message}; the first ${decided} of these ${count} records were decided before`,
      {
        outcome: "unknown",
        decided,
        cause: this,
      },
    );
  }
}

export function closedError(outcome?: Outcome): LogError {
  return new LogError("LOG_CLOSED", "the log is closed; open it again with openLog()", { outcome });
}

export function abortedError(signal: AbortSignal, outcome?: Outcome): LogError {
  return new LogError("LOG_ABORTED", "the wait was aborted by its signal", { outcome, cause: signal.reason });
}

/** `what` with a position that is not there any more. */
export function trimmedError(what: string, seqnum: number, trimPoint: number): LogError {
  return new LogError(
    "LOG_TRIMMED",
    `${what} ${seqnum} is at or below the trim point ${trimPoint} of the stream; read from ${trimPoint + 1} on, or from 0 for the oldest record kept`,
    { trimPoint },
  );
}

export function corruptError(path: string, offset: number, what: string): LogError {
  return new LogError(
    "LOG_CORRUPT",
    `${path} is damaged at byte ${offset}: ${what}. Restore the folder from a backup, or see docs/operating.md`,
  );
}
