/** Kills a process that appends, and looks for everything that it was told is durable. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LogBook } from "../libs/index.js";
import type { Acknowledged } from "./tour-writer.js";

const writerFile = fileURLToPath(new URL("./tour-writer.js", import.meta.url));

/**
 * Lets a child append orders under `tag` and kills it with SIGKILL once `enough` were acknowledged, or after `timeoutMs`
 * if the disk is slow. Gives what was acknowledged before its death.
 */
export async function appendUntilKilled(
  target: { readonly url: string; readonly book: string; readonly tag: string },
  limits: { readonly enough: number; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Acknowledged[]> {
  const child = fork(writerFile, [target.url, target.book, target.tag], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    // Ctrl-C is for the parent, which ends the child.
    detached: true,
  });
  const kill = (): void => void child.kill("SIGKILL");
  limits.signal.addEventListener("abort", kill);
  let timer: NodeJS.Timeout | undefined;
  const acknowledged: Acknowledged[] = [];
  child.on("message", (orders: Acknowledged[]) => {
    acknowledged.push(...orders);
    timer ??= setTimeout(kill, limits.timeoutMs);
    // A moment later, at random, so that it hits anything: a write, a sync, an answer.
    if (acknowledged.length >= limits.enough) setTimeout(kill, Math.random() * 10);
  });
  try {
    // The channel is drained before it disconnects: what the child managed to say is counted.
    const [[, signal]] = (await Promise.all([once(child, "exit"), once(child, "disconnect")])) as [
      [unknown, string | null],
      unknown,
    ];
    limits.signal.throwIfAborted();
    if (signal !== "SIGKILL") throw new Error("the writing process ended by itself");
    return acknowledged;
  } finally {
    clearTimeout(timer);
    limits.signal.removeEventListener("abort", kill);
  }
}

export interface Inspection {
  /** Acknowledged orders that are in the log, at their seqnum, with their content. */
  readonly found: number;
  /** Orders in the log. */
  readonly total: number;
  /** Whether the orders are 1, 2, 3, ... without a gap, each once. */
  readonly inOrder: boolean;
}

/** Reads the whole stream of `tag` and compares it with what was acknowledged. */
export async function inspect(book: LogBook, tag: string, acknowledged: readonly Acknowledged[]): Promise<Inspection> {
  const contents = new Map<number, string>();
  let inOrder = true;
  for await (const record of book.read({ tag })) {
    contents.set(record.seqnum, record.text());
    if (record.text() !== `order ${contents.size}`) inOrder = false;
  }
  const found = acknowledged.filter(({ n, seqnum }) => contents.get(seqnum) === `order ${n}`).length;
  return { found, total: contents.size, inOrder };
}
