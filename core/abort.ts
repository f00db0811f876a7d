/** One way to listen for an abort: any number of calls may share a signal, without Node's warning of a leak. */
import { setMaxListeners } from "node:events";
import { abortedError } from "./errors.js";

/** Calls `fn` at the abort; returns the function that stops listening. */
export function onAbort(signal: AbortSignal | undefined, fn: () => void): () => void {
  if (signal === undefined) return () => undefined;
  setMaxListeners(0, signal);
  signal.addEventListener("abort", fn, { once: true });
  return () => signal.removeEventListener("abort", fn);
}

/** The promise, or the abort, whichever comes first. What the promise stands for goes on. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) return Promise.reject(abortedError(signal));
  return new Promise<T>((resolve, reject) => {
    const stop = onAbort(signal, () => reject(abortedError(signal)));
    promise.then(resolve, reject).finally(stop);
  });
}
