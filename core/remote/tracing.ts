/**
 * Spans of OpenTelemetry: one for a call at the client, and one for what the server does of it. The only file that touches its API.
 *
 * Where no SDK is registered there is nothing of this: books are not wrapped, sessions keep no spans, and a call does no more than
 * look whether a variable is set. What goes on for days (a follow, a subscription) has no span.
 */
import {
  type Attributes,
  isSpanContextValid,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { LogError } from "../errors.js";
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
} from "../types.js";
import type { Next, Prev, Read } from "../read-options.js";
import type { Answer, AppendRequest, Call, Fault, Reply, Request, TraceContext } from "./wire.js";

/** What the API has in the place of an SDK. */
const nobody = new ProxyTracerProvider().getDelegate();

function isTraced(): boolean {
  const provider: Partial<ProxyTracerProvider> = trace.getTracerProvider();
  return provider.getDelegate?.() !== nobody;
}

function tracer(): Tracer {
  return trace.getTracer("boki");
}

/** Of the call that is being made: whatever is sent is handed over before the call returns. */
let current: string | undefined;

/** The trace context that goes with what is handed over now, as W3C writes it. */
export function traceparent(): string | undefined {
  return current;
}

function during<T>(span: Span, call: () => T): T {
  const before = current;
  current = written(span.spanContext());
  try {
    return call();
  } finally {
    current = before;
  }
}

function written({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** Undefined where it is no trace context. */
function parsed(text: string): SpanContext | undefined {
  const [, traceId = "", spanId = "", flags = ""] =
    /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/.exec(text) ?? [];
  const parent = { traceId, spanId, traceFlags: parseInt(flags, 16) & 1, isRemote: true };
  return isSpanContextValid(parent) ? parent : undefined;
}

/** Names of books and operations; what is in tags and data is nobody's business here. */
function attributesOf(operation: string, book: string | undefined): Attributes {
  const attributes: Attributes = { "db.system.name": "boki", "db.operation.name": operation };
  if (book !== undefined) attributes["db.collection.name"] = book;
  return attributes;
}

function failed(span: Span, { code, message, outcome }: Fault): void {
  span.recordException({ name: code, message });
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  span.setAttribute("error.type", code);
  if (outcome !== undefined) span.setAttribute("boki.outcome", outcome);
  span.end();
}

function faultIn(error: unknown): Fault {
  if (error instanceof LogError) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { code: name, message };
}

// The client

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

function inSpan<T>(span: Span, call: () => Promise<T>, describe?: (result: T) => Attributes): Promise<T> {
  return during(span, call).then(
    (result) => {
      if (describe !== undefined) span.setAttributes(describe(result));
      span.end();
      return result;
    },
    (error: unknown) => {
      failed(span, faultIn(error));
      throw error;
    },
  );
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

function found(record: RecordHead | undefined): Attributes {
  return { "boki.seqnum": record?.seqnum };
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

// The server

function serverSpan(operation: string, book: string | undefined, parent: string): Span | undefined {
  const from = parsed(parent);
  if (from === undefined) return undefined;
  const attributes = attributesOf(operation, book);
  const options = { kind: SpanKind.SERVER, attributes };
  return tracer().startSpan(`boki.${operation}`, options, trace.setSpanContext(ROOT_CONTEXT, from));
}

/** A call alone, with the trace context that came with it. */
export function servedAlone<T>(
  parent: unknown,
  request: Request & { append?: AppendRequest },
  work: () => Promise<T>,
): Promise<T> {
  const span =
    typeof parent === "string" && isTraced() && !goesOn(request)
      ? serverSpan(...operationOf(request), parent)
      : undefined;
  return span === undefined ? work() : inSpan(span, work);
}

/** The spans of a session at its server, where an SDK is there to take them. */
export function servedSpans(): ServedSpans | undefined {
  return isTraced() ? new ServedSpans() : undefined;
}

export class ServedSpans {
  readonly #calls = new Map<number, Span>();
  /** By the last append of each. */
  readonly #appends = new Map<string, Span>();
  /** Of the message that is being looked at: trace contexts in the order of its appends, and what is left of the one begun. */
  #traces: readonly TraceContext[] = [];
  #at = 0;
  #run: { readonly span: Span; readonly writer: number; left: number } | undefined;

  call(call: Call): void {
    if (call.traceparent === undefined || goesOn(call)) return;
    const span = serverSpan(...operationOf(call), call.traceparent);
    if (span !== undefined) this.#calls.set(call.id, span);
  }

  replied({ id, fault, record }: Reply): void {
    const span = this.#calls.get(id);
    if (span === undefined) return;
    this.#calls.delete(id);
    if (fault !== undefined) failed(span, fault);
    else {
      if (record !== undefined) span.setAttributes(found(record.record as RecordHead | undefined));
      span.end();
    }
  }

  /** What comes with the appends of the next message. */
  traces(traces: TraceContext[] | undefined): void {
    this.#traces = traces ?? [];
    this.#at = 0;
    this.#run = undefined;
  }

  append(book: Buffer, writer: number, n: number): void {
    const next = this.#traces[this.#at];
    if (next?.writer === writer && next.n === n) {
      this.#at++;
      const { count = 1, traceparent } = next;
      const span = serverSpan("append", book.toString(), traceparent);
      span?.setAttribute("db.operation.batch.size", count);
      this.#run = span === undefined ? undefined : { span, writer, left: count - 1 };
    } else if (this.#run?.writer === writer && this.#run.left > 0) {
      this.#run.left--;
      // Its span ends with this one instead.
      this.#appends.delete(keyOf(writer, n - 1));
    } else this.#run = undefined;
    if (this.#run !== undefined) this.#appends.set(keyOf(writer, n), this.#run.span);
  }

  answered({ writer, n, accepted, refused, fault }: Answer): void {
    if (this.#appends.size === 0) return;
    const key = keyOf(writer, n);
    const span = this.#appends.get(key);
    if (span === undefined) return;
    this.#appends.delete(key);
    if (fault !== undefined) {
      failed(span, fault);
      return;
    }
    if (accepted !== undefined) span.setAttributes({ "boki.outcome": "accepted", "boki.seqnum": accepted.seqnum });
    if (refused !== undefined) span.setAttributes({ "boki.outcome": "refused", "boki.seqnum": refused.seqnum });
    span.end();
  }

  /** The session is over: nothing is answered any more. */
  close(): void {
    for (const span of [...this.#calls.values(), ...this.#appends.values()]) span.end();
    this.#calls.clear();
    this.#appends.clear();
  }
}

function keyOf(writer: number, n: number): string {
  return `${writer}.${n}`;
}

function goesOn({ read, subscribe }: Request): boolean {
  return subscribe !== undefined || read?.follow === true;
}

function operationOf({
  tail,
  ...request
}: Request & { id?: number; traceparent?: string }): [string, string | undefined] {
  if (tail !== undefined) return [tail.sync === true ? "sync" : "tail", tail.book];
  const [operation, asked] = Object.entries(request).find(([, part]) => typeof part === "object") ?? ["call", {}];
  return [operation, (asked as { book?: string }).book];
}
