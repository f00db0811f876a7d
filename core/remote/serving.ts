/**
 * One client's session, as the process serves it that has the log. It knows nothing of gRPC: frames come in, frames go out.
 *
 * V1  Appends go to the engine in the order they came in, under the numbers they came with; answers go out in that order.
 * V2  A record that a client subscribes to goes out before, or in the same frame as, the answer to the append that made it.
 * V3  What waits for the client is bounded: while it does not take its answers, nothing of what it says is looked at.
 *
 * Called by server.ts and link.ts; calls the engine, respond.ts and Feeding.
 */
import { checkSeqNum } from "../check.js";
import { Forwarded, type Origin } from "../engine/append.js";
import { readNumber, trimKind, writeHorizon } from "../engine/entry.js";
import { GivenRecord } from "../engine/record.js";
import { LogError } from "../errors.js";
import type { Book, Session } from "../log.js";
import type { AppendResult, LogRecord, RecordHead, SeqNum } from "../types.js";
import { bookOf, forEachEntry, ProtocolError } from "./entries.js";
import { checkSeen } from "../session-id.js";
import { faultOf } from "./fault.js";
import { Feeding } from "./feeding.js";
import { respond, respondLong, rightOf, welcome, wireRecord } from "./respond.js";
import type { Rights } from "./rights.js";
import {
  type Answer,
  type Call,
  type ClientFrame,
  costOf,
  type Fault,
  type Fed,
  type Hello,
  protocolVersion,
  type ReadRequest,
  type Reply,
  type ServerFrame,
  type WireRecord,
} from "./wire.js";

/** Bytes of appends whose answers are not sent yet, beyond which no more are taken. */
const appendBytes = 8 << 20;
/** Bytes that wait to be sent, beyond which reads and subscriptions wait; one record may exceed it. */
const outBytes = 2 << 20;
/** Bytes of records in one message, beyond which the next ones go into another. */
const frameBytes = 4 << 20;
/** Bytes that an answer and a reply are counted as, without records. */
const answerBytes = 32;
const replyBytes = 32;
/** Calls without an answer, and those of them that fetch a record. */
const callsMax = 65_536;
const fetchesMax = 64;
const booksMax = 65_536;

/** The way to the client. */
export interface Outlet {
  /** A message of about so many bytes. False: no more until `Serving.drain` is called. */
  send(frame: ServerFrame, bytes: number): boolean;
  /** Frames may come, or not. */
  setReading(isReading: boolean): void;
  end(fault: Fault): void;
}

/** A call that goes on: ended by the client, or with the session. */
interface Open {
  readonly stop: AbortController;
  /** Of a Read: bytes that the client takes, and what waits for more. */
  credit: number;
  resume: (() => void) | undefined;
  /** Of a Read: the reply that still takes records. */
  reply: { records: { records: WireRecord[]; to?: number } } | undefined;
}

export class Serving {
  readonly #log: Session;
  readonly #rights: Rights;
  readonly #outlet: Outlet;
  readonly #books = new Map<string, Book>();
  readonly #open = new Map<number, Open>();
  readonly #feedings = new Map<number, Feeding>();
  readonly #reaches = new Map<string, SeqNum>();
  #trimsSeen = 0;
  /** Reads with a reply that is not sent yet. */
  readonly #giving: Open[] = [];
  /** Ids of calls without a last reply. */
  readonly #calls = new Set<number>();
  /** Calls that fetch a record, and those that wait until some of these are done. */
  #fetches = 0;
  #later: Call[] = [];
  #isGreeted = false;
  #isEnded = false;
  #isReading = true;
  isWritable = true;
  #writable: (() => void)[] = [];
  #flushing = false;

  #fed: Fed[] = [];
  #fedBytes = 0;
  #answers: Answer[] = [];
  #replies: Reply[] = [];
  #replyBytes = 0;

  /** Of appends under way, and of those of them that have an answer. */
  #appendBytes = 0;
  #answeredBytes = 0;
  /** Appends without an answer, in the order they came in, from `#head` on. */
  #appends: Forwarded[] = [];
  #head = 0;
  /** Answers that came before their turn: of a copy, the time has to be read. */
  readonly #early = new Map<Forwarded, Answer>();
  #writer: Writer | undefined;
  /** The book that an append of this frame was allowed last. */
  #allowed: Buffer | undefined;

  constructor(log: Session, rights: Rights, outlet: Outlet) {
    this.#log = log;
    this.#rights = rights;
    this.#outlet = outlet;
  }

  /** What the client says. */
  frame(frame: ClientFrame): void {
    if (this.#isEnded) return;
    try {
      this.#take(frame);
    } catch (error) {
      this.#refuse(error);
    }
  }

  #take({ hello, appends, calls, ended, credits }: ClientFrame): void {
    if (!this.#isGreeted) this.#greet(hello);
    this.#allowed = undefined;
    if (appends !== undefined && appends.length > 0)
      forEachEntry(Buffer.from(appends.buffer, appends.byteOffset, appends.length), (entry) => this.#append(entry));
    if (calls !== undefined) for (const call of calls) this.#call(call);
    if (credits !== undefined) {
      for (const { id, bytes } of credits) {
        const open = this.#open.get(id);
        if (open === undefined) continue;
        open.credit += bytes;
        open.resume?.();
      }
    }
    if (ended !== undefined) for (const id of ended) this.#endCall(id);
  }

  #greet(hello: Hello | undefined): void {
    if (hello === undefined) throw new ProtocolError("the first message has no hello");
    const { version, log = "", seen = 0 } = hello;
    if (version !== protocolVersion) {
      throw new LogError(
        "LOG_VERSION",
        `the client speaks version ${version} of the protocol and this server version ${protocolVersion}; use the same version of boki on both sides`,
      );
    }
    if (log !== "") checkSeen({ id: log, position: seen }, this.#log.seen);
    this.#isGreeted = true;
    this.#outlet.send({ welcome: welcome(this.#log) }, 0);
  }

  /** Ends the session because of what the client said. */
  #refuse(error: unknown): void {
    const fault = error instanceof ProtocolError ? { code: "LOG_PROTOCOL", message: error.message } : faultOf(error);
    this.#outlet.end(fault);
    this.close();
  }

  // Appends

  #append(entry: Buffer): void {
    const id = readNumber(entry, 16);
    if (this.#writer?.id !== id) this.#writer = new Writer(this, id);
    const writer = this.#writer;
    const append = new Forwarded(entry, writer);
    this.#appendBytes += entry.length;
    this.#appends.push(append);
    if (writer.fault !== undefined) {
      writer.failed(append, writer.fault);
      return;
    }
    try {
      this.#allow(entry);
      // A trim moves the horizon by the time of this log.
      if (entry[0] === trimKind) writeHorizon(entry, entry.length, this.#log.engine.state.horizon);
    } catch (error) {
      writer.failed(append, error as LogError);
      return;
    }
    if (this.#appendBytes > appendBytes) this.#setReading();
    this.#log.engine.append(append);
  }

  #allow(entry: Buffer): void {
    const book = bookOf(entry);
    const isTrim = entry[0] === trimKind;
    if (!isTrim && this.#allowed?.equals(book) === true) return;
    this.#rights.check(isTrim ? "trim" : "append", book.toString());
    if (!isTrim) this.#allowed = book;
  }

  /** What became of an append. It is said when all before it has been. */
  answer(append: Forwarded, answer: Answer): void {
    if (this.#appends[this.#head] !== append) {
      this.#early.set(append, answer);
      return;
    }
    this.#say(append, answer);
    while (this.#early.size > 0) {
      const next = this.#appends[this.#head]!;
      const early = this.#early.get(next);
      if (early === undefined) break;
      this.#early.delete(next);
      this.#say(next, early);
    }
    this.#flush();
  }

  /** An answer that goes on from the last one is one with it. */
  #say({ size }: Forwarded, answer: Answer): void {
    if (++this.#head === this.#appends.length || this.#head === 4096) {
      this.#appends.splice(0, this.#head);
      this.#head = 0;
    }
    this.#answeredBytes += size;
    const last = this.#answers.at(-1);
    if (last !== undefined && follows(last, answer)) last.count++;
    else this.#answers.push(answer);
  }

  // Calls

  #call(call: Call): void {
    const { id } = call;
    if (this.#calls.has(id)) throw new ProtocolError(`there is a call ${id} already`);
    this.#calls.add(id);
    try {
      if (this.#calls.size > callsMax) throw tooManyError();
      this.#rights.check(...rightOf(call));
      if (call.read !== undefined) void this.#read(id, call.read);
      else if (call.subscribe !== undefined) this.#subscribe(id, call.subscribe);
      else if (call.verify !== undefined || call.backup !== undefined) void this.#long(id, call);
      else this.#respond(id, call);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      this.finish({ id, last: true, fault: faultOf(error) });
    }
  }

  #respond(id: number, call: Call): void {
    const fetches = call.readPrev !== undefined || (call.readNext !== undefined && call.readNext.wait !== true);
    if (fetches && (this.#fetches >= fetchesMax || this.isFull)) {
      this.#later.push(call);
      return;
    }
    if (fetches) this.#fetches++;
    // Only what waits can be given up.
    const waits = call.readNext?.wait === true || call.tail?.sync === true || call.checkpoint !== undefined;
    const open = waits ? this.#opened(id, 0) : undefined;
    respond(this.#log, (name) => this.#book(name), call, open?.stop.signal)
      .then(
        (response) => this.finish({ id, last: true, ...response }),
        (error: unknown) => this.finish({ id, last: true, fault: faultOf(error) }),
      )
      .finally(() => {
        if (fetches) this.#fetches--;
        if (this.#later.length > 0) this.#respondLater();
      });
  }

  /** Those that wait for others to be done, as far as there is room. */
  #respondLater(): void {
    while (this.#later.length > 0 && this.#fetches < fetchesMax && !this.isFull && !this.#isEnded) {
      const call = this.#later.shift()!;
      this.#respond(call.id, call);
    }
  }

  async #read(id: number, request: ReadRequest): Promise<void> {
    const { book, tag, from, reverse, follow, head, credit = 0 } = request;
    const open = this.#opened(id, credit);
    const { signal } = open.stop;
    let { to } = request;
    if (follow !== true) {
      to ??= this.#log.engine.applied;
      this.reply({ id, last: false, records: { to } });
    }
    try {
      const records = this.#book(book).read({ tag: tag || undefined, from, to, reverse, follow, head, signal });
      for await (const record of records) {
        while ((open.credit <= 0 || this.isFull) && !signal.aborted) {
          await new Promise<void>((resolve) => {
            open.resume = resolve;
            if (open.credit > 0) this.#writable.push(resolve);
          });
        }
        this.#give(id, open, record);
      }
      this.finish({ id, last: true });
    } catch (error) {
      this.finish({ id, last: true, fault: faultOf(error) });
    }
  }

  #give(id: number, open: Open, record: RecordHead): void {
    const wire = wireRecord(record);
    const cost = costOf(wire);
    open.credit -= cost;
    if (open.reply !== undefined) {
      open.reply.records.records.push(wire);
      this.#replyBytes += cost;
      return;
    }
    const reply = { id, last: false, records: { records: [wire] } };
    open.reply = reply;
    this.#giving.push(open);
    this.reply(reply);
  }

  #subscribe(id: number, { book, from }: { book: string; from?: number | undefined }): void {
    if (from !== undefined) checkSeqNum("from", from);
    const feeding = new Feeding(this, this.#book(book), id);
    this.#feedings.set(id, feeding);
    feeding.start(from);
  }

  async #long(id: number, call: Call): Promise<void> {
    const { signal } = this.#opened(id, 0).stop;
    try {
      const onProgress = (progress: { done: number; total: number }): void => {
        if (this.isWritable) this.reply({ id, last: false, long: { progress } });
      };
      this.finish({ id, last: true, long: await respondLong(this.#log, call, { signal, onProgress }) });
    } catch (error) {
      this.finish({ id, last: true, fault: faultOf(error) });
    }
  }

  #opened(id: number, credit: number): Open {
    const open: Open = { stop: new AbortController(), credit, resume: undefined, reply: undefined };
    this.#open.set(id, open);
    return open;
  }

  #endCall(id: number): void {
    const open = this.#open.get(id);
    open?.stop.abort();
    open?.resume?.();
    const feeding = this.#feedings.get(id);
    if (feeding === undefined) return;
    feeding.stop();
    this.finish({ id, last: true });
    this.caughtUp();
  }

  #book(name: string): Book {
    let book = this.#books.get(name);
    if (book === undefined) {
      if (this.#books.size >= booksMax) throw new ProtocolError(`there are more than ${booksMax} books in one session`);
      this.#books.set(name, (book = this.#log.book(name) as Book));
      // Tell how far its trims reach.
      this.#trimsSeen = -1;
    }
    return book;
  }

  // Answers

  reply(reply: Reply): void {
    this.#replies.push(reply);
    this.#replyBytes += costOfReply(reply);
    this.#flush();
  }

  /** The last reply to a call. */
  finish(reply: Reply): void {
    this.#calls.delete(reply.id);
    this.#open.delete(reply.id);
    this.#feedings.delete(reply.id);
    this.reply(reply);
  }

  feed(fed: Fed): void {
    this.#fed.push(fed);
    this.#fedBytes += costOf(fed.record);
    this.#flush();
  }

  /** An append of this very session, if it made the record. */
  ownAppend(record: LogRecord): Forwarded | undefined {
    if (!(record instanceof GivenRecord) || !record.append.isForwarded) return undefined;
    const append = record.append as Forwarded;
    return (append.origin as Writer).serving === this ? append : undefined;
  }

  get isCongested(): boolean {
    return this.#fedBytes > outBytes;
  }

  get isFull(): boolean {
    return !this.isWritable || this.#fedBytes + this.#replyBytes > outBytes;
  }

  /** Resolves when it may be full no more. */
  writable(): Promise<void> {
    return new Promise((resolve) => this.#writable.push(resolve));
  }

  /** A subscription has all that there is: answers may go out again (V2). */
  caughtUp(): void {
    if (this.#answers.length > 0) this.#flush();
  }

  #flush(): void {
    if (this.#flushing || !this.isWritable || this.#isEnded) return;
    this.#flushing = true;
    process.nextTick(this.#send);
  }

  readonly #send = (): void => {
    this.#flushing = false;
    if (this.#isEnded || !this.isWritable) return;
    const frame: ServerFrame = { applied: this.#log.engine.applied };
    let bytes = this.#fedBytes;
    if (this.#fed.length > 0) {
      frame.fed = this.#fed;
      this.#fed = [];
      this.#fedBytes = 0;
    }
    if (this.#answers.length > 0 && !this.#isLagging()) {
      frame.answers = this.#answers;
      bytes += answerBytes * this.#answers.length;
      this.#answers = [];
      this.#appendBytes -= this.#answeredBytes;
      this.#answeredBytes = 0;
    }
    if (this.#replies.length > 0) {
      for (const open of this.#giving.splice(0)) open.reply = undefined;
      const before = this.#replyBytes;
      frame.replies = this.#takeReplies(frameBytes - bytes);
      bytes += before - this.#replyBytes;
    }
    if (frame.fed === undefined && frame.answers === undefined && !frame.replies?.length) return;
    const { trimsSeen } = this.#log.engine.state;
    if (trimsSeen !== this.#trimsSeen) this.#tellReaches(frame);
    this.#trimsSeen = trimsSeen;
    this.isWritable = this.#outlet.send(frame, bytes);
    this.#setReading();
    if (this.isWritable) this.#wake();
  };

  /** Replies for one message: of so many bytes, the last of them may exceed that. */
  #takeReplies(bytes: number): Reply[] {
    const taken = this.#replies;
    if (this.#replyBytes <= bytes) {
      this.#replies = [];
      this.#replyBytes = 0;
    } else {
      let count = 0;
      let left = bytes;
      while (left > 0 && count < taken.length) left -= costOfReply(taken[count++]!);
      this.#replies = taken.splice(count);
      this.#replyBytes -= bytes - left;
    }
    return taken;
  }

  /** Something was sent: what waits for that goes on. */
  #wake(): void {
    if (this.#writable.length > 0) for (const resolve of this.#writable.splice(0)) resolve();
    if (this.#later.length > 0) this.#respondLater();
    if (this.#replies.length > 0) this.#flush();
  }

  #tellReaches(frame: ServerFrame): void {
    for (const [name, book] of this.#books) {
      const position = book.trimReach;
      if (position === (this.#reaches.get(name) ?? 0)) continue;
      this.#reaches.set(name, position);
      (frame.reaches ??= []).push({ book: name, position });
    }
  }

  #isLagging(): boolean {
    for (const feeding of this.#feedings.values()) if (feeding.isLagging) return true;
    return false;
  }

  /** The way to the client is free again. */
  drain(): void {
    if (this.isWritable || this.#isEnded) return;
    this.isWritable = true;
    this.#setReading();
    this.#wake();
    this.#flush();
  }

  #setReading(): void {
    const isReading = this.isWritable && this.#appendBytes <= appendBytes && this.#replyBytes <= frameBytes;
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    this.#outlet.setReading(isReading);
  }

  /** The client is gone, or shall go: nothing is answered any more. What was accepted goes on. */
  close(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const { stop, resume } of this.#open.values()) {
      stop.abort();
      resume?.();
    }
    for (const feeding of this.#feedings.values()) feeding.stop();
    this.#later = [];
    for (const resolve of this.#writable.splice(0)) resolve();
  }
}

/** Where the appends of one writer come from. */
class Writer implements Origin {
  readonly serving: Serving;
  readonly id: number;
  /** Once one of its appends has failed, so do all behind it (L1): with this. */
  fault: LogError | undefined;

  constructor(serving: Serving, id: number) {
    this.serving = serving;
    this.id = id;
  }

  settled(append: Forwarded, result: AppendResult): void {
    const { writer, n } = append;
    if (result.ok) {
      const { seqnum, time } = result;
      this.serving.answer(append, { writer, n, count: 1, accepted: { seqnum, time } });
    } else this.serving.answer(append, { writer, n, count: 1, refused: result.conflict });
  }

  forgotten(append: Forwarded): void {
    const { writer, n } = append;
    this.serving.answer(append, { writer, n, count: 1, forgotten: {} });
  }

  failed(append: Forwarded, error: LogError): void {
    const { writer, n } = append;
    this.fault ??= new LogError(error.code, error.message, { outcome: "none", retryable: error.retryable });
    this.serving.answer(append, { writer, n, count: 1, fault: faultOf(error) });
  }
}

function tooManyError(): LogError {
  return new LogError(
    "LOG_UNAVAILABLE",
    `one client has more than ${callsMax} calls without an answer; let some end first`,
    { retryable: true },
  );
}

/** Bytes that a reply is counted as. */
function costOfReply({ record, records }: Reply): number {
  let bytes = replyBytes;
  if (record?.record !== undefined) bytes += costOf(record.record);
  if (records?.records !== undefined) for (const one of records.records) bytes += costOf(one);
  return bytes;
}

/** Whether an answer is the next one of a run of accepted ones. */
function follows(last: Answer, { writer, n, accepted }: Answer): boolean {
  const before = last.accepted;
  return (
    before !== undefined &&
    accepted !== undefined &&
    last.writer === writer &&
    last.n + last.count === n &&
    before.seqnum + last.count === accepted.seqnum &&
    before.time === accepted.time
  );
}
