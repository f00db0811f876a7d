/**
 * Log time (L9): stamped by whoever orders, never decreasing. While the wall clock is behind, log time runs at half the
 * speed of the monotonic clock until they meet, so that a clock set back by a year neither stops time nor is followed.
 */
import type { Clock } from "../types.js";

export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (ms: number, fn: () => void) => {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
});

export class LogClock {
  readonly #clock: Clock;
  #time: number;
  #monotonic: number;

  /** `last`: the time of the last entry there is, ms since 1970. */
  constructor(clock: Clock, last: number) {
    this.#clock = clock;
    this.#time = last;
    this.#monotonic = clock.monotonic();
  }

  /** The time for the next batch, whole ms. */
  stamp(): number {
    const wall = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    const slow = this.#time + Math.max(0, monotonic - this.#monotonic) / 2;
    this.#time = Math.max(wall, slow);
    this.#monotonic = monotonic;
    return Math.floor(this.#time);
  }

  /** Never stamp below this: what was read from the log. */
  observe(time: number): void {
    this.#time = Math.max(this.#time, time);
  }
}
