/** How long work goes on beside everything else: it makes way, tells how far it is, and ends when it is asked to. */
import { abortedError, LogError } from "./errors.js";
import type { LongOptions } from "./types.js";

/** Bytes worked on between two turns of the event loop. */
const turnBytes = 512 * 1024;

export class Pace {
  readonly #options: LongOptions;
  readonly #total: number;
  #done = 0;
  #turnAt = turnBytes;

  constructor(total: number, options: LongOptions) {
    this.#total = total;
    this.#options = options;
    this.check();
  }

  /** So many bytes more are done. Gives a promise, to be awaited, when it is time to make way. */
  add(bytes: number): Promise<void> | undefined {
    this.#done += bytes;
    if (this.#done < this.#turnAt) return undefined;
    this.#turnAt = this.#done + turnBytes;
    return this.turn();
  }

  async turn(): Promise<void> {
    this.#options.onProgress?.({ done: Math.min(this.#done, this.#total), total: this.#total });
    await new Promise((done) => setImmediate(done));
    this.check();
  }

  end(): void {
    this.#options.onProgress?.({ done: this.#total, total: this.#total });
  }

  /** Throws `LOG_ABORTED`, or what else the signal was aborted for. */
  check(): void {
    const { signal } = this.#options;
    if (signal?.aborted !== true) return;
    throw signal.reason instanceof LogError ? signal.reason : abortedError(signal);
  }
}
