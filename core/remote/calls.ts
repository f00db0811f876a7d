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
import type { Call, ClientFrame, Credit, Reply, Request, Response, ServerFrame } from "./wire.js";

export interface Listener {
  /** What to ask, now and after each break. Undefined: it is not to be asked again, and fails. */
  request(isAgain: boolean): Request | undefined;
  /** A reply, the last one if `reply.last`. Faults come to `fail`. */
  hear(reply: Reply): void;
  fail(error: Error): void;
}

interface Asked extends Numbered {
  readonly listener: Listener;
  readonly deadline: number;
  isAgain: boolean;
}

export class Calls implements Speaker {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #asked = new Ring<Asked>();
  #unsaid: number[] = [];
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

  /** Asks; `bounded`: within the timeout. Returns the call's id. */
  add(listener: Listener, bounded: boolean): number {
    const { fault } = this.#connection;
    if (fault !== undefined) throw fault;
    const deadline = bounded ? this.#clock.monotonic() + this.#timeoutMs : Infinity;
    const id = this.#asked.add({ number: 0, listener, deadline, isAgain: false });
    this.#unsaid.push(id);
    if (bounded) this.#cancelTimer ??= this.#clock.setTimer(this.#timeoutMs, this.#expire, true);
    this.#connection.schedule();
    return id;
  }

  /** Nobody waits for it any more. */
  end(id: number): void {
    if (!this.#asked.delete(id)) return;
    this.#ended.push(id);
    this.#connection.schedule();
  }

  credit(id: number, bytes: number): void {
    this.#credits.push({ id, bytes });
    this.#connection.schedule();
  }

  /** A question with one answer, of which `take` makes the result. `bounded`: within the timeout; without, it may wait for ever. */
  ask<T = Response>(
    request: Request,
    options: { readonly signal?: AbortSignal | undefined; bounded: boolean },
    take = (response: Response): T => response as T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const { signal, bounded } = options;
      const question = new Question(request, take, resolve, reject);
      const id = this.add(question, bounded);
      if (signal === undefined) return;
      question.unlisten = onAbort(signal, () => {
        this.end(id);
        reject(abortedError(signal));
      });
    });
  }

  opened(): void {
    this.#ended = [];
    this.#credits = [];
    this.#unsaid = this.#asked.entries().map(([id]) => id);
  }

  speak(frame: ClientFrame): void {
    if (this.#unsaid.length > 0) {
      const unsaid = this.#unsaid;
      this.#unsaid = [];
      const calls: Call[] = [];
      for (const id of unsaid) {
        const asked = this.#asked.get(id);
        if (asked === undefined) continue;
        const request = asked.listener.request(asked.isAgain);
        asked.isAgain = true;
        if (request !== undefined) calls.push({ id, ...request });
        else this.#fail(id, brokenError());
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
        asked.listener.hear(reply);
      }
    }
  }

  #fail(id: number, error: Error): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    asked?.listener.fail(error);
  }

  readonly #expire = (): void => {
    this.#cancelTimer = undefined;
    const now = this.#clock.monotonic();
    for (const [id, { listener, deadline }] of this.#asked.entries()) {
      if (deadline === Infinity) continue;
      if (deadline > now) {
        this.#cancelTimer = this.#clock.setTimer(deadline - now, this.#expire, true);
        return;
      }
      this.end(id);
      listener.fail(timeoutError(this.#timeoutMs));
    }
  };

  failed(error: LogError): void {
    this.#cancelTimer?.();
    for (const [id] of this.#asked.entries()) this.#fail(id, error);
  }
}

class Question<T> implements Listener {
  readonly #request: Request;
  readonly #take: (response: Response) => T;
  readonly #resolve: (result: T) => void;
  readonly #reject: (error: Error) => void;
  /** Ends the listening to a signal. */
  unlisten: (() => void) | undefined;

  constructor(
    request: Request,
    take: (response: Response) => T,
    resolve: (result: T) => void,
    reject: (error: Error) => void,
  ) {
    this.#request = request;
    this.#take = take;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  request(): Request {
    return this.#request;
  }

  hear(reply: Reply): void {
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
