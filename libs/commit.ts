/**
 * A commit: one record that carries parts for several objects, queues and flows, the union of their tags and the union of their
 * conditions. Appending it is all there is to committing.
 *
 * Whatever a part depends on is a condition of its record: no fold voids a part of a commit.
 */
import { LogError, type AppendResult, type Condition, type SeqNum } from "../core/index.js";
import { encodeCommit, type Part } from "./envelope.js";
import type { Feed } from "./feed.js";

export class Commit {
  readonly parts: Part[] = [];
  #tags: string[] = [];
  #unless: Condition[] = [];

  /** Its record carries the tag; one that is named twice counts once. */
  tag(tag: string): void {
    this.#tags.push(tag);
  }

  /** It is refused if there is a record of `tag` behind `after`; of two for one tag the lower one counts. */
  unless(tag: string, after: SeqNum): void {
    this.#unless.push({ tag, after });
  }

  /**
   * Appends it; resolves when the replicas of this process have it. Rejects as `append` does, `LOG_TOO_LARGE` where it is more
   * than a record holds.
   */
  append(feed: Feed, signal?: AbortSignal): Promise<AppendResult> {
    const { book } = feed;
    const data = encodeCommit(this.parts);
    const { recordBytes, conditionsPerRecord } = book.log.limits;
    this.#compact(conditionsPerRecord);
    this.#checkSize(data.length, recordBytes, conditionsPerRecord);
    feed.commits.set(data, this.parts);
    return book.append(data, { tags: this.#tags, unless: this.#unless, signal }).then(
      (result) => {
        feed.commits.delete(data);
        const reached = result.ok ? feed.reached(result.seqnum) : undefined;
        return reached === undefined ? result : reached.then(() => result);
      },
      (error: unknown) => {
        feed.commits.delete(data);
        throw asTooLarge(error);
      },
    );
  }

  /** The log leaves out what is repeated, but only behind the count: above `max`, it is left out here. */
  #compact(max: number): void {
    if (this.#tags.length > max) this.#tags = [...new Set(this.#tags)];
    if (this.#unless.length <= max) return;
    const lowest = new Map<string, SeqNum>();
    for (const { tag, after } of this.#unless) lowest.set(tag, Math.min(after, lowest.get(tag) ?? after));
    this.#unless = Array.from(lowest, ([tag, after]) => ({ tag, after }));
  }

  #checkSize(bytes: number, bytesMax: number, countMax: number): void {
    const count = Math.max(this.#tags.length, this.#unless.length);
    if (bytes > bytesMax) {
      throw new LogError(
        "LOG_TOO_LARGE",
        `a commit of ${this.parts.length} changes has ${bytes} bytes, more than the ${bytesMax} of one record; split large objects into several, or change fewer at once`,
        { outcome: "none" },
      );
    }
    if (count > countMax) {
      throw new LogError(
        "LOG_TOO_LARGE",
        `a commit has ${count} tags or conditions, more than the ${countMax} of one record; read and change fewer objects at once`,
        { outcome: "none" },
      );
    }
  }
}

/** What is left for `append` to find out of range: the bytes of tags and conditions together. */
function asTooLarge(error: unknown): unknown {
  if (!(error instanceof RangeError)) return error;
  return new LogError(
    "LOG_TOO_LARGE",
    `a commit is too large: ${error.message}; read and change fewer objects at once`,
    {
      outcome: "none",
      cause: error,
    },
  );
}
