/**
 * How background work makes way for appends: it writes a part of what they write meanwhile, and as much as it likes when
 * there are none. The disk is what both share, so bytes are what is counted.
 */

/** Between two turns of the event loop: at least so many bytes, and so many when there are no appends. */
const bytesMin = 32 * 1024;
const bytesIdle = 256 * 1024;

export class Background {
  readonly #share: number;
  readonly #appended: () => number;
  readonly #underWay: () => Promise<unknown> | undefined;
  #seen: number;
  #left = bytesMin;

  /**
   * `share`: of the bytes that appends write. `appended`: those so far; `underWay`: the append that is being synced beside the
   * calling thread.
   */
  constructor(share: number, appended: () => number, underWay: () => Promise<unknown> | undefined) {
    this.#share = share;
    this.#appended = appended;
    this.#underWay = underWay;
    this.#seen = appended();
  }

  /** Resolves when so many bytes may be written, or read, after those before. */
  async take(bytes: number): Promise<void> {
    while (this.#left < bytes) {
      await this.#underWay()?.catch(() => undefined);
      await turn();
      const seen = this.#appended();
      const more = seen === this.#seen ? bytesIdle : Math.max(bytesMin, (seen - this.#seen) * this.#share);
      this.#seen = seen;
      // No more is saved up than one turn gives, or there would be a stall; of a large batch that is as large a share.
      this.#left = Math.min(this.#left + more, Math.max(bytes, bytesIdle, more));
    }
    this.#left -= bytes;
  }
}

/** Lets everything else in the process have its turn. */
export function turn(): Promise<void> {
  return new Promise((done) => setImmediate(done));
}
