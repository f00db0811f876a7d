/**
 * Standard output: gathered while there is more to come, written when there is not, and never faster than it is read.
 *
 * A reader that leaves (`| head`) ends the command quietly; any other failure, such as a full disk, ends it with that fault.
 */
import { EnoughRead } from "./exit.js";

const gatheredBytes = 64 * 1024;

export class Output {
  readonly #stop: AbortController;
  #parts: (string | Uint8Array)[] = [];
  #bytes = 0;
  #timer: NodeJS.Immediate | undefined;
  #writing: Promise<void> | undefined;

  /** `stop` is aborted when the output can take no more. */
  constructor(stop: AbortController) {
    this.#stop = stop;
    process.stdout.on("error", (error: NodeJS.ErrnoException) => this.#failed(error));
  }

  /** Adds text or bytes. Rejects with the reason for which the output ended. */
  async write(part: string | Uint8Array): Promise<void> {
    this.#stop.signal.throwIfAborted();
    this.#parts.push(part);
    this.#bytes += part.length;
    if (this.#bytes >= gatheredBytes) return this.#flush();
    this.#timer ??= setImmediate(() => void this.#flush().catch(() => undefined));
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  json(value: unknown): Promise<void> {
    return this.line(JSON.stringify(value));
  }

  /** Writes what is left. */
  async end(): Promise<void> {
    await this.#flush();
  }

  async #flush(): Promise<void> {
    clearImmediate(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    if (this.#parts.length > 0) {
      const bytes = Buffer.concat(this.#parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
      this.#parts = [];
      this.#bytes = 0;
      // A failure comes as an event too, and is told there.
      this.#writing = new Promise((resolve) => process.stdout.write(bytes, () => resolve()));
      await this.#writing;
    }
    if (this.#ended !== undefined) throw this.#ended;
  }

  #ended: Error | undefined;

  #failed(error: NodeJS.ErrnoException): void {
    this.#ended ??=
      error.code === "EPIPE"
        ? new EnoughRead()
        : new Error(`writing the output failed: ${error.message}`, { cause: error });
    this.#stop.abort(this.#ended);
  }
}
