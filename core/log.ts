/**
 * A session: one opened log over an engine, which other sessions of the process may share. Checks arguments, keeps its own
 * waits, and leaves everything else to the engine.
 */
import { orAborted } from "./abort.js";
import { Appender } from "./appender.js";
import { checkName, checkOptions, checkSeqNum, checkSignal, checkSubscriber, checkTag, show } from "./check.js";
import { Audit } from "./engine/audit.js";
import type { Engine } from "./engine/engine.js";
import { abortedError, closedError } from "./errors.js";
import { limits } from "./limits.js";
import { Reader } from "./reader.js";
import { type Seen, sessionId } from "./session-id.js";
import type {
  AppendInput,
  AppendOptions,
  AppendResult,
  BackedUp,
  Clock,
  ConditionalAppendOptions,
  Durability,
  Limits,
  Log,
  LogBook,
  LogStats,
  LongOptions,
  Recovered,
  SeqNum,
  Subscriber,
  Subscription,
  TrimOptions,
  Verified,
} from "./types.js";
import { folderOf } from "./url.js";

export class Session implements Log {
  readonly url: string;
  readonly engine: Engine;
  readonly #release: () => Promise<void>;
  #closing: Promise<void> | undefined;
  /** Long work under way, and what ends it. */
  readonly #working = new Set<Promise<unknown>>();
  readonly #ended = new AbortController();

  constructor(url: string, engine: Engine, release: () => Promise<void>) {
    this.url = url;
    this.engine = engine;
    this.#release = release;
  }

  get id(): string {
    return this.engine.loglet.id;
  }

  get durability(): Durability {
    return this.engine.loglet.durability;
  }

  get limits(): Limits {
    return limits;
  }

  get recovered(): Recovered | undefined {
    return this.engine.loglet.recovered;
  }

  get session(): string {
    return sessionId(this.seen);
  }

  get seen(): Seen {
    return { id: this.id, position: this.engine.applied };
  }

  get clock(): Clock {
    return this.engine.clock;
  }

  get random(): () => number {
    return this.engine.random;
  }

  async books(options?: { readonly signal?: AbortSignal | undefined }): Promise<string[]> {
    checkOptions("books", options, signalOptions);
    this.checkWaiting(options?.signal);
    return this.engine.state.bookNames();
  }

  async checkpoint(options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    checkOptions("checkpoint", options, signalOptions);
    checkSignal("signal", options?.signal);
    if (this.closed) throw closedError();
    await orAborted(this.engine.checkpoint(), options?.signal);
    const { checkpointFault } = this.engine.stats();
    if (checkpointFault !== undefined) throw checkpointFault;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Whether a call that takes a signal may begin. */
  checkWaiting(signal: AbortSignal | undefined): void {
    checkSignal("signal", signal);
    if (signal?.aborted === true) throw abortedError(signal);
    if (this.closed) throw closedError();
  }

  book(name: string): LogBook {
    checkName("the name of a book", name, limits.bookNameBytes);
    return new Book(this, name);
  }

  async stats(options?: { readonly signal?: AbortSignal | undefined }): Promise<LogStats> {
    checkOptions("stats", options, signalOptions);
    this.checkWaiting(options?.signal);
    return this.engine.stats();
  }

  beforeFlush(fn: () => void): void {
    if (typeof fn !== "function") throw new TypeError(`beforeFlush takes a function, not ${show(fn)}`);
    if (this.closed) throw closedError();
    this.engine.beforeFlush(fn);
  }

  verify(options: LongOptions = {}): Promise<Verified> {
    return this.#long("verify", options, async (ending) => {
      const { engine } = this;
      const { loglet } = engine;
      if (loglet.verify === undefined) {
        const { records } = engine.state;
        return { ok: true, records, bytes: loglet.stats().logBytes, damage: [], torn: undefined };
      }
      return loglet.verify(new Audit(loglet.base), await engine.copyState(), ending);
    });
  }

  backup(directory: string, options: LongOptions = {}): Promise<BackedUp> {
    return this.#long("backup", options, async (ending) => {
      const { engine } = this;
      const folder = folderOf(directory);
      if (engine.loglet.backup === undefined)
        throw new TypeError(`${this.url} is in memory; only a log in a folder can be backed up`);
      // A new checkpoint, so that what is made of the backup opens quickly.
      await engine.checkpoint();
      const facts = (): { records: number; time: number } => ({
        records: engine.state.records,
        time: engine.state.time,
      });
      return engine.loglet.backup(folder, facts, ending);
    });
  }

  /** Long work on the log; it ends with `LOG_CLOSED` when this session closes. */
  async #long<T>(what: string, options: LongOptions, work: (options: LongOptions) => Promise<T>): Promise<T> {
    checkOptions(what, options ?? null, longOptions);
    const { signal, onProgress } = options;
    checkSignal("signal", signal);
    if (onProgress !== undefined && typeof onProgress !== "function")
      throw new TypeError(`onProgress must be a function, not ${show(onProgress)}`);
    if (signal?.aborted === true) throw abortedError(signal);
    if (this.closed) throw closedError();
    const ended = signal === undefined ? this.#ended.signal : AbortSignal.any([signal, this.#ended.signal]);
    const working = work({ signal: ended, onProgress });
    this.#working.add(working);
    try {
      return await working;
    } finally {
      this.#working.delete(working);
    }
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.engine.waiters.fail(closedError(), this);
    this.engine.subscribers.end(closedError(), this);
    this.#ended.abort(closedError());
    await Promise.allSettled(this.#working);
    await this.engine.drained();
    await this.#release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const longOptions = new Set(["signal", "onProgress"]);
const signalOptions = new Set(["signal"]);
const trimOptions = new Set(["upTo", "tag", "signal"]);
export class Book extends Reader implements LogBook {
  readonly name: string;
  readonly log: Session;
  readonly #nameBytes: Uint8Array;
  readonly #appender: Appender;

  constructor(log: Session, name: string) {
    const nameBytes = Buffer.from(name);
    super(log, nameBytes);
    this.log = log;
    this.name = name;
    this.#nameBytes = nameBytes;
    this.#appender = new Appender(log, log.engine, nameBytes);
  }

  append(data: Uint8Array, options: AppendOptions | ConditionalAppendOptions): Promise<never> {
    return this.#appender.append(data, options);
  }

  appendAll(
    inputs: readonly AppendInput[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<AppendResult[]> {
    return this.#appender.appendAll(inputs, options);
  }

  async trim(options: TrimOptions): Promise<void> {
    checkOptions("trim", options ?? null, trimOptions);
    const { upTo, tag, signal } = options;
    checkSeqNum("upTo", upTo);
    if (tag !== undefined) checkTag(tag);
    this.log.checkWaiting(signal);
    const tail = await this.log.engine.loglet.tail();
    if (upTo >= tail) {
      throw new RangeError(
        `upTo ${upTo} is not below the tail ${tail}; trim up to a record that is there, or drop the book`,
      );
    }
    if (upTo > this.trimPoint(tag)) await this.#appender.trim(upTo, tag, this.log.engine.state.horizon, signal);
  }

  async drop(options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    checkOptions("drop", options, signalOptions);
    this.log.checkWaiting(options?.signal);
    await this.#appender.drop(this.log.engine.state.horizon, options?.signal);
  }

  tail(options?: { readonly signal?: AbortSignal | undefined }): Promise<SeqNum> {
    try {
      checkOptions("tail", options, signalOptions);
      this.log.checkWaiting(options?.signal);
      return this.log.engine.loglet.tail();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  sync(options?: { readonly signal?: AbortSignal | undefined }): Promise<SeqNum> {
    try {
      checkOptions("sync", options, signalOptions);
      this.log.checkWaiting(options?.signal);
      return this.syncTo(options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async subscribe(subscriber: Subscriber): Promise<Subscription> {
    checkSubscriber(subscriber);
    if (this.log.closed) throw closedError();
    const { applied, state } = this.log.engine;
    return { position: applied, time: state.time, stop: this.listen(subscriber, this.log) };
  }

  /** Gives `subscriber` each record from the next one on; returns the function that ends it. */
  listen(subscriber: Subscriber, owner: object): () => void {
    return this.log.engine.subscribers.add(subscriber, this.#nameBytes, owner);
  }

  /** No record of the book above this position was ever removed. */
  get trimReach(): SeqNum {
    return this.log.engine.state.trimReach(this.number);
  }

  setAux(seqnum: SeqNum, bytes: Uint8Array): void {
    checkSeqNum("seqnum", seqnum);
    if (!(bytes instanceof Uint8Array))
      throw new TypeError(`aux data must be a Uint8Array or Buffer, not ${show(bytes)}`);
    if (this.log.closed) throw closedError();
    this.log.engine.setAux(this.number, seqnum, bytes);
  }
}
