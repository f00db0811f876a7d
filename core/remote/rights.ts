/** What a client may do: rights for each book, or for all. */
import { LogError } from "../errors.js";

export const rightNames = ["read", "append", "trim", "admin"] as const;
/** `admin`: what concerns the whole log: its books and statistics, checkpoints, verify, backup. */
export type Right = (typeof rightNames)[number];

export interface Rights {
  /** Who has them, as logs and errors name it. */
  readonly name: string;
  /** Throws `LOG_FORBIDDEN`, or `LOG_UNAUTHENTICATED` once they have expired. Without a book: for the log. */
  check(right: Right, book?: string): void;
  /** Aborted with a LogError when they end, for all that goes on under them. */
  readonly ended?: AbortSignal | undefined;
}

/** Of those who are the owner anyway, as another process of one user is. */
export const allRights: Rights = { name: "anybody", check: () => undefined };

export function forbiddenError(name: string, right: Right, book: string | undefined): LogError {
  return new LogError(
    "LOG_FORBIDDEN",
    `${name} has no right to ${book === undefined ? "administer the log (admin)" : `${right} in book ${JSON.stringify(book)}`}; the server's token file says who has which`,
    { outcome: right === "append" || right === "trim" ? "none" : undefined },
  );
}
