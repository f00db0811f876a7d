/** A progress bar on stderr for work that takes long; nothing where stderr is no terminal. */
import cliProgress from "cli-progress";

/** Work is told of in the form of the core's `onProgress`. */
export interface Progress {
  update(state: { readonly done: number; readonly total: number }): void;
  /** Clears the line. Idempotent. */
  stop(): void;
  [Symbol.dispose](): void;
}

const silent: Progress = { update: () => undefined, stop: () => undefined, [Symbol.dispose]: () => undefined };

/** `unit` names what is counted: "bytes", or "" for positions. */
export function progress(what: string, unit = "bytes"): Progress {
  if (!process.stderr.isTTY) return silent;
  const bar = new cliProgress.SingleBar({
    stream: process.stderr,
    format: `${what} [{bar}] {percentage}% {value}/{total}${unit === "" ? "" : ` ${unit}`}, {eta_formatted} left`,
    formatValue: (value, _options, type) =>
      type === "value" || type === "total" ? value.toLocaleString("en-US") : String(value),
    clearOnComplete: true,
    // Ctrl-C is the command's matter: it ends what is under way first.
    gracefulExit: false,
  });
  let begun = false;
  const stop = (): void => {
    if (begun) bar.stop();
    begun = false;
  };
  return {
    update({ done, total }) {
      if (!begun) bar.start(total, 0);
      begun = true;
      bar.setTotal(total);
      bar.update(done);
    },
    stop,
    [Symbol.dispose]: stop,
  };
}
