/**
 * Who has appended what already (L8). Every entry carries its writer and a number; an entry is applied only if its number
 * is above the writer's last, so entries that are given again after a broken hand-over are applied once. What the first
 * was decided is kept until the writer says that it knows (`acked`), and answers the copies.
 *
 * A writer is forgotten when its last entry is over an hour behind log time; an unknown one must begin with 1. Both
 * are tests on what the log says, so they come out the same everywhere.
 */
import type { Refused, SeqNum } from "../types.js";

/** What became of an entry: the position where it was applied, or why it was refused. */
export type Decision = SeqNum | Refused;

export interface WriterState {
  readonly id: number;
  /** The last number applied, and log time then. */
  last: number;
  time: number;
  /** Decisions of the entries up to `last`, the oldest first. */
  readonly decisions: Decision[];
}

/** Log time after which a silent writer is forgotten, ms. */
export const writerMs = 3_600_000;

export class Writers {
  readonly #writers = new Map<number, WriterState>();
  /** The one that wrote last: mostly the next one too. */
  #recent: WriterState | undefined;
  #swept = 0;

  /**
   * `"new"`: to be applied, and `decided` must follow. Else a copy, with the decision of the first, or `"unknown"` when
   * nobody knows it any more.
   */
  admit(id: number, n: number, acked: number, time: number): "new" | "unknown" | Decision {
    let writer = this.#recent;
    if (writer?.id !== id) writer = this.#writers.get(id);
    if (writer !== undefined && time - writer.time > writerMs) {
      this.#writers.delete(id);
      writer = undefined;
    }
    if (writer === undefined) {
      if (n !== 1) return "unknown";
      this.#sweep(time);
      writer = { id, last: 0, time, decisions: [] };
      this.#writers.set(id, writer);
    }
    this.#recent = writer;
    const { decisions } = writer;
    const known = acked - (writer.last - decisions.length);
    if (known >= decisions.length) decisions.length = 0;
    else if (known > 0) decisions.splice(0, known);
    if (n > writer.last) {
      writer.last = n;
      writer.time = time;
      return "new";
    }
    return decisions[n - 1 - (writer.last - decisions.length)] ?? "unknown";
  }

  /** What became of the entry admitted last. */
  decided(decision: Decision): void {
    this.#recent!.decisions.push(decision);
  }

  /** Gives back the memory of the forgotten, now and then. */
  #sweep(time: number): void {
    if (time - this.#swept < writerMs) return;
    this.#swept = time;
    for (const [id, writer] of this.#writers) if (time - writer.time > writerMs) this.#writers.delete(id);
  }

  states(): WriterState[] {
    return [...this.#writers.values()];
  }

  restore(states: readonly WriterState[]): void {
    for (const state of states) this.#writers.set(state.id, state);
  }
}
