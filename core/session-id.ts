/** What a session has seen, as a string: the log's id and a position (L4). */
import { show } from "./check.js";
import { LogError } from "./errors.js";
import type { SeqNum } from "./types.js";

export interface Seen {
  /** Id of the log. */
  readonly id: string;
  readonly position: SeqNum;
}

export function sessionId({ id, position }: Seen): string {
  return `${id}.${position}`;
}

export function parseSession(session: unknown): Seen {
  const parts = typeof session === "string" ? /^([0-9a-f]{32})\.(\d{1,16})$/.exec(session) : null;
  if (parts === null) throw new TypeError(`session must be the session of an opened log, not ${show(session)}`);
  return { id: parts[1]!, position: Number(parts[2]) };
}

/** What another session has seen must be in the log `here`, which has all up to its position. */
export function checkSeen(seen: Seen, here: Seen): void {
  if (seen.id !== here.id) {
    throw new LogError(
      "LOG_SESSION",
      `the session is of log ${seen.id}, and this is log ${here.id}; open that one, or leave it away`,
    );
  }
  if (seen.position > here.position) {
    throw new LogError(
      "LOG_SESSION",
      `the session has seen position ${seen.position}, and this log ends at ${here.position}: it is an older copy; leave the session away if that is meant`,
    );
  }
}
