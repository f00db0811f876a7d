/**
 * One client's session, as the process serves it that has the log. It knows nothing of gRPC: frames come in, frames go out.
 *
 * V1  Appends go to the engine in the order they came in, under the numbers they came with; answers go out in that order.
 * V2  A record that a client subscribes to goes out before, or in the same frame as, the answer to the append that made it.
 * V3  What waits for the client is bounded: while it does not take its answers, nothing of what it says is looked at.
 *
 * Called by server.ts and link.ts; calls the engine, Arrivals, Outgoing, Feeding and respond.ts.
 */
import type { Pending } from "../engine/append.js";
import { GivenRecord } from "../engine/record.js";
import { checkSeqNum } from "../check.js";
import { LogError } from "../errors.js";
import type { Session } from "../log.js";
import { checkSeen } from "../session-id.js";
import type { LogRecord, Progress } from "../types.js";
import { Arrivals } from "./arrivals.js";
import { bookOf, ProtocolError } from "./entries.js";
import { faultOf } from "./fault.js";
import { Feeding, type FeedingSession } from "./feeding.js";
import { type Told, untold } from "./observer.js";
import { Outgoing, type Outlet, type Speech } from "./outgoing.js";
import { Reaches } from "./reaches.js";
import { respond, respondLong, rightOf, welcome, wireRecord } from "./respond.js";
import type { Rights } from "./rights.js";
import { Places } from "./places.js";
import { servedSpans } from "./tracing/server-spans.js";
import {
  type Call,
  type ClientFrame,
  type Credit,
  type Fed,
  type Hello,
  type LongReply,
  protocolVersion,
  type ReadRequest,
  type Reply,
  type Response,
  type ServerFrame,
  type SubscribeRequest,
} from "./wire.js";

/** Calls without an answer, and those of them that fetch a record at one time. */
const callsMax = 65_536;
const fetchesMax = 64;
/** Reads that fetch a record at one time; those that follow are not counted. */
const readsMax = 16;

/** So often is said that a long call is still carried out, ms. */
const lifeMs = 250;

/** A call that goes on: ended by the client, or with the session. */
interface Open {
  readonly stop: AbortController;
  /** Of a Read: bytes that the client takes, and what waits for more. */
  credit: number;
  resume: (() => void) | undefined;
}

export class Serving implements Speech, FeedingSession {
  readonly #log: Session;
  readonly #rights: Rights;
  readonly #outlet: Outlet;
  readonly #told: Told;
  readonly #spans = servedSpans();
  readonly #outgoing: Outgoing;
  readonly #arrivals: Arrivals;
  readonly #reaches: Reaches;
  /** Ids of calls without a last reply. */
  readonly #calls = new Set<number>();
  readonly #open = new Map<number, Open>();
  readonly #feedings = new Map<number, Feeding>();
  readonly #reads = new Places(readsMax);
  /** Calls that fetch a record, and those that wait until some of these are done. */
  #fetches = 0;
  #later: Call[] = [];
  /** Who waits until no subscription lags. */
  #level: (() => void)[] = [];
  #isGreeted = false;
  #isFinishing = false;
  #isEnded = false;
  #isReading = true;

  constructor(log: Session, rights: Rights, outlet: Outlet, told: Told = untold) {
    this.#log = log;
    this.#rights = rights;
    this.#outlet = outlet;
    this.#told = told;
    this.#reaches = new Reaches(log);
    this.#outgoing = new Outgoing(outlet, this);
    const spans = this.#spans;
    this.#arrivals = new Arrivals({
      engine: log.engine,
      rights,
      told,
      answer: (answer) => {
        spans?.answered(answer);
        this.#outgoing.answer(answer);
      },
      watch: spans && (({ bytes, writer, n }) => spans.append(bookOf(bytes), writer, n)),
    });
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
    if (appends !== undefined && appends.length > 0) this.#arrivals.take(appends, this.#log.clock.monotonic());
    if (calls !== undefined) for (const call of calls) this.#call(call);
    if (ended !== undefined) for (const id of ended) this.#endCall(id);
    if (credits !== undefined) for (const credit of credits) this.#credit(credit);
    this.#setReading();
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
    this.#told.fault(fault);
    this.#outlet.end(fault);
    this.close();
  }

  // Calls

  #call(call: Call): void {
    const { id } = call;
    if (this.#calls.has(id)) throw new ProtocolError(`there is a call ${id} already`);
    this.#calls.add(id);
    this.#spans?.call(call);
    try {
      if (this.#calls.size > callsMax) throw tooManyError();
      this.#rights.check(...rightOf(call));
      if (call.read !== undefined) void this.#read(id, call.read);
      else if (call.subscribe !== undefined) this.#subscribe(id, call.subscribe);
      else if (isLong(call)) void this.#long(id, call);
      else this.#respond(id, call);
    } catch (error) {
      this.#fail(id, error);
    }
  }

  #respond(id: number, call: Call): void {
    const isWait = call.readNext?.wait === true || call.tail?.sync === true;
    if (isWait) void this.#wait(id, call);
    else if (call.readNext !== undefined || call.readPrev !== undefined) this.#fetch(id, call);
    else
      respond(this.#log, this.#bookOf, call).then(
        (response) => this.finish({ id, last: true, ...response }),
        (error: unknown) => this.#fail(id, error),
      );
  }

  /** What waits can be given up. */
  async #wait(id: number, call: Call): Promise<void> {
    try {
      const response = await respond(this.#log, this.#bookOf, call, this.#opened(id, 0).stop.signal);
      if (call.tail !== undefined) await this.#behindFeedings();
      this.#tell(response);
      this.finish({ id, last: true, ...response });
    } catch (error) {
      this.#fail(id, error);
    }
  }

  /** A few at a time, and only while the client takes what it asked for. */
  #fetch(id: number, call: Call): void {
    if (this.#fetches >= fetchesMax || this.#outgoing.isFull) {
      this.#later.push(call);
      return;
    }
    this.#fetches++;
    respond(this.#log, this.#bookOf, call).then(
      (response) => {
        this.#tell(response);
        this.#fetched({ id, last: true, ...response });
      },
      (error: unknown) => this.#fetched({ id, last: true, fault: faultOf(error) }),
    );
  }

  #fetched(reply: Reply): void {
    this.#fetches--;
    this.finish(reply);
    if (this.#later.length > 0) this.#fetchLater();
  }

  #fetchLater(): void {
    let count = 0;
    const later = this.#later;
    this.#later = [];
    while (count < later.length && this.#fetches < fetchesMax && !this.#outgoing.isFull) {
      const call = later[count++]!;
      this.#fetch(call.id, call);
    }
    this.#later = later.slice(count);
  }

  /** Resolves when no subscription lags (V2). */
  async #behindFeedings(): Promise<void> {
    while (this.holdsAnswers && !this.#isEnded) await new Promise<void>((resolve) => this.#level.push(resolve));
  }

  async #read(id: number, request: ReadRequest): Promise<void> {
    const { book, tag, from, reverse, follow, head, credit = 0 } = request;
    let { to } = request;
    const open = this.#opened(id, credit);
    const { signal } = open.stop;
    const outgoing = this.#outgoing;
    if (follow !== true) {
      to ??= this.#log.engine.applied;
      this.reply({ id, last: false, records: { to } });
    }
    try {
      const records = this.#bookOf(book).read({ tag: tag || undefined, from, to, reverse, follow, head, signal });
      for (;;) {
        // Of many reads that wait few have a record in hand; a follow may wait for its next one for long, and is not counted.
        while (follow !== true && !(await this.#place(open))) continue;
        try {
          const step = await records.next();
          if (step.done === true) break;
          while (!this.#hasRoom(open)) await this.#room(open);
          this.#told.gave(1);
          open.credit -= outgoing.give(id, wireRecord(step.value));
        } finally {
          if (follow !== true) this.#reads.give();
        }
      }
      this.finish({ id, last: true });
    } catch (error) {
      this.#fail(id, error);
    }
  }

  /** Whether the client takes a record of this read; or it is over. */
  #hasRoom({ credit, stop }: Open): boolean {
    return (credit > 0 && !this.#outgoing.isFull) || stop.signal.aborted;
  }

  #room(open: Open): Promise<void> {
    return new Promise((resolve) => {
      open.resume = resolve;
      if (open.credit > 0) this.#outgoing.onRoom(resolve);
    });
  }

  /** Waits until a read may fetch a record that its client takes. False: there was no room any more when it had a place. */
  async #place(open: Open): Promise<boolean> {
    while (!this.#hasRoom(open)) await this.#room(open);
    const place = this.#reads.take();
    if (place === undefined) return true;
    await place;
    if (this.#hasRoom(open)) return true;
    this.#reads.give();
    return false;
  }

  #credit({ id, bytes = 0 }: Credit): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    open.credit += bytes;
    open.resume?.();
  }

  #subscribe(id: number, { book, from }: SubscribeRequest): void {
    if (from !== undefined) checkSeqNum("from", from);
    const feeding = new Feeding(this, this.#bookOf(book), id);
    this.#feedings.set(id, feeding);
    feeding.start(from);
  }

  async #long(id: number, call: Call): Promise<void> {
    const { signal } = this.#opened(id, 0).stop;
    const tell = (long: LongReply): void => {
      if (this.#outgoing.isWritable) this.reply({ id, last: false, long });
    };
    const life = setInterval(tell, lifeMs, {}).unref();
    try {
      if (call.checkpoint !== undefined)
        this.finish({ id, last: true, ...(await respond(this.#log, this.#bookOf, call, signal)) });
      else {
        const onProgress = (progress: Progress): void => tell({ progress });
        this.finish({ id, last: true, long: await respondLong(this.#log, call, { signal, onProgress }) });
      }
    } catch (error) {
      this.#fail(id, error);
    } finally {
      clearInterval(life);
    }
  }

  #opened(id: number, credit: number): Open {
    const open: Open = { stop: new AbortController(), credit, resume: undefined };
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

  readonly #bookOf = (name: string): ReturnType<Reaches["book"]> => this.#reaches.book(name);

  // Replies

  reply(reply: Reply): void {
    this.#outgoing.reply(reply);
  }

  /** The last reply to a call. */
  finish(reply: Reply): void {
    if (reply.fault !== undefined) this.#told.fault(reply.fault);
    this.#calls.delete(reply.id);
    this.#open.delete(reply.id);
    this.#feedings.delete(reply.id);
    this.#spans?.replied(reply);
    this.#outgoing.reply(reply);
  }

  #fail(id: number, error: unknown): void {
    this.finish({ id, last: true, fault: faultOf(error) });
  }

  #tell({ record }: Response): void {
    if (record?.record !== undefined) this.#told.gave(1);
  }

  // Subscriptions

  get isCongested(): boolean {
    return this.#outgoing.isCongested;
  }

  get isFull(): boolean {
    return this.#outgoing.isFull;
  }

  writable(): Promise<void> {
    return this.#outgoing.room();
  }

  feed(fed: Fed): void {
    this.#told.gave(1);
    this.#outgoing.feed(fed);
  }

  ownAppend(record: LogRecord): Pending | undefined {
    if (!(record instanceof GivenRecord) || !record.append.isForwarded) return undefined;
    const { append } = record;
    return "origin" in append && append.origin === this.#arrivals ? append : undefined;
  }

  caughtUp(): void {
    for (const resolve of this.#level.splice(0)) resolve();
    this.#outgoing.schedule();
  }

  // Sending

  /** Records that a subscriber has not been given yet go before the answers to the appends that made them (V2). */
  get holdsAnswers(): boolean {
    for (const feeding of this.#feedings.values()) if (feeding.isLagging) return true;
    return false;
  }

  begin(frame: ServerFrame): void {
    frame.applied = this.#log.engine.applied;
    const news = this.#reaches.news();
    if (news !== undefined) frame.reaches = news;
  }

  sent(answers: boolean): void {
    if (answers) this.#arrivals.sent();
    this.#setReading();
    if (this.#later.length > 0) this.#fetchLater();
  }

  /** The way to the client is free again. */
  drain(): void {
    this.#outgoing.drain();
    this.#setReading();
    if (this.#later.length > 0) this.#fetchLater();
  }

  #setReading(): void {
    const { isWritable, isOverfull } = this.#outgoing;
    const isReading = !this.#isFinishing && isWritable && !isOverfull && !this.#arrivals.isFull;
    if (isReading === this.#isReading || this.#isEnded) return;
    this.#isReading = isReading;
    this.#outlet.setReading(isReading);
  }

  // Ending

  /** Takes nothing more; what was accepted is still answered. */
  finishUp(): void {
    this.#isFinishing = true;
    this.#setReading();
  }

  /** Ends the session with a fault, behind the answers that there are. */
  end(error: LogError): void {
    if (this.#isEnded) return;
    this.#outgoing.flush();
    this.#outlet.end(faultOf(error));
    this.close();
  }

  /** The client is gone, or shall go: nothing is answered any more. What was accepted goes on. */
  close(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#later = [];
    for (const { stop, resume } of this.#open.values()) {
      stop.abort();
      resume?.();
    }
    for (const feeding of this.#feedings.values()) feeding.stop();
    this.#outgoing.close();
    for (const resolve of this.#level.splice(0)) resolve();
    this.#spans?.close();
  }
}

function isLong({ checkpoint, verify, backup }: Call): boolean {
  return checkpoint !== undefined || verify !== undefined || backup !== undefined;
}

function tooManyError(): LogError {
  return new LogError(
    "LOG_UNAVAILABLE",
    `one client has more than ${callsMax} calls without an answer; let some end first`,
    { retryable: true },
  );
}
