/**
 * What is said of a server's doings: figures for all of it, and lines of a log for what a person may want to know.
 *
 * No line is written for an append or a read. Faults of one client are told once each in a while, and all together are bounded: a
 * client that is refused asks again and again.
 */
import type { Client, Observer, Told } from "../observer.js";
import type { Fault } from "../wire.js";
import type { Metrics } from "./metrics.js";

/** Where lines go; pino and its like are such. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

export const silentLogger: Logger = { info: none, warn: none, error: none, debug: none };

function none(): void {
  // Nobody wants to know.
}

/** Faults of one kind, told at most so often, ms. */
const againMs = 10_000;
/** Different kinds remembered. */
const kindsMax = 1000;

/** Refusals, and what a client did wrong; everything else is the server's own. */
const refusals = new Set(["LOG_UNAUTHENTICATED", "LOG_FORBIDDEN", "LOG_PROTOCOL", "LOG_SESSION", "LOG_VERSION"]);
const everyday = new Set([
  "TypeError",
  "RangeError",
  "LOG_TRIMMED",
  "LOG_ABORTED",
  "LOG_TOO_LARGE",
  "LOG_CLOSED",
  "LOG_UNAVAILABLE",
]);

export function watch(metrics: Metrics, logger: Logger, now: () => number): Observer {
  const toldAt = new Map<string, number>();
  let untold = 0;

  /** Whether this kind of fault is to be told again. */
  const isNews = (kind: string): boolean => {
    const at = now();
    if (at - (toldAt.get(kind) ?? -Infinity) < againMs) return false;
    if (toldAt.size >= kindsMax) {
      for (const [old, when] of toldAt) if (at - when >= againMs) toldAt.delete(old);
      if (toldAt.size >= kindsMax) return false;
    }
    toldAt.set(kind, at);
    return true;
  };

  const tell = ({ code, message }: Fault, { name, peer }: Client): void => {
    const fields = { client: name, peer, code, reason: message };
    if (everyday.has(code)) {
      logger.debug(fields, "fault");
      return;
    }
    // A port is another one each time.
    if (!isNews(`${code} ${name} ${peer.replace(/:\d+$/, "")} ${message}`)) {
      untold++;
      return;
    }
    const counted = untold === 0 ? fields : { ...fields, untold };
    untold = 0;
    if (refusals.has(code)) logger.warn(counted, "refused");
    else logger.error(counted, "fault");
  };

  return {
    received: (bytes) => void (metrics.received += bytes),
    sent: (bytes) => void (metrics.sent += bytes),
    of: (client): Told => ({
      appended: (outcome, ms) => metrics.appended(outcome, ms),
      gave: (records) => void (metrics.records += records),
      fault: (fault) => {
        metrics.fault(fault.code);
        tell(fault, client);
      },
    }),
    opened: ({ name, peer }) => {
      metrics.sessionsBegun++;
      logger.info({ client: name, peer }, "session opened");
    },
    closed: ({ name, peer, since }, why) => {
      const reason = why === undefined ? "the client left" : `${why.code}: ${why.message}`;
      logger.info({ client: name, peer, reason, ms: Math.max(0, now() - since) }, "session closed");
    },
  };
}
