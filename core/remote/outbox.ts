/**
 * A client's appends, from call to answer, in call order.
 *
 *      answered |  sent, without an answer  |  not sent yet
 *               head                        sent                 end
 *
 * X1  What is sent is always the beginning of what is unanswered, in call order, numbered without gaps (L8).
 * X2  When the link breaks, all of it is sent again under the same numbers, before anything else.
 * X3  Once one fails, so do all behind it, and the next one begins as another writer (L1).
 */
import type { Append } from "../engine/append.js";
import { HeaderWriter } from "../engine/entry.js";
import { writerMs } from "../engine/writers.js";
import type { AppendSink } from "../appender.js";
import { closedError, LogError } from "../errors.js";
import { limits } from "../limits.js";
import type { Clock } from "../types.js";
import type { Connection, Speaker } from "./connection.js";
import { errorOf } from "./fault.js";
import { type Answer, type ClientFrame, resultOf, type ServerFrame } from "./wire.js";

/** Bytes and entries without an answer, beyond which appends wait here. */
const sentBytesMax = 4 << 20;
const sentEntriesMax = limits.batchEntries;
/** Bytes of one frame, more only for one large record. */
const frameBytes = 1 << 20;

export interface OutboxOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** How long an append waits for its answer, ms. */
  readonly timeoutMs: number;
}

export class Outbox implements AppendSink, Speaker {
  readonly headers = new HeaderWriter();
  readonly #connection: Connection;
  readonly #options: OutboxOptions;
  #appends: Append[] = [];
  /** Places in `#appends`: the first without an answer, and the first not sent. */
  #head = 0;
  #sent = 0;
  #sentBytes = 0;
  #writer = 0;
  #n = 0;
  #answered = 0;
  #spokeAt = 0;
  #cancelTimer: (() => void) | undefined;
  #idle: (() => void)[] = [];

  constructor(connection: Connection, options: OutboxOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  get waiting(): number {
    return this.#appends.length - this.#head;
  }

  append(append: Append): void {
    const { fault } = this.#connection;
    if (fault !== undefined) {
      append.fail(new LogError(fault.code, fault.message, { outcome: "none", retryable: fault.retryable }));
      return;
    }
    append.deadline = this.#options.clock.monotonic() + this.#options.timeoutMs;
    this.#appends.push(append);
    this.#cancelTimer ??= this.#options.clock.setTimer(this.#options.timeoutMs, this.#expire, true);
    this.#connection.schedule();
  }

  abandon(appends: readonly Append[], error: LogError): void {
    for (const append of appends) this.#giveUp(append, error);
    this.#drop();
  }

  #giveUp(append: Append, error: LogError): void {
    append.fail(error);
    // It may have to be sent again, and its caller may do with the data what he wants.
    if (append.n > 0) append.data = Uint8Array.from(append.data);
  }

  /** Takes away what was given up before it was ever sent. */
  #drop(): void {
    const kept = this.#appends.slice(this.#head).filter((append) => append.state !== "settled" || append.n > 0);
    this.#sent -= this.#head;
    this.#head = 0;
    this.#appends = kept;
    this.#settleIdle();
  }

  readonly #expire = (): void => {
    this.#cancelTimer = undefined;
    const { clock, timeoutMs } = this.#options;
    const now = clock.monotonic();
    // In call order, and all wait equally long.
    const waiting = this.#appends.slice(this.#head).filter(({ state }) => state !== "settled");
    const expired = waiting.filter(({ deadline }) => deadline <= now);
    for (const append of expired)
      this.#giveUp(append, timeoutError(timeoutMs, append.state === "queued" ? "none" : "unknown"));
    this.#drop();
    const next = waiting[expired.length];
    if (next !== undefined) this.#cancelTimer = clock.setTimer(next.deadline - now, this.#expire, true);
  };

  /** Resolves when all that was accepted is answered. */
  drained(): Promise<void> {
    if (this.waiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #settleIdle(): void {
    if (this.waiting === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  opened(): void {
    for (let i = this.#head; i < this.#sent; i++) this.#appends[i]!.again = true;
    this.#sent = this.#head;
    this.#sentBytes = 0;
  }

  speak(frame: ClientFrame): void {
    const from = this.#sent;
    let bytes = 0;
    while (this.#sent < this.#appends.length && this.#sent - this.#head < sentEntriesMax) {
      const { size } = this.#appends[this.#sent]!;
      if (bytes > 0 && bytes + size > frameBytes) break;
      if (this.#sentBytes > 0 && this.#sentBytes + size > sentBytesMax) break;
      bytes += size;
      this.#sentBytes += size;
      this.#sent++;
    }
    if (bytes === 0) return;
    frame.appends = this.#pack(from, bytes);
    if (this.#sent < this.#appends.length && bytes > frameBytes / 2) this.#connection.schedule();
  }

  #pack(from: number, bytes: number): Buffer {
    const now = this.#options.clock.monotonic();
    const isSilent = from === this.#head && now - this.#spokeAt > writerMs / 2;
    if ((this.#writer === 0 || isSilent) && this.#appends[from]!.n === 0) this.#beginWriter();
    this.#spokeAt = now;
    const packed = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (let i = from; i < this.#sent; i++) {
      const append = this.#appends[i]!;
      if (append.state === "queued") append.state = "taken";
      if (append.n === 0) {
        append.writer = this.#writer;
        append.n = ++this.#n;
      }
      append.acked = Math.min(this.#answered, append.n - 1);
      append.encode(packed, at);
      at += append.size;
    }
    return packed;
  }

  #beginWriter(): void {
    const { random } = this.#options;
    this.#writer = 1 + Math.floor(random() * 2 ** 21) * 2 ** 32 + Math.floor(random() * (2 ** 32 - 1));
    this.#n = this.#answered = 0;
  }

  /** The append that has this number, while it is without an answer. */
  find(writer: number, n: number): Append | undefined {
    const first = this.#appends[this.#head];
    if (first === undefined || first.writer !== writer) return undefined;
    const append = this.#appends[this.#head + n - first.n];
    return append?.n === n ? append : undefined;
  }

  hear({ answers }: ServerFrame): void {
    if (answers === undefined) return;
    for (const answer of answers) this.#answer(answer);
    this.#settleIdle();
    if (this.#head > 1024 && this.#head * 2 > this.#appends.length) this.#drop();
    if (this.#sent < this.#appends.length) this.#connection.schedule();
  }

  #answer(answer: Answer): void {
    const { writer, n, count } = answer;
    for (let place = 0; place < count; place++) {
      const append = this.#appends[this.#head];
      // Of a writer that this one was, or a copy of what is answered.
      if (append === undefined || append.writer !== writer || append.n !== n + place) return;
      if (answer.fault !== undefined) {
        const error = errorOf(answer.fault);
        this.#failed(error instanceof LogError ? error : new LogError("LOG_IO", error.message, { outcome: "none" }));
        return;
      }
      if (answer.forgotten !== undefined && !append.again) {
        this.#anew();
        return;
      }
      this.#head++;
      this.#sentBytes -= append.size;
      this.#answered = append.n;
      if (answer.forgotten !== undefined) append.forget();
      else append.settle(resultOf(answer, place));
    }
  }

  /** The log has forgotten this writer: another one gives what is unanswered. */
  #anew(): void {
    this.#beginWriter();
    for (let i = this.#head; i < this.#sent; i++) {
      const append = this.#appends[i]!;
      append.n = append.writer = 0;
      if (append.state === "taken") append.state = "queued";
    }
    this.#sent = this.#head;
    this.#sentBytes = 0;
    this.#drop();
  }

  #failed(error: LogError): void {
    const [first, ...behind] = this.#appends.slice(this.#head);
    this.#clear();
    first!.fail(error);
    // The server takes nothing more of this writer, so these will never be there.
    for (const append of behind)
      append.fail(new LogError(error.code, error.message, { outcome: "none", cause: error }));
  }

  #clear(): void {
    this.#appends = [];
    this.#head = this.#sent = this.#sentBytes = 0;
    this.#writer = 0;
  }

  failed(error: LogError): void {
    const appends = this.#appends.slice(this.#head);
    this.#clear();
    this.#cancelTimer?.();
    for (const append of appends) {
      const outcome = append.n === 0 ? "none" : "unknown";
      append.fail(
        error.code === "LOG_CLOSED"
          ? closedError(outcome)
          : new LogError(error.code, error.message, { outcome, retryable: error.retryable, cause: error }),
      );
    }
    this.#settleIdle();
  }
}

export function timeoutError(timeoutMs: number, outcome?: "none" | "unknown"): LogError {
  return new LogError(
    "LOG_TIMEOUT",
    `the server did not answer within ${timeoutMs} ms; look whether it runs, or give openLog a longer timeoutMs`,
    { outcome, retryable: true },
  );
}
