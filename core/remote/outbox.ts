/**
 * A client's appends, from call to answer, in call order.
 *
 *      answered |  sent, without an answer  |  not sent yet
 *               head                        sent                 end
 *
 * X1  What is sent is always the beginning of what is unanswered, in call order, numbered without gaps (L8).
 * X2  When the link breaks, all of it is sent again under the same numbers, before anything else.
 * X3  Once one fails, so do all behind it, and the next one begins as another writer (L1).
 *
 * Answers come mostly in order; a copy of what is in the log already may be answered later than what is behind it.
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
import { traceparent } from "./tracing/span.js";
import { type Answer, type Packed, resultOf, type ServerFrame, type SpokenFrame, type TraceContext } from "./wire.js";

/** Bytes and entries without an answer, beyond which appends wait here. */
const sentBytesMax = 4 << 20;
const sentEntriesMax = limits.batchEntries;
/** Bytes of one frame, more only for one large record: the server is at the first while the next ones are on their way. */
const frameBytes = 128 << 10;

/** Answered appends at the beginning of the list, before they are cut off: few, as each that is kept costs the garbage collector. */
const cutAt = 64;

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
    append.traceparent = traceparent();
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

  /** Resolves when nobody waits for an answer. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#settleIdle();
    });
  }

  #settleIdle(): void {
    if (this.#idle.length === 0) return;
    // What was given up may be there without an answer for ever.
    for (let i = this.#head; i < this.#appends.length; i++) if (this.#appends[i]!.state !== "settled") return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  opened(): void {
    for (let i = this.#head; i < this.#sent; i++) this.#appends[i]!.again = true;
    this.#unsend(this.#head);
  }

  speak(frame: SpokenFrame): void {
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
    this.#trace(from, frame);
    if (this.#sent < this.#appends.length && bytes > frameBytes / 2) this.#connection.schedule();
  }

  #pack(from: number, bytes: number): Packed {
    const now = this.#options.clock.monotonic();
    const isSilent = from === this.#head && now - this.#spokeAt > writerMs / 2;
    if ((this.#writer === 0 || isSilent) && this.#appends[from]!.n === 0) this.#beginWriter();
    this.#spokeAt = now;
    const to = this.#sent;
    for (let i = from; i < to; i++) {
      const append = this.#appends[i]!;
      if (append.state === "queued") append.state = "taken";
      if (append.n === 0) {
        append.writer = this.#writer;
        append.n = ++this.#n;
      }
      append.acked = Math.min(this.#answered, append.n - 1);
    }
    return { bytes, write: (target, at) => this.#write(from, to, target, at) };
  }

  #write(from: number, to: number, target: Buffer, at: number): void {
    for (let i = from; i < to; i++) {
      const append = this.#appends[i]!;
      append.encode(target, at);
      at += append.size;
    }
  }

  /** Appends that one call made go as one. */
  #trace(from: number, frame: SpokenFrame): void {
    let last: TraceContext | undefined;
    for (let i = from; i < this.#sent; i++) {
      const { traceparent, writer, n } = this.#appends[i]!;
      if (traceparent === undefined) last = undefined;
      else if (last?.traceparent === traceparent) last.count!++;
      else (frame.traces ??= []).push((last = { writer, n, count: 1, traceparent }));
    }
  }

  #beginWriter(): void {
    const { random } = this.#options;
    this.#writer = 1 + Math.floor(random() * 2 ** 21) * 2 ** 32 + Math.floor(random() * (2 ** 32 - 1));
    this.#n = this.#answered = 0;
  }

  /** The append that has this number, while it is without an answer. */
  find(writer: number, n: number): Append | undefined {
    return this.#appends[this.#placeOf(writer, n)];
  }

  /** Numbers have no gaps, so the place is known, but for what another writer has before. */
  #placeOf(writer: number, n: number): number {
    let first = this.#head;
    while (first < this.#sent && this.#appends[first]!.writer !== writer) first++;
    const place = first + n - (this.#appends[first]?.n ?? Infinity);
    const append = this.#appends[place];
    return append?.n === n && append.writer === writer ? place : -1;
  }

  hear({ answers }: ServerFrame): void {
    if (answers === undefined) return;
    for (const answer of answers) this.#answer(answer);
    this.#advance();
    this.#settleIdle();
    if (this.#head > cutAt && this.#head * 2 > this.#appends.length) this.#drop();
    if (this.#sent < this.#appends.length) this.#connection.schedule();
  }

  #answer(answer: Answer): void {
    const first = this.#placeOf(answer.writer, answer.n);
    // Of a writer that this one was, or long answered.
    if (first === -1) return;
    for (let i = 0; i < answer.count; i++) {
      const append = this.#appends[first + i];
      if (append === undefined || append.n !== answer.n + i) return;
      if (append.isDecided) continue;
      if (answer.fault !== undefined) {
        const error = errorOf(answer.fault);
        this.#failed(first, error instanceof LogError ? error : asNone(error));
        return;
      }
      if (answer.forgotten !== undefined && !append.again) {
        this.#anew(first);
        return;
      }
      append.isDecided = true;
      if (answer.forgotten !== undefined) append.forget();
      else append.settle(resultOf(answer, i));
    }
  }

  /** Over what is answered, up to the first that is not. */
  #advance(): void {
    while (this.#head < this.#sent && this.#appends[this.#head]!.isDecided) {
      const { writer, n, size } = this.#appends[this.#head++]!;
      this.#sentBytes -= size;
      if (writer === this.#writer) this.#answered = n;
    }
  }

  /** The log has forgotten this writer: another one gives what is unanswered from this place on. */
  #anew(from: number): void {
    this.#beginWriter();
    for (let i = from; i < this.#sent; i++) {
      const append = this.#appends[i]!;
      append.n = append.writer = 0;
      if (append.state === "taken") append.state = "queued";
    }
    this.#unsend(from);
    this.#drop();
  }

  /** What was sent from this place on is not under way any more. */
  #unsend(from: number): void {
    while (this.#sent > from) this.#sentBytes -= this.#appends[--this.#sent]!.size;
  }

  #failed(from: number, error: LogError): void {
    this.#unsend(from);
    const [first, ...behind] = this.#appends.splice(from);
    this.#writer = 0;
    // What was sent over another link may be there already, whatever is said of it now.
    if (first!.again && error.outcome !== "unknown") {
      const { code, message, retryable } = error;
      first!.fail(new LogError(code, message, { outcome: "unknown", retryable, cause: error }));
    } else first!.fail(error);
    // The server takes nothing more of this writer, so the others will never be there.
    for (const append of behind) {
      const outcome = append.again ? "unknown" : "none";
      append.fail(new LogError(error.code, error.message, { outcome, cause: error }));
    }
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

function asNone(error: Error): LogError {
  return new LogError("LOG_IO", error.message, { outcome: "none", cause: error });
}

export function timeoutError(timeoutMs: number, outcome?: "none" | "unknown"): LogError {
  return new LogError(
    "LOG_TIMEOUT",
    `the server did not answer within ${timeoutMs} ms; look whether it runs, or give openLog a longer timeoutMs`,
    { outcome, retryable: true },
  );
}
