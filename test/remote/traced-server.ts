/** A process that serves a log in memory, and says its port and each span that ends here to the process that has forked it. */
import { trace } from "@opentelemetry/api";
import { BasicTracerProvider, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { serve } from "./serve.js";

export interface EndedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly parentId: string | undefined;
}

const tell = (span: ReadableSpan): void => {
  const { name, parentSpanContext } = span;
  process.send!({ name, traceId: span.spanContext().traceId, parentId: parentSpanContext?.spanId } satisfies EndedSpan);
};
const exporter = {
  export(spans: ReadableSpan[], done: (result: { code: number }) => void): void {
    spans.forEach(tell);
    done({ code: 0 });
  },
  shutdown: (): Promise<void> => Promise.resolve(),
};
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));

const server = await serve("memory:");
process.send!(server.url);
process.once("disconnect", () => void server.close());
