/**
 * A client's spans: one for each call, around the book that makes it. What goes on for days (a follow, a subscription) has none.
 */
import { type Attributes, type Span, SpanKind } from "@opentelemetry/api";
import type {
  AppendInput,
  AppendOptions,
  AppendResult,
  ConditionalAppendOptions,
  Log,
  LogBook,
  LogRecord,
  RecordHead,
  SeqNum,
  Subscriber,
  Subscription,
  TrimOptions,
} from "../../types.js";
import type { Next, Prev, Read } from "../../read-options.js";
import { attributesOf, during, failed, faultIn, found, inSpan, isTraced, tracer } from "./span.js";

/** A call on the whole log. */
export function spanned<T>(operation: string, call: () => Promise<T>): Promise<T> {
  return isTraced() ? inSpan(clientSpan(operation, undefined, ""), call) : call();
}

function clientSpan(operation: string, book: string | undefined, url: string): Span {
  const attributes = attributesOf(operation, book);
  const [, host, port] = /^grpc:\/\/(.+):(\d+)/.exec(url) ?? [];
  if (host !== undefined) Object.assign(attributes, { "server.address": host, "server.port": Number(port) });
  return tracer().startSpan(`boki.${operation}`, { kind: SpanKind.CLIENT, attributes });
}

/** The book with spans for its calls, if an SDK is there to take them; else the book itself. */
export function traced(book: LogBook): LogBook {
  return isTraced() ? new TracedBook(book) : book;
}

class TracedBook implements LogBook {
  readonly #book: LogBook;

  constructor(book: LogBook) {
    this.#book = book;
  }

  get name(): string {
    return this.#book.name;
  }

  get log(): Log {
    return this.#book.log;
  }

  #span(operation: string): Span {
    return clientSpan(operation, this.name, this.log.url);
  }

  // One implementation serves the overloads of the contract, here and below.
  append(data: Uint8Array, options: AppendOptions | ConditionalAppendOptions): Promise<never> {
    const span = this.#span("append");
    span.setAttributes(sizesOf(options));
    return inSpan<AppendResult>(
      span,
      () => this.#book.append(data, options as ConditionalAppendOptions),
      decided,
    ) as Promise<never>;
  }

  appendAll(inputs: readonly AppendInput[], options?: { readonly signal?: AbortSignal | undefined }) {
    const span = this.#span("appendAll");
    if (Array.isArray(inputs)) span.setAttribute("db.operation.batch.size", inputs.length);
    return inSpan(
      span,
      () => this.#book.appendAll(inputs, options),
      (results) => (results.length === 0 ? {} : decided(results.at(-1)!)),
    );
  }

  readNext(options?: Next): Promise<never> {
    return inSpan(
      this.#span("readNext"),
      () => this.#book.readNext(options as { head: true }),
      found,
    ) as Promise<never>;
  }

  readPrev(options?: Prev): Promise<never> {
    return inSpan(
      this.#span("readPrev"),
      () => this.#book.readPrev(options as { head: true }),
      found,
    ) as Promise<never>;
  }

  read(options?: Read): AsyncIterableIterator<never> {
    const records: AsyncIterableIterator<RecordHead> = this.#book.read(options as { head: true });
    const traced = options?.follow === true ? records : new TracedReading(records, () => this.#span("read"));
    return traced as AsyncIterableIterator<never>;
  }

  subscribe(subscriber: Subscriber): Promise<Subscription> {
    return this.#book.subscribe(subscriber);
  }

  tail(options?: { readonly signal?: AbortSignal | undefined }): Promise<SeqNum> {
    return inSpan(this.#span("tail"), () => this.#book.tail(options));
  }

  sync(options?: { readonly signal?: AbortSignal | undefined }): Promise<SeqNum> {
    return inSpan(this.#span("sync"), () => this.#book.sync(options));
  }

  setAux(seqnum: SeqNum, bytes: Uint8Array): void {
    this.#book.setAux(seqnum, bytes);
  }

  trim(options: TrimOptions): Promise<void> {
    return inSpan(this.#span("trim"), () => this.#book.trim(options));
  }

  drop(options?: { readonly signal?: AbortSignal | undefined }): Promise<void> {
    return inSpan(this.#span("drop"), () => this.#book.drop(options));
  }
}

function sizesOf(options: AppendOptions | ConditionalAppendOptions | undefined): Attributes {
  const { tags, unless = [] } = options ?? {};
  return { "boki.tags": tags?.length, "boki.conditions": unless.length };
}

function decided(result: AppendResult): Attributes {
  if (result.ok) return { "boki.outcome": "accepted", "boki.seqnum": result.seqnum };
  return { "boki.outcome": "refused", "boki.seqnum": result.conflict.seqnum };
}

/** A span from the first step to the end. */
class TracedReading implements AsyncIterableIterator<LogRecord | RecordHead> {
  readonly #records: AsyncIterableIterator<LogRecord | RecordHead>;
  readonly #start: () => Span;
  #span: Span | undefined;
  #count = 0;

  constructor(records: AsyncIterableIterator<LogRecord | RecordHead>, start: () => Span) {
    this.#records = records;
    this.#start = start;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<LogRecord | RecordHead>> {
    const span = (this.#span ??= this.#start());
    try {
      const step = await during(span, () => this.#records.next());
      if (step.done === true) this.#end();
      else this.#count++;
      return step;
    } catch (error) {
      failed(span, faultIn(error));
      throw error;
    }
  }

  return(): Promise<IteratorResult<LogRecord | RecordHead>> {
    this.#end();
    return this.#records.return!();
  }

  #end(): void {
    this.#span?.setAttribute("boki.records", this.#count);
    this.#span?.end();
  }
}
