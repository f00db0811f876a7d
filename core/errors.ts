/**
 * Operating faults. Bad arguments are TypeError and RangeError; expected outcomes are values.
 * Every code has a heading in docs/errors.md.
 */

export type LogErrorCode =
  | "LOG_CLOSED"
  | "LOG_LOCKED"
  | "LOG_TOO_LARGE"
  | "LOG_FULL"
  | "LOG_UNAVAILABLE"
  | "LOG_ABORTED"
  | "LOG_IO"
  | "LOG_CORRUPT"
  | "LOG_VERSION"
  | "LOG_NOT_A_LOG";

/** Whether a failed append may still appear: `"none"` never, `"unknown"` perhaps (L7). */
export type Outcome = "none" | "unknown";

export interface LogErrorOptions {
  readonly outcome?: Outcome | undefined;
  readonly retryable?: boolean | undefined;
  readonly cause?: unknown;
}

export class LogError extends Error {
  readonly code: LogErrorCode;
  /** The same call may succeed later. */
  readonly retryable: boolean;
  /** Only on failed appends. */
  readonly outcome?: Outcome;

  constructor(code: LogErrorCode, message: string, options: LogErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code === "LOG_ABORTED" ? "AbortError" : "LogError";
    this.code = code;
    this.retryable = options.retryable ?? false;
    if (options.outcome !== undefined) this.outcome = options.outcome;
  }

  /** The same fault, met by an `appendAll` whose first records are decided already. */
  after(decided: number, count: number): LogError {
    return new LogError(
      this.code,
      `${this.message}; the first ${decided} of these ${count} records were decided before`,
      {
        outcome: "unknown",
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
