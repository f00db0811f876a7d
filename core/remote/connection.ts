/**
 * The client's way to the server, which may break and come back: connects with back-off, greets, gives frames to whom they concern,
 * and collects what one turn of the event loop has to say into one frame.
 *
 *     connecting -> greeting -> open -> connecting ...          closed or failed from any of them, for good
 */
import { closedError, LogError } from "../errors.js";
import type { Clock } from "../types.js";
import type { Seen } from "../session-id.js";
import { protocolVersion, type ServerFrame, type SpokenFrame, type Welcome } from "./wire.js";

/** Waits between attempts, ms: doubled from the first to the last, the half of it by chance. */
const retryMsMin = 20;
const retryMsMax = 2000;
/** A call that begins when the server is back finds it before its time is over: it has this many attempts at least. */
const attemptsInTime = 4;

/** One connection. */
export interface Link {
  /** False: no more until `drain`. */
  send(frame: SpokenFrame): boolean;
  close(): void;
}

export interface LinkEvents {
  frame(frame: ServerFrame): void;
  drain(): void;
  /** The last call. `LOG_UNAVAILABLE` where another attempt may go well. */
  closed(error: LogError): void;
}

/** Makes a connection. What it throws is as if the link had closed with that. */
export type Connect = (events: LinkEvents) => Promise<Link>;

/** Somebody with something to say. */
export interface Speaker {
  /** The link is open, the first time or again: what is unanswered is to be said again. */
  opened(): void;
  /** Adds what there is to the frame. */
  speak(frame: SpokenFrame): void;
  hear(frame: ServerFrame): void;
  /** Nothing will come any more. */
  failed(error: LogError): void;
}

export interface ConnectionOptions {
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: () => number;
  /** How long the first attempts may take, and how long a call waits for its answer, ms. */
  readonly timeoutMs: number;
  /** The longest wait between two attempts, ms. */
  readonly retryMs?: number | undefined;
  /** Gives back what connecting has taken; called once, after the last link has closed. */
  readonly dispose?: (() => Promise<void>) | undefined;
}

export class Connection {
  readonly #url: string;
  readonly #options: ConnectionOptions;
  readonly #retryMsMax: number;
  readonly #speakers: Speaker[] = [];
  #link: Link | undefined;
  #state: "connecting" | "greeting" | "open" | "ended" = "connecting";
  #isWritable = true;
  #isScheduled = false;
  #retryMs = retryMsMin;
  #cancelRetry: (() => void) | undefined;
  readonly #hooks: (() => void)[] = [];
  /** Why the last link broke. */
  #broke: LogError | undefined;
  #fault: LogError | undefined;
  /** The log that was met, and how far it was seen. */
  seen: Seen;
  #opening: { resolve: (welcome: Welcome) => void; reject: (error: LogError) => void } | undefined;

  constructor(url: string, options: ConnectionOptions, seen: Seen) {
    this.#url = url;
    this.#options = options;
    const { retryMs = retryMsMax, timeoutMs } = options;
    this.#retryMsMax = Math.max(retryMsMin, Math.min(retryMs, timeoutMs / attemptsInTime));
    this.seen = seen;
  }

  /** Why nothing goes over it any more. */
  get fault(): LogError | undefined {
    return this.#fault;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  add(speaker: Speaker): void {
    this.#speakers.push(speaker);
  }

  /** Resolves at the first welcome. Rejects with `LOG_UNAVAILABLE` after `timeoutMs`, or with why the server refused. */
  open(): Promise<Welcome> {
    return new Promise((resolve, reject) => {
      const { clock, timeoutMs } = this.#options;
      const clear = clock.setTimer(timeoutMs, () => {
        const why =
          this.#broke?.message ??
          `${this.#url} gave no answer within ${timeoutMs} ms; look whether a log is served there and who serves it is not stopped or busy, or give a longer timeoutMs`;
        this.fail(new LogError("LOG_UNAVAILABLE", why, { retryable: true, cause: this.#broke }));
      });
      this.#opening = {
        resolve: (welcome) => {
          clear();
          resolve(welcome);
        },
        reject: (error) => {
          clear();
          void Promise.resolve(this.#options.dispose?.()).finally(() => reject(error));
        },
      };
      this.#connect();
    });
  }

  #connect(): void {
    this.#state = "connecting";
    let link: Link | undefined;
    let isOver = false;
    const over = (error: LogError): void => {
      if (isOver) return;
      isOver = true;
      if (link === undefined || link === this.#link) this.#broken(error);
    };
    const events: LinkEvents = {
      frame: (frame) => {
        if (!isOver && link === this.#link) this.#hear(frame);
      },
      drain: () => {
        if (isOver || link !== this.#link) return;
        this.#isWritable = true;
        this.schedule();
      },
      closed: over,
    };
    this.#options.connect(events).then((made) => {
      link = made;
      if (isOver || this.#state === "ended") {
        made.close();
        return;
      }
      this.#link = made;
      this.#state = "greeting";
      this.#isWritable = made.send({
        hello: { version: protocolVersion, log: this.seen.id, seen: this.seen.position },
      });
    }, over);
  }

  #hear(frame: ServerFrame): void {
    if (frame.welcome !== undefined) this.#welcome(frame.welcome);
    if (frame.applied !== undefined && frame.applied > this.seen.position)
      this.seen = { id: this.seen.id, position: frame.applied };
    for (const speaker of this.#speakers) speaker.hear(frame);
  }

  #welcome(welcome: Welcome): void {
    this.seen = { id: welcome.log, position: Math.max(this.seen.position, welcome.applied ?? 0) };
    this.#state = "open";
    this.#retryMs = retryMsMin;
    this.#opening?.resolve(welcome);
    this.#opening = undefined;
    for (const speaker of this.#speakers) speaker.opened();
    this.schedule();
  }

  #broken(error: LogError): void {
    if (this.#state === "ended") return;
    this.#link = undefined;
    this.#broke = error;
    if (error.code !== "LOG_UNAVAILABLE") {
      this.fail(error);
      return;
    }
    this.#state = "connecting";
    setImmediate(this.#callHooks);
    const wait = this.#retryMs * (0.5 + this.#options.random() / 2);
    this.#retryMs = Math.min(this.#retryMsMax, 2 * this.#retryMs);
    this.#cancelRetry = this.#options.clock.setTimer(wait, () => this.#connect());
  }

  /** Something is to be said at the end of this turn. */
  schedule(): void {
    if (this.#isScheduled || this.#state !== "open" || !this.#isWritable) return;
    this.#isScheduled = true;
    setImmediate(this.#speak);
  }

  /** Calls `fn` before the next frame; where there is no connection, at the end of this turn: what it appends may have to fail. */
  beforeFlush(fn: () => void): void {
    this.#hooks.push(fn);
    if (this.#state === "open") this.schedule();
    else setImmediate(this.#callHooks);
  }

  readonly #callHooks = (): void => {
    for (const hook of this.#hooks.splice(0)) hook();
  };

  readonly #speak = (): void => {
    this.#isScheduled = false;
    if (this.#state !== "open" || !this.#isWritable) return;
    if (this.#hooks.length > 0) this.#callHooks();
    const frame: SpokenFrame = {};
    for (const speaker of this.#speakers) speaker.speak(frame);
    for (const _ in frame) {
      this.#isWritable = this.#link!.send(frame);
      break;
    }
  };

  /** Ends it for good: everybody who waits is told why. */
  fail(error: LogError): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#fault = error;
    this.#cancelRetry?.();
    this.#link?.close();
    this.#link = undefined;
    this.#opening?.reject(error);
    this.#opening = undefined;
    for (const speaker of this.#speakers) speaker.failed(error);
    setImmediate(this.#callHooks);
  }

  async close(): Promise<void> {
    this.fail(closedError());
    await this.#options.dispose?.();
  }
}
