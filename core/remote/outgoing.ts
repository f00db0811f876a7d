/**
 * What waits to be said to one client: collected for one turn, in the order that the protocol promises, and no more than it takes.
 *
 *     records of subscriptions | answers to appends | replies         of one frame, in this order (V2)
 */
import type { Answer, Fed, Reply, ServerFrame, WireRecord } from "./wire.js";
import { costOf, type Fault } from "./wire.js";

/** Bytes that wait to be sent, beyond which reads and subscriptions wait; one record may exceed it. */
const outBytes = 2 << 20;
/** Bytes of records in one message, beyond which the next ones go into another. */
const frameBytes = 4 << 20;
/** Bytes that an answer and a reply are counted as, without records. */
const answerBytes = 32;
const replyBytes = 32;

/** The way to the client. */
export interface Outlet {
  /** A message of about so many bytes. False: no more until `Serving.drain` is called. */
  send(frame: ServerFrame, bytes: number): boolean;
  /** Frames may come, or not. */
  setReading(isReading: boolean): void;
  end(fault: Fault): void;
}

/** The session that speaks. */
export interface Speech {
  /** Whether answers to appends have to wait. */
  readonly holdsAnswers: boolean;
  /** Puts what is said with every frame into one that is about to go. */
  begin(frame: ServerFrame): void;
  /** A frame has gone: with all answers that there were, or without. */
  sent(answers: boolean): void;
}

export class Outgoing {
  readonly #outlet: Outlet;
  readonly #speech: Speech;
  isWritable = true;
  #isClosed = false;
  #isScheduled = false;
  #fed: Fed[] = [];
  #fedBytes = 0;
  #answers: Answer[] = [];
  #replies: Reply[] = [];
  #replyBytes = 0;
  /** Of reads: the records of the reply that is not sent yet. */
  readonly #taking = new Map<number, WireRecord[]>();
  /** Who waits for room. */
  #waiting: (() => void)[] = [];

  constructor(outlet: Outlet, speech: Speech) {
    this.#outlet = outlet;
    this.#speech = speech;
  }

  feed(fed: Fed): void {
    this.#fed.push(fed);
    this.#fedBytes += costOf(fed.record);
    this.schedule();
  }

  /** An answer that goes on from the last one is one with it. */
  answer(answer: Answer): void {
    const last = this.#answers.at(-1);
    if (last !== undefined && follows(last, answer)) last.count++;
    else this.#answers.push(answer);
    this.schedule();
  }

  reply(reply: Reply): void {
    this.#replies.push(reply);
    this.#replyBytes += costOfReply(reply);
    this.schedule();
  }

  /** A record of a read; what it counts as. */
  give(id: number, record: WireRecord): number {
    const cost = costOf(record);
    const taking = this.#taking.get(id);
    if (taking !== undefined) {
      taking.push(record);
      this.#replyBytes += cost;
    } else {
      const records = [record];
      this.#taking.set(id, records);
      this.reply({ id, last: false, records: { records } });
    }
    return cost;
  }

  /** So many records wait that subscriptions are better read from the log later. */
  get isCongested(): boolean {
    return this.#fedBytes > outBytes;
  }

  /** So much waits that nothing is to be read for the client yet. */
  get isFull(): boolean {
    return !this.isWritable || this.#fedBytes + this.#replyBytes > outBytes;
  }

  /** So many replies wait that no more questions are to be taken. */
  get isOverfull(): boolean {
    return this.#replyBytes > frameBytes;
  }

  /** Resolves when it may be full no more. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Calls `fn` then. */
  onRoom(fn: () => void): void {
    this.#waiting.push(fn);
  }

  schedule(): void {
    if (this.#isScheduled || !this.isWritable || this.#isClosed) return;
    this.#isScheduled = true;
    process.nextTick(this.flush);
  }

  readonly flush = (): void => {
    this.#isScheduled = false;
    if (this.#isClosed || !this.isWritable) return;
    const frame: ServerFrame = {};
    let bytes = this.#fedBytes;
    if (this.#fed.length > 0) {
      frame.fed = this.#fed;
      this.#fed = [];
      this.#fedBytes = 0;
    }
    if (this.#answers.length > 0 && !this.#speech.holdsAnswers) {
      frame.answers = this.#answers;
      bytes += answerBytes * this.#answers.length;
      this.#answers = [];
    }
    if (this.#replies.length > 0) {
      this.#taking.clear();
      const before = this.#replyBytes;
      frame.replies = this.#takeReplies(frameBytes - bytes);
      bytes += before - this.#replyBytes;
    }
    if (frame.fed === undefined && frame.answers === undefined && !frame.replies?.length) return;
    this.#speech.begin(frame);
    this.isWritable = this.#outlet.send(frame, bytes);
    this.#speech.sent(frame.answers !== undefined);
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

  #wake(): void {
    if (this.#waiting.length > 0) for (const resolve of this.#waiting.splice(0)) resolve();
    if (this.#replies.length > 0) this.schedule();
  }

  /** The way is free again. */
  drain(): void {
    if (this.isWritable || this.#isClosed) return;
    this.isWritable = true;
    this.#wake();
    this.schedule();
  }

  close(): void {
    this.#isClosed = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
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
