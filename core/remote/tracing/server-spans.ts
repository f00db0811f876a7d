/** What the server does of a client's call, as a span within that one's. */
import { ROOT_CONTEXT, type Span, SpanKind, trace } from "@opentelemetry/api";
import type { RecordHead } from "../../types.js";
import type { Answer, AppendRequest, Call, Reply, Request, TraceContext } from "../wire.js";
import { attributesOf, failed, found, inSpan, isTraced, parsed, tracer } from "./span.js";

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
