/**
 * A client's questions, from call to answer. What is unanswered when the link breaks is asked again: asking twice does no harm, also
 * where it is a trim.
 *
 * A `Listener` hears all replies to its call and says what to ask when the link is there again; most calls have one reply.
 */
import { onAbort } from "../abort.js";
import { abortedError, LogError } from "../errors.js";
import type { Clock } from "../types.js";
import type { Connection, Speaker } from "./connection.js";
import { errorOf } from "./fault.js";
import { timeoutError } from "./outbox.js";
import { type Numbered, Ring } from "./ring.js";
import { traceparent } from "./tracing/span.js";
import type { Call, SpokenFrame, Credit, Reply, Request, Response, ServerFrame } from "./wire.js";

export interface Listener {
  /** What to ask, now and after each break. Undefined: it is not to be asked again, and fails. */
  request(isAgain: boolean): Request | undefined;
  /** A reply, the last one if `reply.last`. Faults come to `fail`. */
  hear(reply: Reply): void;
  /** It goes on for ever: only the first reply is waited for within the timeout. */
  readonly isEndless?: boolean;
  fail(error: Error): void;
}

interface Asked extends Numbered {
  readonly listener: Listener;
  deadline: number;
  readonly traceparent: string | undefined;
  isAgain: boolean;
}

interface AskOptions {
  readonly signal?: AbortSignal | undefined;
  readonly bounded: boolean;
  /** Called each time it goes out. */
  readonly onSaid?: () => void;
}

/** Calls in one frame, which may have long names. */
const frameCalls = 4096;

export class Calls implements Speaker {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #asked = new Ring<Asked>();
  /** Those that the server has not heard. */
  #unsaid = new Set<number>();
  #ended: number[] = [];
  #credits: Credit[] = [];
  #cancelTimer: (() => void) | undefined;

  constructor(connection: Connection, clock: Clock, timeoutMs: number) {
    this.#connection = connection;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  get waiting(): number {
    return this.#asked.size;
  }

  /** Asks; `bounded`: no longer than the timeout between one reply and the next. Returns the call's id. */
  add(listener: Listener, bounded: boolean): number {
    const { fault } = this.#connection;
    if (fault !== undefined) throw fault;
    const deadline = bounded ? this.#clock.monotonic() + this.#timeoutMs : Infinity;
    const id = this.#asked.add({ number: 0, listener, deadline, traceparent: traceparent(), isAgain: false });
    this.#unsaid.add(id);
    if (bounded) this.#cancelTimer ??= this.#clock.setTimer(this.#timeoutMs, this.#expire, true);
    this.#connection.schedule();
    return id;
  }

  /** Nobody waits for it any more. */
  end(id: number): void {
    if (!this.#asked.delete(id) || this.#unsaid.delete(id) || !this.#connection.isOpen) return;
    this.#ended.push(id);
    this.#connection.schedule();
  }

  credit(id: number, bytes: number): void {
    // Else it is asked again, with all the credit that there is then.
    if (!this.#connection.isOpen) return;
    this.#credits.push({ id, bytes });
    this.#connection.schedule();
  }

  /** A question with one answer, of which `take` makes the result. `bounded`: within the timeout; without, it may wait for ever. */
  ask<T = Response>(
    request: Request,
    { signal, bounded, onSaid }: AskOptions,
    take = (response: Response): T => response as T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const question = new Question(request, onSaid, take, resolve, reject);
      const id = this.add(question, bounded);
      if (signal === undefined) return;
      question.unlisten = onAbort(signal, () => {
        this.end(id);
        reject(abortedError(signal));
      });
    });
  }

  /** A question that changes something: its errors say whether it may have done so (L7). */
  async change(request: Request, signal: AbortSignal | undefined): Promise<void> {
    let said = 0;
    try {
      await this.ask(request, { signal, bounded: true, onSaid: () => said++ });
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      const { code, message, retryable, cause } = error;
      // What was asked over another link may have been done, whatever is said of it now.
      const outcome = said === 0 ? "none" : said === 1 ? (error.outcome ?? "unknown") : "unknown";
      throw new LogError(code, message, { outcome, retryable, cause });
    }
  }

  opened(): void {
    this.#ended = [];
    this.#credits = [];
    this.#unsaid = new Set(this.#asked.entries().map(([id]) => id));
  }

  speak(frame: SpokenFrame): void {
    if (this.#unsaid.size > 0) {
      const calls: Call[] = [];
      for (const id of this.#unsaid) {
        if (calls.length === frameCalls) {
          this.#connection.schedule();
          break;
        }
        this.#unsaid.delete(id);
        const asked = this.#asked.get(id)!;
        const request = asked.listener.request(asked.isAgain);
        asked.isAgain = true;
        if (request === undefined) this.#fail(id, brokenError());
        else if (asked.traceparent === undefined) calls.push({ id, ...request });
        else calls.push({ id, traceparent: asked.traceparent, ...request });
      }
      if (calls.length > 0) frame.calls = calls;
    }
    if (this.#ended.length > 0) frame.ended = this.#ended;
    if (this.#credits.length > 0) frame.credits = this.#credits;
    this.#ended = [];
    this.#credits = [];
  }

  hear({ replies }: ServerFrame): void {
    if (replies === undefined) return;
    for (const reply of replies) {
      const asked = this.#asked.get(reply.id);
      if (asked === undefined) continue;
      if (reply.fault !== undefined) this.#fail(reply.id, errorOf(reply.fault));
      else {
        if (reply.last === true) this.#asked.delete(reply.id);
        else if (asked.deadline !== Infinity) this.#goesOn(asked);
        asked.listener.hear(reply);
      }
    }
  }

  #goesOn(asked: Asked): void {
    asked.deadline = asked.listener.isEndless === true ? Infinity : this.#clock.monotonic() + this.#timeoutMs;
  }

  #fail(id: number, error: Error): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    this.#unsaid.delete(id);
    asked?.listener.fail(error);
  }

  readonly #expire = (): void => {
    this.#cancelTimer = undefined;
    const now = this.#clock.monotonic();
    let next = Infinity;
    for (const [id, { listener, deadline }] of this.#asked.entries()) {
      if (deadline > now) next = Math.min(next, deadline);
      else {
        this.end(id);
        listener.fail(timeoutError(this.#timeoutMs));
      }
    }
    // Whom it was told may have asked again.
    if (next < Infinity) this.#cancelTimer ??= this.#clock.setTimer(next - now, this.#expire, true);
  };

  failed(error: LogError): void {
    this.#cancelTimer?.();
    for (const [id] of this.#asked.entries()) this.#fail(id, error);
  }
}

class Question<T> implements Listener {
  readonly #request: Request;
  readonly #onSaid: (() => void) | undefined;
  readonly #take: (response: Response) => T;
  readonly #resolve: (result: T) => void;
  readonly #reject: (error: Error) => void;
  /** Ends the listening to a signal. */
  unlisten: (() => void) | undefined;

  constructor(
    request: Request,
    onSaid: (() => void) | undefined,
    take: (response: Response) => T,
    resolve: (result: T) => void,
    reject: (error: Error) => void,
  ) {
    this.#request = request;
    this.#onSaid = onSaid;
    this.#take = take;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  request(): Request {
    this.#onSaid?.();
    return this.#request;
  }

  hear(reply: Reply): void {
    // The server is still at it.
    if (!reply.last) return;
    this.unlisten?.();
    this.#resolve(this.#take(reply));
  }

  fail(error: Error): void {
    this.unlisten?.();
    this.#reject(error);
  }
}

function brokenError(): LogError {
  return new LogError("LOG_UNAVAILABLE", "the connection broke while the server was at it; start it again", {
    retryable: true,
  });
}
