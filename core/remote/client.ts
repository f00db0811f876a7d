/**
 * A log that another process has: the same `Log` and `LogBook`, over a connection that may break and come back.
 *
 * Appends go through the Outbox, everything else through Calls; records that came are remembered.
 */
import { onAbort } from "../abort.js";
import { Appender } from "../appender.js";
import { checkName, checkOptions, checkSeqNum, checkSignal, checkSubscriber, checkTag, show } from "../check.js";
import { GivenRecord, headOf, makeRecord } from "../engine/record.js";
import { abortedError, closedError, type LogError } from "../errors.js";
import { limits } from "../limits.js";
import { checkNext, checkPrev, type Next, type Prev, type Read } from "../read-options.js";
import { sessionId } from "../session-id.js";
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
  LogRecord,
  LogStats,
  LongOptions,
  Progress,
  Recovered,
  RecordHead,
  SeqNum,
  Subscriber,
  Subscription,
  TrimOptions,
  Verified,
} from "../types.js";
import { folderOf } from "../url.js";
import { Calls } from "./calls.js";
import { Connection, type ConnectionOptions, type Speaker } from "./connection.js";
import { errorOf } from "./fault.js";
import { Following } from "./following.js";
import { Memory } from "./memory.js";
import { Outbox, timeoutError } from "./outbox.js";
import { Reading } from "./reading.js";
import { spanned, traced } from "./tracing/client-spans.js";
import type { LongReply, Reply, Request, Response, ServerFrame, Welcome, WireRecord } from "./wire.js";

const signalOptions = new Set(["signal"]);
const trimOptions = new Set(["upTo", "tag", "signal"]);
const longOptions = new Set(["signal", "onProgress"]);
const nothing = Promise.resolve(undefined);

export interface ClientOptions extends ConnectionOptions {
  readonly cacheBytes: number;
  readonly auxBytes: number;
}

export class RemoteLog implements Log, Speaker {
  readonly url: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly timeoutMs: number;
  readonly #connection: Connection;
  readonly outbox: Outbox;
  readonly calls: Calls;
  readonly memory: Memory;
  #followings: readonly Following[] = [];
  #welcome!: Welcome;
  #closing: Promise<void> | undefined;

  private constructor(url: string, options: ClientOptions, seen: { id: string; position: number }) {
    this.url = url;
    this.clock = options.clock;
    this.random = options.random;
    this.timeoutMs = options.timeoutMs;
    this.#connection = new Connection(url, options, seen);
    this.memory = new Memory(options.cacheBytes, options.auxBytes);
    this.outbox = new Outbox(this.#connection, options);
    this.calls = new Calls(this.#connection, options.clock, options.timeoutMs);
    // Records, then the answers to the appends that made them; how far trims reach at the end.
    for (const speaker of [this, this.outbox, this.calls, this.memory]) this.#connection.add(speaker);
  }

  static async open(
    url: string,
    options: ClientOptions,
    seen: { id: string; position: number },
    signal?: AbortSignal,
  ): Promise<RemoteLog> {
    if (signal?.aborted === true) throw abortedError(signal);
    const log = new RemoteLog(url, options, seen);
    const stop = onAbort(signal, () => log.#connection.fail(abortedError(signal!)));
    try {
      log.#welcome = await log.#connection.open();
      return log;
    } finally {
      stop();
    }
  }

  get id(): string {
    return this.#welcome.log;
  }

  get durability(): Durability {
    return this.#welcome.durability as Durability;
  }

  get limits(): Limits {
    return limits;
  }

  get recovered(): Recovered | undefined {
    return undefined;
  }

  get session(): string {
    return sessionId(this.#connection.seen);
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  book(name: string): LogBook {
    checkName("the name of a book", name, limits.bookNameBytes);
    return traced(new RemoteBook(this, name));
  }

  beforeFlush(fn: () => void): void {
    if (typeof fn !== "function") throw new TypeError(`beforeFlush takes a function, not ${show(fn)}`);
    if (this.closed) throw closedError();
    this.#connection.beforeFlush(fn);
  }

  async books(options?: { readonly signal?: AbortSignal | undefined }): Promise<string[]> {
    const { books } = await this.#ask("books", { books: {} }, options);
    return books?.books ?? [];
  }

  async stats(options?: { readonly signal?: AbortSignal | undefined }): Promise<LogStats> {
    const { stats = {} } = await this.#ask("stats", { stats: {} }, options);
    const { checkpointFault, records = 0, entries = 0, tags = 0, indexBytes = 0, tagBytes = 0 } = stats;
    const { logBytes = 0, diskBytes = 0, batches = 0, syncMs = 0 } = stats;
    return {
      records,
      entries,
      tags,
      indexBytes,
      tagBytes,
      logBytes,
      diskBytes,
      ...this.memory.stats(),
      appendsWaiting: this.outbox.waiting,
      readsWaiting: this.calls.waiting,
      batches,
      checkpointFault: checkpointFault === undefined ? undefined : errorOf(checkpointFault),
      syncMs,
    };
  }

  async checkpoint(options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    await this.#ask("checkpoint", { checkpoint: {} }, options);
  }

  async #ask(
    what: string,
    request: Request,
    options: { readonly signal?: AbortSignal | undefined } | undefined,
    bounded = true,
  ): Promise<Response> {
    checkOptions(what, options, signalOptions);
    this.checkWaiting(options?.signal);
    return spanned(what, () => this.calls.ask(request, { signal: options?.signal, bounded }));
  }

  async verify(options: LongOptions = {}): Promise<Verified> {
    const { verified = {} } = await this.#long("verify", { verify: {} }, options);
    const { ok = false, records = 0, bytes = 0, damage = [], torn } = verified;
    return {
      ok,
      records,
      bytes,
      damage: damage.map(({ file, offset = 0, position, what, harmless = false }) => ({
        file,
        offset,
        position,
        what,
        harmless,
      })),
      torn: torn === undefined ? undefined : { bytes: torn.bytes ?? 0, position: torn.position ?? 0 },
    };
  }

  async backup(directory: string, options: LongOptions = {}): Promise<BackedUp> {
    const { backedUp = {} } = await this.#long("backup", { backup: { directory: folderOf(directory) } }, options);
    const { records = 0, bytes = 0, position = 0 } = backedUp;
    return { records, bytes, position };
  }

  /** Long work of the server; it is not begun again when the link breaks. */
  async #long(what: string, request: Request, options: LongOptions): Promise<LongReply> {
    checkOptions(what, options ?? null, longOptions);
    const { signal, onProgress } = options;
    if (onProgress !== undefined && typeof onProgress !== "function")
      throw new TypeError(`onProgress must be a function, not ${show(onProgress)}`);
    this.checkWaiting(signal);
    const ask = (): Promise<LongReply> =>
      new Promise((resolve, reject) => {
        const id = this.calls.add(
          {
            request: (isAgain) => (isAgain ? undefined : request),
            hear: ({ long = {}, last }: Reply) => {
              if (last) over(resolve, long);
              // Else the server is still at it.
              else if (long.progress !== undefined) report(long.progress);
            },
            fail: (error) => over(reject, error),
          },
          true,
        );
        const stop = onAbort(signal, () => giveUp(abortedError(signal!)));
        const over = <T>(settle: (value: T) => void, value: T): void => {
          stop();
          settle(value);
        };
        const giveUp = (error: unknown): void => {
          this.calls.end(id);
          over(reject, error);
        };
        const report = ({ done = 0, total = 0 }: Partial<Progress>): void => {
          try {
            onProgress?.({ done, total });
          } catch (error) {
            giveUp(error);
          }
        };
      });
    return spanned(what, ask);
  }

  checkWaiting(signal: AbortSignal | undefined): void {
    checkSignal("signal", signal);
    if (signal?.aborted === true) throw abortedError(signal);
    if (this.closed) throw closedError();
  }

  async subscribe(book: string, subscriber: Subscriber): Promise<Subscription> {
    const following = new Following(this.calls, book, subscriber, (ended) => {
      this.#followings = this.#followings.filter((one) => one !== ended);
    });
    this.#followings = [...this.#followings, following];
    return following.start();
  }

  /** Resolves when the subscribers to a book know of all gaps. */
  async resumed(book: string): Promise<void> {
    for (const following of this.#followings) if (following.book === book) await following.resumed;
  }

  opened(): void {
    // Subscriptions are calls, and asked again as such.
  }

  speak(): void {
    // It only listens.
  }

  hear({ fed }: ServerFrame): void {
    if (fed === undefined) return;
    for (const { id, record, ownWriter, ownN } of fed) {
      const following = this.#followings.find((one) => one.id === id);
      if (following === undefined) continue;
      const own = ownN === undefined ? undefined : this.outbox.find(ownWriter!, ownN);
      const { seqnum, time, tags = [], size = 0, data = new Uint8Array(0) } = record;
      following.record(
        own === undefined ? makeRecord({ seqnum, time, tags, size }, data) : new GivenRecord(own, seqnum, time),
      );
    }
  }

  failed(): void {
    // Those who wait are told by the outbox and the calls.
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.calls.failed(closedError());
    await this.outbox.drained();
    await this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class RemoteBook implements LogBook {
  readonly name: string;
  readonly log: RemoteLog;
  readonly #appender: Appender;

  constructor(log: RemoteLog, name: string) {
    this.log = log;
    this.name = name;
    this.#appender = new Appender(log, log.outbox, Buffer.from(name));
  }

  get calls(): Calls {
    return this.log.calls;
  }

  expire(fn: (error: LogError) => void): () => void {
    const { clock, timeoutMs } = this.log;
    return clock.setTimer(timeoutMs, () => fn(timeoutError(timeoutMs)));
  }

  get trimReach(): SeqNum {
    return this.log.memory.reach(this.name);
  }

  checkOpen(signal: AbortSignal | undefined): void {
    this.log.checkWaiting(signal);
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

  // One implementation serves the overloads of the contract, which differ in what they resolve to.
  readNext(options: Next = {}): Promise<never> {
    try {
      checkNext(options);
      const { tag, from = 0, head, wait, timeoutMs, signal } = options;
      if (tag !== undefined) checkTag(tag);
      this.checkOpen(signal);
      const known = from === 0 ? undefined : this.log.memory.find(this.name, tag, from);
      if (known !== undefined) return Promise.resolve(head === true ? headOf(known) : known) as Promise<never>;
      // Who waits no time at all looks whether there is one.
      const waits = wait === true && timeoutMs !== 0;
      const request = { readNext: { book: this.name, tag, from, head, wait: waits || undefined } };
      if (!waits) return this.#find(request, head, signal) as Promise<never>;
      return this.#wait(request, head, signal, timeoutMs) as Promise<never>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  readPrev(options: Prev = {}): Promise<never> {
    try {
      checkPrev(options);
      const { tag, upTo, head, signal } = options;
      if (tag !== undefined) checkTag(tag);
      this.checkOpen(signal);
      if (upTo === 0) return nothing as Promise<never>;
      const known = upTo === undefined ? undefined : this.log.memory.find(this.name, tag, upTo);
      if (known !== undefined) return Promise.resolve(head === true ? headOf(known) : known) as Promise<never>;
      const request = { readPrev: { book: this.name, tag, upTo, head } };
      return this.#find(request, head, signal) as Promise<never>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #find(
    request: Request,
    head: boolean | undefined,
    signal: AbortSignal | undefined,
    bounded = true,
  ): Promise<LogRecord | RecordHead | undefined> {
    return this.calls.ask(request, { signal, bounded }, ({ record }) =>
      record?.record === undefined ? undefined : this.take(record.record, head),
    );
  }

  /** The time is measured here: what the way takes counts too. */
  async #wait(
    request: Request,
    head: boolean | undefined,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
  ): Promise<LogRecord | RecordHead | undefined> {
    if (timeoutMs === undefined) return this.#find(request, head, signal, false);
    const over = new AbortController();
    const cancel = this.log.clock.setTimer(timeoutMs, () => over.abort());
    const stop = onAbort(signal, () => over.abort());
    try {
      return await this.#find(request, head, over.signal, false);
    } catch (error) {
      if (signal?.aborted === true) throw abortedError(signal);
      if (over.signal.aborted) return undefined;
      throw error;
    } finally {
      cancel();
      stop();
    }
  }

  take(record: WireRecord, head: boolean | undefined): LogRecord | RecordHead {
    if (head !== true) return this.log.memory.take(this.name, record);
    const { seqnum, time, tags = [], size = 0 } = record;
    const aux = this.log.memory.aux(this.name, seqnum);
    return Object.freeze({
      seqnum,
      time,
      tags: Object.freeze(tags),
      size,
      ...(aux === undefined ? undefined : { aux }),
    });
  }

  read(options: Read = {}): AsyncIterableIterator<never> {
    return new Reading(this, options) as AsyncIterableIterator<RecordHead> as AsyncIterableIterator<never>;
  }

  async subscribe(subscriber: Subscriber): Promise<Subscription> {
    checkSubscriber(subscriber);
    this.checkOpen(undefined);
    return this.log.subscribe(this.name, subscriber);
  }

  async tail(options?: { readonly signal?: AbortSignal | undefined }): Promise<SeqNum> {
    return this.#tail("tail", false, options);
  }

  async sync(options?: { readonly signal?: AbortSignal | undefined }): Promise<SeqNum> {
    return this.#tail("sync", true, options);
  }

  async #tail(
    what: string,
    sync: boolean,
    options: { readonly signal?: AbortSignal | undefined } | undefined,
  ): Promise<SeqNum> {
    checkOptions(what, options, signalOptions);
    this.checkOpen(options?.signal);
    const { tail } = await this.calls.ask(
      { tail: { book: this.name, sync } },
      { signal: options?.signal, bounded: true },
    );
    // Who subscribes must know of all below it too, and does but for gaps.
    if (sync) await this.log.resumed(this.name);
    return tail!.tail!;
  }

  setAux(seqnum: SeqNum, bytes: Uint8Array): void {
    checkSeqNum("seqnum", seqnum);
    if (!(bytes instanceof Uint8Array))
      throw new TypeError(`aux data must be a Uint8Array or Buffer, not ${show(bytes)}`);
    if (this.log.closed) throw closedError();
    this.log.memory.setAux(this.name, seqnum, bytes);
  }

  async trim(options: TrimOptions): Promise<void> {
    checkOptions("trim", options ?? null, trimOptions);
    const { upTo, tag, signal } = options;
    checkSeqNum("upTo", upTo);
    if (tag !== undefined) checkTag(tag);
    this.checkOpen(signal);
    await this.calls.change({ trim: { book: this.name, tag, upTo } }, signal);
  }

  async drop(options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    checkOptions("drop", options, signalOptions);
    this.checkOpen(options?.signal);
    // The server says what the horizon is.
    await this.#appender.drop(0, options?.signal);
  }
}
