/** One way to listen for an abort: any number of calls may share a signal, without Node's warning of a leak. */
import { setMaxListeners } from "node:events";

/** Calls `fn` at the abort; returns the function that stops listening. */
export function onAbort(signal: AbortSignal | undefined, fn: () => void): () => void {
  if (signal === undefined) return () => undefined;
  setMaxListeners(0, signal);
  signal.addEventListener("abort", fn, { once: true });
  return () => signal.removeEventListener("abort", fn);
}
