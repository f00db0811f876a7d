/**
 * The engine: gives appends to a loglet in call order, follows its feed, and answers reads from what it has applied.
 *
 * E1  Its state is a function of the entries applied: live and at reopening they take the same path, from the same bytes.
 * E2  An entry is applied only once it is durable, so no read shows a record that could still be lost (L4).
 * E3  Appends are handed over as late as possible: whatever is there when the loglet can take the next batch.
 * E4  What a broken hand-over leaves unanswered is given again, in order, under the same numbers (L8).
 *
 * Called by sessions (log.ts); calls a Loglet, the State, the caches and the waiters.
 */
import { closedError, LogError, trimmedError } from "../errors.js";
import { limits } from "../limits.js";
import type { Batch, Loglet, Sink, StoredEntry } from "../loglet/loglet.js";
import type { AppendResult, Clock, LogRecord, LogStats, SeqNum } from "../types.js";
import type { Pending } from "./append.js";
import { ByteCache, recordBytes } from "./caches.js";
import { dumpState, loadState } from "./checkpoint.js";
import { HeaderWriter } from "./entry.js";
import { decodeRecord, withAux } from "./record.js";
import { State } from "./state.js";
import { Subscribers } from "./subscribers.js";
import { Waiters } from "./waiters.js";
import { type Decision, writerMs } from "./writers.js";

/** Waits between hand-overs that break, ms: doubled from the first to the last. */
const retryMsMin = 10;
const retryMsMax = 1000;

/** A checkpoint is due after so many entries or bytes, or this part of those that are live. */
const checkpointEntries = 100_000;
const checkpointBytes = 64 << 20;
const checkpointPart = 1 / 32;
/** The same when the log is closed. */
const closeEntries = 1000;
const closePart = 1 / 100;

export interface EngineOptions {
  readonly cacheBytes: number;
  readonly auxBytes: number;
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
}

export class Engine implements Sink {
  readonly loglet: Loglet;
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
  readonly waiters = new Waiters();
  readonly subscribers = new Subscribers();
  readonly headers = new HeaderWriter();
  readonly state: State;
  readonly #records: ByteCache<LogRecord>;
  readonly #aux: ByteCache<Uint8Array>;

  #queue: Pending[] = [];
  /** Of the batches under way: refused because the log has forgotten their writer, to be given by another. */
  #anew: Pending[] = [];
  #queueBytes = 0;
  /** Some in the queue were given up: it must be looked through. */
  #queueHoles = false;
  #underWay = 0;
  #pumping = false;
  #hooks: (() => void)[] = [];
  #idle: (() => void)[] = [];
  #fault: LogError | undefined;
  #retryMs = retryMsMin;
  /** What the last checkpoint covers, and the one being written. */
  #checkpointed: { readonly entries: number; readonly bytes: number; readonly records: number };
  #checkpointing: Promise<void> | undefined;
  #checkpointFault: LogError | undefined;
  /** Room being given back. */
  #releasing: Promise<void> | undefined;
  #releaseFault: LogError | undefined;
  readonly #closing = new AbortController();

  /** The writer that this engine is, the last number that it gave, and the last whose decision it knows. */
  #writer = 0;
  #n = 0;
  #answered = 0;
  #gaveAt = 0;

  private constructor(loglet: Loglet, options: EngineOptions, state: State | undefined) {
    this.loglet = loglet;
    this.clock = options.clock;
    this.random = options.random;
    this.#records = new ByteCache(options.cacheBytes);
    this.#aux = new ByteCache(options.auxBytes);
    this.state = state ?? new State(loglet.base);
    this.#checkpointed = { entries: this.state.entries, bytes: this.state.bytes, records: this.state.records };
  }

  /** An engine that has applied all that is in the loglet. */
  static async start(loglet: Loglet, options: EngineOptions): Promise<Engine> {
    const stored = await loglet.latestCheckpoint();
    const engine = new Engine(loglet, options, stored && loadState(stored.state));
    await loglet.subscribe(engine.applied + 1, engine, engine.state.time);
    return engine;
  }

  /** The position of the last entry applied. */
  get applied(): SeqNum {
    return this.state.applied;
  }

  /** Why it takes no more appends. */
  get fault(): LogError | undefined {
    return this.#fault;
  }

  // Appending

  append(append: Pending): void {
    if (this.#fault !== undefined) {
      append.fail(this.#refusal());
      return;
    }
    this.#queue.push(append);
    this.#queueBytes += append.size;
    if (!this.#pumping) this.#pump();
  }

  /** Gives up appends: those not yet handed over will never appear. */
  abandon(appends: readonly Pending[], error: LogError): void {
    for (const append of appends) append.fail(error);
    this.#queueHoles = true;
  }

  /** Calls `fn` once, just before the next batch is taken. */
  beforeFlush(fn: () => void): void {
    this.#hooks.push(fn);
    if (!this.#pumping) this.#pump();
  }

  /** Resolves when all that was accepted is decided. */
  drained(): Promise<void> {
    if (this.#queue.length === 0 && this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #pump(): void {
    if (this.#underWay >= this.loglet.depth) return;
    this.#pumping = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#pumping = false;
    const hooks = this.#hooks;
    if (hooks.length > 0) {
      this.#hooks = [];
      for (const hook of hooks) hook();
    }
    const batch = this.#take();
    if (batch.length === 0) {
      this.#settleIdle();
      return;
    }
    this.#underWay++;
    this.loglet.append(batch).then(this.#done, (error: unknown) => this.#failedBatch(batch, error));
  };

  readonly #done = (): void => {
    this.#underWay--;
    if (this.#anew.length > 0) {
      // Of a batch that is still under way all are refused too, and go before what is in the queue.
      if (this.#underWay > 0) return;
      this.#giveAnew();
    }
    if (this.#queue.length > 0 || this.#hooks.length > 0) {
      if (!this.#pumping) this.#pump();
    } else if (this.#underWay === 0) {
      this.#settleIdle();
    }
  };

  /** The next batch is synced while the last one is applied; but not if somebody wants to see that first, or its writer is forgotten. */
  written(): void {
    if (this.#queue.length > 0 && this.#hooks.length === 0 && this.#anew.length === 0) this.#flush();
  }

  #settleIdle(): void {
    if (this.#idle.length === 0 || this.#underWay > 0 || this.#queue.length > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** What goes into the next batch, in call order, within its bounds. */
  #take(): Pending[] {
    if (this.#queueHoles) {
      this.#queue = this.#queue.filter((append) => append.state === "queued" || append.n > 0);
      this.#queueBytes = this.#queue.reduce((sum, append) => sum + append.size, 0);
      this.#queueHoles = false;
    }
    let batch = this.#queue;
    if (this.#queueBytes <= limits.batchBytes && batch.length <= limits.batchEntries) {
      this.#queue = [];
      this.#queueBytes = 0;
    } else {
      let count = 1;
      let bytes = batch[0]!.size;
      while (count < batch.length && count < limits.batchEntries && bytes + batch[count]!.size <= limits.batchBytes) {
        bytes += batch[count++]!.size;
      }
      this.#queue = batch.slice(count);
      this.#queueBytes -= bytes;
      batch = batch.slice(0, count);
    }
    this.#number(batch);
    return batch;
  }

  /** Gives those their numbers that have none yet. A writer that was silent for long may be forgotten: it begins anew. */
  #number(batch: readonly Pending[]): void {
    const now = this.clock.monotonic();
    if (this.#n === this.#answered && (this.#writer === 0 || now - this.#gaveAt > writerMs / 2)) this.#beginWriter();
    this.#gaveAt = now;
    for (let i = 0; i < batch.length; i++) {
      const append = batch[i]!;
      if (append.state === "queued") append.state = "taken";
      if (append.isForwarded) continue;
      if (append.n === 0) {
        append.writer = this.#writer;
        append.n = ++this.#n;
      }
      append.acked = Math.min(this.#answered, append.n - 1);
    }
  }

  #beginWriter(): void {
    this.#writer = 1 + Math.floor(this.random() * 2 ** 21) * 2 ** 32 + Math.floor(this.random() * (2 ** 32 - 1));
    this.#n = this.#answered = 0;
  }

  #failedBatch(batch: readonly Pending[], cause: unknown): void {
    const error = asLogError(cause);
    if (error.code === "LOG_UNAVAILABLE" && this.#fault === undefined) {
      this.#giveAgain(batch);
      return;
    }
    // Those to be given anew may be of the batch before, which was applied meanwhile.
    const behind = [...this.#anew, ...this.#queue];
    this.#anew = [];
    this.#queue = [];
    this.#queueBytes = 0;
    if (error.outcome !== "none") this.#fault ??= error;
    for (const append of batch) if (!append.isDecided) append.fail(error);
    const refusal = error.outcome === "none" ? error : this.#refusal();
    for (const append of behind) append.fail(refusal);
    // Its numbers have a gap now, and perhaps no beginning.
    this.#beginWriter();
    this.#done();
  }

  /** Log time went on by over an hour since this writer wrote, as when the wall clock is set: another one gives these. */
  #giveAnew(): void {
    this.#beginWriter();
    const anew = this.#anew.filter((append) => append.state === "taken");
    for (const append of anew) {
      append.isDecided = false;
      if (!append.isForwarded) [append.state, append.n] = ["queued", 0];
    }
    this.#anew = [];
    this.#giveFirst(anew);
  }

  /** The hand-over broke: what is unanswered goes back to the front, in order. */
  #giveAgain(batch: readonly Pending[]): void {
    const again = batch.filter((append) => !append.isDecided);
    if (this.#anew.length > 0) {
      // Behind one that was refused because its writer is forgotten, all others of that writer are refused too.
      this.#anew.push(...again);
    } else {
      for (const append of again) append.again = true;
      this.#giveFirst(again);
    }
    const wait = this.#retryMs;
    this.#retryMs = Math.min(retryMsMax, 2 * wait);
    this.clock.setTimer(wait, this.#done);
  }

  #giveFirst(appends: readonly Pending[]): void {
    this.#queue = [...appends, ...this.#queue];
    this.#queueBytes = this.#queue.reduce((sum, append) => sum + append.size, 0);
  }

  #refusal(): LogError {
    const fault = this.#fault!;
    if (fault.code === "LOG_CLOSED") return closedError("none");
    return new LogError(fault.code, `${fault.message}; the log takes no more appends until it is opened again`, {
      outcome: "none",
      cause: fault,
    });
  }

  // Applying

  entries(batch: Batch): void {
    const { own, count, first, times, bytes, starts } = batch;
    const { state, waiters, subscribers } = this;
    let time = -1;
    for (let i = 0; i < count; i++) {
      const seqnum = first + i;
      // A batch that is read back may be of many times.
      if (times[i] !== time) state.timeline.mark((time = times[i]!), seqnum - 1);
      const decision = state.apply(bytes, starts[i]!, seqnum, times[i]!, waiters);
      if (decision === seqnum && !subscribers.isEmpty) subscribers.applied(batch, i, seqnum, state);
      if (own === undefined) continue;
      const append = own[i] as Pending;
      append.isDecided = true;
      // Of a copy nobody knows what became of the first. What was given once was refused, since its writer is forgotten.
      if (decision === "unknown" && !append.again && !append.isForwarded) this.#anew.push(append);
      else this.#answer(append, decision, seqnum, times[i]!);
    }
    state.bytes += starts[count - 1]! + batch.sizes[count - 1]! - starts[0]!;
    state.sweep(count, waiters);
    if (waiters.count > 0) waiters.wake(first);
    if (own !== undefined && this.#isCheckpointDue()) void this.#store().then(() => this.#release());
  }

  #answer(append: Pending, decision: Decision | "unknown", seqnum: SeqNum, time: number): void {
    if (append.writer === this.#writer) this.#answered = Math.max(this.#answered, append.n);
    this.#retryMs = retryMsMin;
    if (decision === "unknown") append.forget();
    else if (typeof decision === "object") append.settle(decision);
    else if (decision === seqnum) append.settle({ ok: true, seqnum, time });
    else void this.#answerCopy(append, decision);
  }

  /** An append that was applied at an earlier place: its time is the one there. */
  async #answerCopy(append: Pending, seqnum: SeqNum): Promise<void> {
    try {
      const entry = await this.loglet.read(seqnum);
      if (entry === undefined) append.forget();
      else append.settle({ ok: true, seqnum, time: entry.time } satisfies AppendResult);
    } catch (error) {
      append.fail(asLogError(error));
    }
  }

  failed(error: Error): void {
    this.#fault ??= asLogError(error);
    this.waiters.fail(this.#fault);
    this.subscribers.end(this.#fault);
  }

  // Checkpoints

  /** So that opening reads little behind it, and writing it costs little against what it covers; also once much was trimmed. */
  #isCheckpointDue(): boolean {
    if (this.#checkpointing !== undefined || this.state.isUnswept) return false;
    const { entries, bytes, records } = this.state;
    const covered = this.#checkpointed;
    // A part of what is live: that is what a checkpoint costs.
    const part = checkpointPart * (records / Math.max(1, entries));
    return (
      entries - covered.entries > Math.max(checkpointEntries, entries * part) ||
      bytes - covered.bytes > Math.max(checkpointBytes, bytes * part) ||
      covered.records - records > Math.max(checkpointEntries, records)
    );
  }

  /** Stores the state in the background, then gives room back. Without it opening only takes longer, so a failure ends nothing. */
  async checkpoint(): Promise<void> {
    await this.#store();
    // What is under way goes by an earlier checkpoint.
    await this.#releasing;
    await this.#release();
  }

  #store(hurry = false): Promise<void> {
    return (this.#checkpointing ??= this.#writeCheckpoint(hurry)
      .then(
        () => (this.#checkpointFault = undefined),
        (error: unknown) => (this.#checkpointFault = asLogError(error)),
      )
      .then(() => (this.#checkpointing = undefined)));
  }

  async #writeCheckpoint(hurry: boolean): Promise<void> {
    const { state } = this;
    const { entries, bytes, records, applied } = state;
    this.#checkpointed = { entries, bytes, records };
    try {
      await this.loglet.checkpoint(applied, dumpState(state), hurry);
    } finally {
      state.index.postings.frozen = false;
    }
  }

  /** Gives room back. A task of its own: however much there is to rewrite, the next checkpoint does not wait for it. */
  #release(): Promise<void> {
    const { state } = this;
    // Looking for what is dead is not worth its while where little can be.
    const isLittle = state.entries - state.records <= state.entries / 16;
    if (isLittle || this.#checkpointFault !== undefined || this.#closing.signal.aborted) return Promise.resolve();
    return (this.#releasing ??= this.loglet
      .release((position) => state.isNeeded(position), this.#closing.signal)
      .then(
        () => (this.#releaseFault = undefined),
        (error: unknown) => (this.#releaseFault = asLogError(error)),
      )
      .then(() => (this.#releasing = undefined)));
  }

  /** The state as it is now, stored; made while the log goes on. */
  async copyState(): Promise<{ readonly position: SeqNum; readonly state: Buffer }> {
    while (this.#checkpointing !== undefined) await this.#checkpointing;
    const position = this.applied;
    const slices = dumpState(this.state);
    const copies: Uint8Array[] = [];
    const copying = (async (): Promise<void> => {
      for (const slice of slices) {
        copies.push(Uint8Array.from(slice));
        await new Promise((done) => setImmediate(done));
      }
    })();
    // Checkpoints wait: what is being stored must not be used again.
    this.#checkpointing = copying.finally(() => {
      this.state.index.postings.frozen = false;
      this.#checkpointing = undefined;
    });
    await this.#checkpointing;
    const state = Buffer.allocUnsafeSlow(copies.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const copy of copies) {
      state.set(copy, at);
      at += copy.length;
    }
    return { position, state };
  }

  // Reading

  /** The record at a position found before. */
  fetch(seqnum: SeqNum): LogRecord | Promise<LogRecord> {
    const cached = this.#records.get(seqnum);
    if (cached !== undefined) return this.#withAux(cached);
    const stored = this.loglet.read(seqnum);
    return stored instanceof Promise
      ? stored.then((entry) => this.#decode(entry, seqnum))
      : this.#decode(stored, seqnum);
  }

  #decode(entry: StoredEntry | undefined, seqnum: SeqNum): LogRecord {
    if (entry === undefined) throw trimmedError("the record", seqnum, seqnum);
    const record = decodeRecord(entry.bytes, seqnum, entry.time);
    this.#records.set(seqnum, record, recordBytes(record));
    return this.#withAux(record);
  }

  #withAux(record: LogRecord): LogRecord {
    if (this.#aux.size === 0) return record;
    const aux = this.#aux.get(record.seqnum);
    return aux === undefined ? record : withAux(record, aux);
  }

  /** Keeps aux data of a record that is in the book; anything else is ignored. */
  setAux(book: number, seqnum: SeqNum, bytes: Uint8Array): void {
    if (this.state.next(book, undefined, seqnum) !== seqnum) return;
    this.#aux.set(seqnum, Uint8Array.from(bytes), bytes.length + 100);
  }

  stats(): LogStats {
    const { indexBytes, ...loglet } = this.loglet.stats();
    const { state } = this;
    return {
      records: state.records,
      entries: state.entries,
      tags: state.index.tags,
      indexBytes: state.indexBytes + indexBytes,
      tagBytes: state.index.tagBytes,
      ...loglet,
      recordCache: this.#records.stats(),
      auxCache: this.#aux.stats(),
      appendsWaiting: this.#queue.length,
      readsWaiting: this.waiters.count,
      checkpointFault: this.#checkpointFault ?? this.#releaseFault,
    };
  }

  /** Decides what was accepted, then closes the loglet. */
  async close(): Promise<void> {
    await this.drained();
    const failed = this.#fault !== undefined;
    this.#fault = closedError("none");
    this.waiters.fail(closedError());
    this.#closing.abort();
    await this.#checkpointing;
    await this.#releasing;
    const since = this.state.entries - this.#checkpointed.entries;
    if (!failed && since > Math.max(closeEntries, this.#checkpointed.entries * closePart)) await this.#store(true);
    await this.loglet.close();
  }
}

function asLogError(error: unknown): LogError {
  if (error instanceof LogError) return error;
  return new LogError("LOG_IO", `the log failed: ${error instanceof Error ? error.message : String(error)}`, {
    outcome: "unknown",
    cause: error,
  });
}
