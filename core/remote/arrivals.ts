/**
 * The appends of one client, as they come in: given to the engine under the numbers they came with, and answered in that order (V1).
 */
import { Forwarded, type Origin } from "../engine/append.js";
import type { Engine } from "../engine/engine.js";
import { trimKind, writeHorizon } from "../engine/entry.js";
import { LogError } from "../errors.js";
import type { AppendResult } from "../types.js";
import { bookOf, forEachEntry, isOf } from "./entries.js";
import { faultOf } from "./fault.js";
import { type Outcome, type Told, untold } from "./observer.js";
import type { Rights } from "./rights.js";
import type { Answer } from "./wire.js";

/** Bytes of appends whose answers are not sent yet, beyond which no more are taken. */
const bytesMax = 8 << 20;
/** Bytes that an append takes here beside its own. */
const appendOverhead = 256;
/** Answered appends at the beginning of the list, before they are cut off: few, as each keeps the message that it came in. */
const cutAt = 64;

/** Whom the answers go to, and who watches. */
export interface ArrivalsOptions {
  readonly engine: Engine;
  readonly rights: Rights;
  readonly told: Told;
  readonly answer: (answer: Answer) => void;
  /** Of each append before it is given on. */
  readonly watch: ((append: Forwarded) => void) | undefined;
}

export class Arrivals implements Origin {
  readonly #options: ArrivalsOptions;
  /** In the order they came in; those from `#head` on are without an answer. */
  #appends: Received[] = [];
  #head = 0;
  /** Answers that came before their turn: the time of a copy has to be read. */
  readonly #early = new Map<Received, Answer>();
  /** Bytes of appends whose answers are not sent, and of those of them that have one. */
  #bytes = 0;
  #answeredBytes = 0;
  /** Who appends, and once one of his has failed, what all behind it fail with (L1). */
  #writer = 0;
  #fault: LogError | undefined;
  /** The book that an append of this message was allowed last. */
  #allowed: Buffer | undefined;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  /** Whether no more are to be taken. */
  get isFull(): boolean {
    return this.#bytes > bytesMax;
  }

  /** Appends of one message, which came at `at`, ms. Throws ProtocolError. */
  take(packed: Uint8Array, at: number): void {
    this.#allowed = undefined;
    forEachEntry(Buffer.from(packed.buffer, packed.byteOffset, packed.length), (entry) => this.#append(entry, at));
  }

  #append(entry: Buffer, at: number): void {
    const append = new Received(entry, this, at);
    this.#bytes += append.size + appendOverhead;
    this.#appends.push(append);
    this.#options.watch?.(append);
    if (append.writer !== this.#writer) {
      this.#writer = append.writer;
      this.#fault = undefined;
    }
    const refusal = this.#fault ?? this.#refusal(entry);
    if (refusal !== undefined) {
      this.failed(append, refusal);
      return;
    }
    const { engine } = this.#options;
    // A trim moves the horizon by the time of this log.
    if (entry[0] === trimKind) writeHorizon(entry, entry.length, engine.state.horizon);
    engine.append(append);
  }

  /** Why the client may not do this. */
  #refusal(entry: Buffer): LogError | undefined {
    const isTrim = entry[0] === trimKind;
    if (!isTrim && this.#allowed !== undefined && isOf(entry, this.#allowed)) return undefined;
    const book = bookOf(entry);
    try {
      this.#options.rights.check(isTrim ? "trim" : "append", book.toString());
    } catch (error) {
      return asRefusal(error as LogError);
    }
    if (!isTrim) this.#allowed = book;
    return undefined;
  }

  settled(append: Received, result: AppendResult): void {
    const { writer, n } = append;
    if (result.ok) {
      const { seqnum, time } = result;
      this.#answer(append, { writer, n, count: 1, accepted: { seqnum, time } }, "accepted");
    } else this.#answer(append, { writer, n, count: 1, refused: result.conflict }, "refused");
  }

  forgotten(append: Received): void {
    const { writer, n } = append;
    this.#answer(append, { writer, n, count: 1, forgotten: {} }, "failed");
  }

  failed(append: Received, error: LogError): void {
    const { writer, n } = append;
    if (writer === this.#writer) this.#fault ??= asRefusal(error);
    this.#answer(append, { writer, n, count: 1, fault: faultOf(error) }, "failed");
  }

  /** It is said when all before it has been. */
  #answer(append: Received, answer: Answer, outcome: Outcome): void {
    const { told, engine } = this.#options;
    if (told !== untold) told.appended(outcome, engine.clock.monotonic() - append.at);
    if (answer.fault !== undefined) told.fault(answer.fault);
    if (this.#appends[this.#head] !== append) {
      this.#early.set(append, answer);
      return;
    }
    this.#say(append, answer);
    while (this.#early.size > 0) {
      const next = this.#appends[this.#head]!;
      const early = this.#early.get(next);
      if (early === undefined) return;
      this.#early.delete(next);
      this.#say(next, early);
    }
  }

  #say({ size }: Received, answer: Answer): void {
    if (++this.#head === this.#appends.length || this.#head === cutAt) {
      this.#appends.splice(0, this.#head);
      this.#head = 0;
    }
    this.#answeredBytes += size + appendOverhead;
    this.#options.answer(answer);
  }

  /** All answers that there are have been sent. */
  sent(): void {
    this.#bytes -= this.#answeredBytes;
    this.#answeredBytes = 0;
  }
}

/** An append, and when it came in, ms. */
class Received extends Forwarded {
  readonly at: number;

  constructor(entry: Buffer, origin: Arrivals, at: number) {
    super(entry, origin);
    this.at = at;
  }
}

/** The same for what was not given to the log. */
function asRefusal({ code, message, retryable }: LogError): LogError {
  return new LogError(code, message, { outcome: "none", retryable });
}
