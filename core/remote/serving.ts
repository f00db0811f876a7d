/**
 * One client's session, as the process serves it that has the log. It knows nothing of gRPC: frames come in, frames go out.
 *
 * V1  Appends go to the engine in the order they came in, under the numbers they came with; answers go out as they are decided.
 * V2  A record that a client subscribes to goes out before, or in the same frame as, the answer to the append that made it.
 * V3  What waits for the client is bounded: while it does not take its answers, nothing of what it says is looked at.
 *
 * Called by server.ts and link.ts; calls the engine, respond.ts and Feeding.
 */
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
import { type Outcome, type Told, untold } from "./observer.js";
import type { Rights } from "./rights.js";
import { servedSpans } from "./tracing.js";
import {
  type Answer,
  type Call,
  type ClientFrame,
  type Fault,
  type Fed,
  type Hello,
  protocolVersion,
  type ReadRequest,
  type Reply,
  type ServerFrame,
  type WireRecord,
} from "./wire.js";

/** Bytes of appends under way for one client, beyond which no more are taken. */
const appendBytes = 8 << 20;
/** Bytes that wait for the client, beyond which subscriptions read from the log instead. */
const outBytes = 1 << 20;
/** Bytes of a record beside its data, in credits. */
const recordOverhead = 64;
/** Calls without an answer. */
const callsMax = 65_536;
/** Books of which a client hears how far trims reach. */
const booksMax = 65_536;

/** The way to the client. */
export interface Outlet {
  /** False: no more until `Serving.drain` is called. */
  send(frame: ServerFrame): boolean;
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
  readonly #told: Told;
  readonly #books = new Map<string, Book>();
  readonly #open = new Map<number, Open>();
  readonly #feedings = new Map<number, Feeding>();
  /** Those whose reach was not told yet, and those of which none will be told. */
  #newBooks: [string, Book][] = [];
  readonly #forgotten: string[] = [];
  readonly #reaches = new Map<string, SeqNum>();
  #trimsSeen = 0;
  /** Reads with a reply that is not sent yet. */
  readonly #giving: Open[] = [];
  #calls = 0;
  #isGreeted = false;
  #isFinishing = false;
  #isEnded = false;
  #isReading = true;
  isWritable = true;
  #writable: (() => void)[] = [];
  #flushing = false;

  #fed: Fed[] = [];
  #fedBytes = 0;
  #answers: Answer[] = [];
  #replies: Reply[] = [];

  readonly #spans = servedSpans();
  #appendBytes = 0;
  /** When the frame came that is looked at, ms. */
  #frameAt = 0;
  #writer: Writer | undefined;
  /** The book that an append of this frame was allowed last. */
  #allowed: Buffer | undefined;

  constructor(log: Session, rights: Rights, outlet: Outlet, told: Told = untold) {
    this.#log = log;
    this.#rights = rights;
    this.#outlet = outlet;
    this.#told = told;
  }

  /** What the client says. */
  frame(frame: ClientFrame): void {
    if (this.#isEnded || this.#isFinishing) return;
    try {
      this.#take(frame);
    } catch (error) {
      this.#refuse(error);
    }
  }

  #take({ hello, appends, calls, ended, credits, traces }: ClientFrame): void {
    if (!this.#isGreeted) this.#greet(hello);
    this.#spans?.traces(traces);
    this.#allowed = undefined;
    this.#frameAt = this.#log.clock.monotonic();
    if (appends !== undefined && appends.length > 0)
      forEachEntry(Buffer.from(appends.buffer, appends.byteOffset, appends.length), (entry) => this.#append(entry));
    if (calls !== undefined) for (const call of calls) this.#call(call);
    if (ended !== undefined) for (const id of ended) this.#endCall(id);
    if (credits !== undefined) {
      for (const { id, bytes } of credits) {
        const open = this.#open.get(id);
        if (open === undefined) continue;
        open.credit += bytes;
        open.resume?.();
      }
    }
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
    this.#outlet.send({ welcome: welcome(this.#log) });
  }

  /** Ends the session because of what the client said. */
  #refuse(error: unknown): void {
    const fault = error instanceof ProtocolError ? { code: "LOG_PROTOCOL", message: error.message } : faultOf(error);
    this.#told.fault(fault);
    this.#outlet.end(fault);
    this.close();
  }

  /** Takes nothing more; what was accepted is still answered. */
  finishUp(): void {
    this.#isFinishing = true;
    this.#outlet.setReading(false);
  }

  /** Ends the session with a fault, behind the answers that there are. */
  end(error: LogError): void {
    if (this.#isEnded) return;
    this.#send();
    this.#outlet.end(faultOf(error));
    this.close();
  }

  // Appends

  #append(entry: Buffer): void {
    const id = readNumber(entry, 16);
    if (this.#writer?.id !== id) this.#writer = new Writer(this, id);
    const writer = this.#writer;
    const append = new Received(entry, writer, this.#frameAt);
    this.#appendBytes += entry.length;
    this.#spans?.append(bookOf(entry), id, append.n);
    if (writer.fault !== undefined) {
      writer.refuse(append, writer.fault);
      return;
    }
    try {
      this.#allow(entry);
      // A trim moves the horizon by the time of this log.
      if (entry[0] === trimKind) writeHorizon(entry, entry.length, this.#log.engine.state.horizon);
    } catch (error) {
      // It was not given to the log.
      writer.refuse(append, asRefusal(error as LogError));
      return;
    }
    if (this.#appendBytes > appendBytes) this.#setReading();
    writer.given++;
    this.#log.engine.append(append);
  }

  #allow(entry: Buffer): void {
    const book = bookOf(entry);
    const isTrim = entry[0] === trimKind;
    if (!isTrim && this.#allowed?.equals(book) === true) return;
    this.#rights.check(isTrim ? "trim" : "append", book.toString());
    if (!isTrim) this.#allowed = book;
  }

  /** What became of an append. An answer that goes on from the last one is one with it. */
  answer(answer: Answer, { size, at }: Received, outcome: Outcome): void {
    this.#told.appended(outcome, this.#log.clock.monotonic() - at);
    if (answer.fault !== undefined) this.#told.fault(answer.fault);
    this.#appendBytes -= size;
    this.#spans?.answered(answer);
    if (!this.#isReading) this.#setReading();
    const last = this.#answers.at(-1);
    if (last !== undefined && follows(last, answer)) last.count++;
    else this.#answers.push(answer);
    this.#flush();
  }

  // Calls

  #call(call: Call): void {
    if (++this.#calls > callsMax) throw new ProtocolError(`there are more than ${callsMax} calls without an answer`);
    const { id } = call;
    this.#spans?.call(call);
    try {
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
    // Only what waits can be given up.
    const waits = call.readNext?.wait === true || call.tail?.sync === true || call.checkpoint !== undefined;
    const open = waits ? this.#opened(id, 0) : undefined;
    respond(this.#log, (name) => this.#book(name), call, open?.stop.signal).then(
      (response) => {
        if (response.record?.record !== undefined) this.#told.gave(1);
        this.finish({ id, last: true, ...response });
      },
      (error: unknown) => this.finish({ id, last: true, fault: faultOf(error) }),
    );
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
        this.#give(id, open, record);
        while ((open.credit <= 0 || !this.isWritable) && !signal.aborted) {
          await new Promise<void>((resolve) => {
            open.resume = resolve;
            if (open.credit > 0) this.#writable.push(resolve);
          });
        }
      }
      this.finish({ id, last: true });
    } catch (error) {
      this.finish({ id, last: true, fault: faultOf(error) });
    }
  }

  #give(id: number, open: Open, record: RecordHead): void {
    const wire = wireRecord(record);
    this.#told.gave(1);
    open.credit -= recordOverhead + (wire.data?.length ?? 0);
    if (open.reply !== undefined) {
      open.reply.records.records.push(wire);
      return;
    }
    const reply = { id, last: false, records: { records: [wire] } };
    open.reply = reply;
    this.#giving.push(open);
    this.reply(reply);
  }

  #subscribe(id: number, { book, from }: { book: string; from?: number | undefined }): void {
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
    if (this.#open.has(id)) throw new ProtocolError(`there is a call ${id} already`);
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
      if (this.#books.size === booksMax) this.#forgetBook();
      this.#books.set(name, (book = this.#log.book(name) as Book));
      this.#newBooks.push([name, book]);
    }
    return book;
  }

  /** The client keeps nothing of it: all that there is may be trimmed, as far as it hears. */
  #forgetBook(): void {
    const [oldest] = this.#books.keys();
    this.#books.delete(oldest!);
    this.#reaches.delete(oldest!);
    this.#forgotten.push(oldest!);
  }

  // Answers

  reply(reply: Reply): void {
    this.#replies.push(reply);
    this.#flush();
  }

  /** The last reply to a call. */
  finish(reply: Reply): void {
    if (reply.fault !== undefined) this.#told.fault(reply.fault);
    this.#calls--;
    this.#open.delete(reply.id);
    this.#feedings.delete(reply.id);
    this.#spans?.replied(reply);
    this.reply(reply);
  }

  feed(fed: Fed, bytes: number): void {
    this.#told.gave(1);
    this.#fed.push(fed);
    this.#fedBytes += recordOverhead + bytes;
    this.#flush();
  }

  /** An append of this very session, if it made the record. */
  ownAppend(record: LogRecord): Forwarded | undefined {
    if (!(record instanceof GivenRecord) || !record.append.isForwarded) return undefined;
    const append = record.append as Forwarded;
    return (append.origin as Writer).serving === this ? append : undefined;
  }

  get isCongested(): boolean {
    return !this.isWritable && this.#fedBytes > outBytes;
  }

  /** Resolves when the client takes more. */
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
    if (this.#fed.length > 0) {
      frame.fed = this.#fed;
      this.#fed = [];
      this.#fedBytes = 0;
    }
    if (this.#answers.length > 0 && !this.#isLagging()) {
      frame.answers = this.#answers;
      this.#answers = [];
    }
    if (this.#replies.length > 0) {
      frame.replies = this.#replies;
      this.#replies = [];
      for (const open of this.#giving.splice(0)) open.reply = undefined;
    }
    if (frame.fed === undefined && frame.answers === undefined && frame.replies === undefined) return;
    const { trimsSeen } = this.#log.engine.state;
    const told = trimsSeen === this.#trimsSeen ? this.#newBooks : this.#books;
    this.#trimsSeen = trimsSeen;
    this.#tellReaches(frame, told);
    this.#newBooks = [];
    if (this.#outlet.send(frame)) return;
    this.isWritable = false;
    this.#setReading();
  };

  #tellReaches(frame: ServerFrame, books: Iterable<[string, Book]>): void {
    const { applied } = this.#log.engine;
    for (const book of this.#forgotten.splice(0)) (frame.reaches ??= []).push({ book, position: applied });
    for (const [name, book] of books) {
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
    for (const resolve of this.#writable.splice(0)) resolve();
    this.#flush();
  }

  #setReading(): void {
    const isReading = !this.#isFinishing && this.isWritable && this.#appendBytes <= appendBytes;
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
    for (const resolve of this.#writable.splice(0)) resolve();
    this.#spans?.close();
  }
}

/** Where the appends of one writer come from. */
class Writer implements Origin {
  readonly serving: Serving;
  readonly id: number;
  /** Once one of its appends has failed, so do all behind it (L1): with this. */
  fault: LogError | undefined;
  /** Appends that the log has not answered yet. */
  given = 0;
  /** Refused behind those: answered when they are (V1). */
  #refused: { readonly append: Received; readonly error: LogError }[] = [];

  constructor(serving: Serving, id: number) {
    this.serving = serving;
    this.id = id;
  }

  settled(append: Received, result: AppendResult): void {
    const answer = { writer: this.id, n: append.n, count: 1 };
    if (result.ok) {
      const { seqnum, time } = result;
      this.serving.answer({ ...answer, accepted: { seqnum, time } }, append, "accepted");
    } else this.serving.answer({ ...answer, refused: result.conflict }, append, "refused");
    this.#answered();
  }

  forgotten(append: Received): void {
    this.serving.answer({ writer: this.id, n: append.n, count: 1, forgotten: {} }, append, "failed");
    this.#answered();
  }

  failed(append: Received, error: LogError): void {
    this.#fail(append, error);
    this.#answered();
  }

  /** An append that the log is not given. */
  refuse(append: Received, error: LogError): void {
    this.fault ??= asRefusal(error);
    if (this.given > 0) this.#refused.push({ append, error });
    else this.#fail(append, error);
  }

  #fail(append: Received, error: LogError): void {
    this.fault ??= asRefusal(error);
    this.serving.answer({ writer: this.id, n: append.n, count: 1, fault: faultOf(error) }, append, "failed");
  }

  #answered(): void {
    if (--this.given > 0 || this.#refused.length === 0) return;
    const refused = this.#refused;
    this.#refused = [];
    for (const { append, error } of refused) this.#fail(append, error);
  }
}

function asRefusal({ code, message, retryable }: LogError): LogError {
  return new LogError(code, message, { outcome: "none", retryable });
}

/** An append, and when it came in, ms. */
class Received extends Forwarded {
  readonly at: number;

  constructor(entry: Buffer, writer: Writer, at: number) {
    super(entry, writer);
    this.at = at;
  }
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
