/** Faults as they travel: what a server met is thrown in the client as the embedded log would throw it. */
import { type LogErrorCode, LogError, type Outcome } from "../errors.js";
import type { Fault } from "./wire.js";

export function faultOf(error: unknown): Fault {
  if (error instanceof LogError) {
    const { code, message, retryable, outcome, trimPoint } = error;
    return {
      code,
      message,
      ...(retryable ? { retryable } : undefined),
      ...(outcome === undefined ? undefined : { outcome }),
      ...(trimPoint === undefined ? undefined : { trimPoint }),
    };
  }
  if (error instanceof TypeError || error instanceof RangeError) return { code: error.name, message: error.message };
  return { code: "LOG_IO", message: `the server failed: ${error instanceof Error ? error.message : String(error)}` };
}

export function errorOf(fault: Fault): LogError | TypeError | RangeError {
  const { code, message, retryable, outcome, trimPoint } = fault;
  if (code === "TypeError") return new TypeError(message);
  if (code === "RangeError") return new RangeError(message);
  return new LogError(code as LogErrorCode, message, {
    retryable,
    // What comes over a wire may be left away, but not empty.
    outcome: outcome === "" ? undefined : (outcome as Outcome | undefined),
    trimPoint: code === "LOG_TRIMMED" ? (trimPoint ?? 0) : undefined,
  });
}
