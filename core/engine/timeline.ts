/** Which position the log had at which log time, roughly: what the horizon of a trim is taken from (L3). */
import type { SeqNum } from "../types.js";

/** How far behind log time a dead tag may be forgotten, ms. */
export const horizonMs = 3_600_000;
const stepMs = 10_000;

export class Timeline {
  /** Ascending: a time, and the last position before it. What follows a mark until the next is at most a step younger. */
  readonly #marks: { readonly time: number; readonly before: SeqNum }[] = [];

  /** Of each batch: its time, and the position before its first. */
  mark(time: number, before: SeqNum): void {
    const marks = this.#marks;
    if (marks.length > 0 && time - marks.at(-1)!.time < stepMs) return;
    marks.push({ time, before });
    while (marks.length > 2 && marks[1]!.time + stepMs <= time - horizonMs) marks.shift();
  }

  /** The last position that is surely an hour old at `time`; 0 if there is none. */
  horizon(time: number): SeqNum {
    let found = 0;
    for (let i = 0; i + 1 < this.#marks.length; i++) {
      if (this.#marks[i]!.time + stepMs > time - horizonMs) break;
      found = this.#marks[i + 1]!.before;
    }
    return found;
  }

  restore(marks: readonly { readonly time: number; readonly before: SeqNum }[]): void {
    this.#marks.push(...marks);
  }

  get marks(): readonly { readonly time: number; readonly before: SeqNum }[] {
    return this.#marks;
  }
}
