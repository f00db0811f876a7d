/**
 * A clock that stands still until it is told to go on. Everything that is due happens inside `advance`, in order, and
 * synchronously, so that a test of an hour takes no time and always takes the same course.
 */
import type { Clock } from "../types.js";

interface Timer {
  /** On the monotonic clock, ms. */
  readonly due: number;
  readonly fn: () => void;
}

export class VirtualClock implements Clock {
  #monotonic = 0;
  /** Wall time is this much ahead of monotonic time, ms. */
  #ahead: number;
  /** Soonest first; of those due at once, the one that was set first. */
  readonly #timers: Timer[] = [];

  /** `wallMs`: the wall time it begins at, ms since 1970. */
  constructor(wallMs = Date.UTC(2026, 0, 1)) {
    this.#ahead = checkMs("the wall time", wallMs);
  }

  now(): number {
    return this.#ahead + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Timers that wait. */
  get timers(): number {
    return this.#timers.length;
  }

  /** Calls `fn` once `ms` have been advanced; never before the next `advance`, even if `ms` is 0. */
  setTimer(ms: number, fn: () => void): () => void {
    const timer = { due: this.#monotonic + checkMs("the time of a timer", ms), fn };
    const place = this.#timers.findIndex(({ due }) => due > timer.due);
    this.#timers.splice(place < 0 ? this.#timers.length : place, 0, timer);
    return () => {
      const place = this.#timers.indexOf(timer);
      if (place >= 0) this.#timers.splice(place, 1);
    };
  }

  /** Lets `ms` pass and calls what is due meanwhile, each at its time; also what is set by those calls. */
  advance(ms: number): void {
    const end = this.#monotonic + checkMs("the time to advance by", ms);
    for (;;) {
      const timer = this.#timers[0];
      if (timer === undefined || timer.due > end) break;
      this.#timers.shift();
      // What is called may advance the clock too: it never goes backwards.
      this.#monotonic = Math.max(this.#monotonic, timer.due);
      timer.fn();
    }
    this.#monotonic = Math.max(this.#monotonic, end);
  }

  /** Sets the wall clock, forwards or backwards, as an operator would. Timers do not notice. */
  setWall(wallMs: number): void {
    this.#ahead = checkMs("the wall time", wallMs) - this.#monotonic;
  }
}

function checkMs(what: string, value: unknown): number {
  if (typeof value === "number" && value >= 0 && value < Infinity) return value;
  throw new RangeError(`${what} must be a number of milliseconds, 0 or more, not ${String(value)}`);
}
