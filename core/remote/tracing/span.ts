/**
 * What the spans of clients and of servers have in common, and how one knows of the other: the trace context of W3C, handed over
 * with each call. Where no SDK is registered there is nothing of all this but a look at whether there is one.
 */
import {
  type Attributes,
  isSpanContextValid,
  ProxyTracerProvider,
  type Span,
  type SpanContext,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { LogError } from "../../errors.js";
import type { RecordHead } from "../../types.js";
import type { Fault } from "../wire.js";

/** What the API has in the place of an SDK. */
const nobody = new ProxyTracerProvider().getDelegate();

export function isTraced(): boolean {
  const provider: Partial<ProxyTracerProvider> = trace.getTracerProvider();
  return provider.getDelegate?.() !== nobody;
}

export function tracer(): Tracer {
  return trace.getTracer("boki");
}

/** Of the call that is being made: whatever is sent is handed over before the call returns. */
let current: string | undefined;

/** The trace context that goes with what is handed over now, as W3C writes it. */
export function traceparent(): string | undefined {
  return current;
}

export function during<T>(span: Span, call: () => T): T {
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
export function parsed(text: string): SpanContext | undefined {
  const [, traceId = "", spanId = "", flags = ""] =
    /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/.exec(text) ?? [];
  const parent = { traceId, spanId, traceFlags: parseInt(flags, 16) & 1, isRemote: true };
  return isSpanContextValid(parent) ? parent : undefined;
}

/** Names of books and operations; what is in tags and data is nobody's business here. */
export function attributesOf(operation: string, book: string | undefined): Attributes {
  const attributes: Attributes = { "db.system.name": "boki", "db.operation.name": operation };
  if (book !== undefined) attributes["db.collection.name"] = book;
  return attributes;
}

export function failed(span: Span, { code, message, outcome }: Fault): void {
  span.recordException({ name: code, message });
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  span.setAttribute("error.type", code);
  if (outcome !== undefined) span.setAttribute("boki.outcome", outcome);
  span.end();
}

export function faultIn(error: unknown): Fault {
  if (error instanceof LogError) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { code: name, message };
}

/** Carries out a call, in a span that ends with it. */
export function inSpan<T>(span: Span, call: () => Promise<T>, describe?: (result: T) => Attributes): Promise<T> {
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

export function found(record: RecordHead | undefined): Attributes {
  return { "boki.seqnum": record?.seqnum };
}
