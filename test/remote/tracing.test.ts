/** Spans of calls, at both ends: with the SDK of OpenTelemetry, and without one. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { on, once } from "node:events";
import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import grpc from "@grpc/grpc-js";
import { openLog } from "../../core/index.js";
import { form } from "../../core/remote/wire.js";
import type { Log, LogBook } from "../../core/types.js";
import { serve, type Served } from "./serve.js";
import type { EndedSpan } from "./traced-server.js";

const text = (data: string): Buffer => Buffer.from(data);

describe("tracing", () => {
  let server: Served;
  let log: Log;

  describe("with an SDK", () => {
    const exporter = new InMemorySpanExporter();
    let book: LogBook;

    before(() => {
      context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
      trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
    });
    after(() => {
      trace.disable();
      context.disable();
    });
    beforeEach(async () => {
      server = await serve("memory:");
      log = await openLog(server.url);
      book = log.book("orders");
      exporter.reset();
    });
    afterEach(async () => {
      await log.close();
      await server.close();
    });

    /** The spans that ended so far, as `kind of operation`. */
    function ended(operation: string, kind: SpanKind): ReadableSpan[] {
      return exporter.getFinishedSpans().filter((span) => span.name === `boki.${operation}` && span.kind === kind);
    }

    function both(operation: string): [client: ReadableSpan, server: ReadableSpan] {
      const [client, ...clients] = ended(operation, SpanKind.CLIENT);
      const [served, ...more] = ended(operation, SpanKind.SERVER);
      assert.ok(client !== undefined && served !== undefined, `${operation} has no span at one of the ends`);
      assert.deepEqual([...clients, ...more], [], `${operation} has more than one span at an end`);
      return [client, served];
    }

    it("has a span for each call, under the caller's, and the server's span under that", async () => {
      const tracer = trace.getTracer("test");
      const calls: Record<string, () => Promise<unknown>> = {
        append: () => book.append(text("a"), { tags: ["t"] }),
        appendAll: () => book.appendAll([{ data: text("b"), tags: ["t"] }]),
        // Not what the client remembers.
        readNext: () => book.readNext({ tag: "t" }),
        readPrev: () => book.readPrev({ tag: "t" }),
        tail: () => book.tail(),
        sync: () => book.sync(),
        trim: () => book.trim({ upTo: 1 }),
        read: async () => {
          for await (const _ of book.read({ tag: "t" }));
        },
        drop: () => book.drop(),
        books: () => log.books(),
        stats: () => log.stats(),
        checkpoint: () => log.checkpoint(),
        verify: () => log.verify(),
      };
      for (const [operation, call] of Object.entries(calls)) {
        exporter.reset();
        const root = tracer.startSpan("root");
        await context.with(trace.setSpan(context.active(), root), call);
        root.end();
        // Appends are "append" at the server, however they were called.
        const [client] = ended(operation, SpanKind.CLIENT);
        const [served] = exporter.getFinishedSpans().filter(({ kind }) => kind === SpanKind.SERVER);
        assert.ok(client !== undefined && served !== undefined, `${operation} has no span at one of the ends`);
        const { traceId, spanId } = root.spanContext();
        assert.equal(client.parentSpanContext?.spanId, spanId, operation);
        assert.equal(served.parentSpanContext?.spanId, client.spanContext().spanId, operation);
        assert.equal(served.parentSpanContext?.isRemote, true, operation);
        assert.equal(served.spanContext().traceId, traceId, operation);
        if (operation !== "appendAll" && operation !== "drop") assert.equal(served.name, `boki.${operation}`);
        assert.equal(exporter.getFinishedSpans().length, 3, operation);
      }
    });

    it("goes on in the spans of a server that is another process", async () => {
      const child = fork(new URL("traced-server.js", import.meta.url));
      const [url] = (await once(child, "message")) as [string];
      const remote = await openLog(url);
      const messages = on(child, "message");
      await remote.book("orders").append(text("a"), { tags: ["t"] });
      const { value } = (await messages.next()) as { value: [EndedSpan] };
      const { traceId, spanId } = ended("append", SpanKind.CLIENT)[0]!.spanContext();
      assert.deepEqual(value[0], { name: "boki.append", traceId, parentId: spanId });
      assert.deepEqual(ended("append", SpanKind.SERVER), []);
      await remote.close();
      child.disconnect();
      assert.deepEqual(await once(child, "exit"), [0, null]);
    });

    it("says which book, how many tags and conditions, what became of it and where", async () => {
      await book.append(text("first"), { tags: ["a", "b"] });
      const [client, served] = both("append");
      assert.deepEqual(client.attributes, {
        "db.system.name": "boki",
        "db.operation.name": "append",
        "db.collection.name": "orders",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "boki.tags": 2,
        "boki.conditions": 0,
        "boki.outcome": "accepted",
        "boki.seqnum": 1,
      });
      assert.deepEqual(served.attributes, {
        "db.system.name": "boki",
        "db.operation.name": "append",
        "db.collection.name": "orders",
        "db.operation.batch.size": 1,
        "boki.outcome": "accepted",
        "boki.seqnum": 1,
      });
      assert.deepEqual([client.status.code, served.status.code], [SpanStatusCode.UNSET, SpanStatusCode.UNSET]);
    });

    it("a refused append is no error", async () => {
      await book.append(text("first"), { tags: ["a"] });
      exporter.reset();
      await book.append(text("second"), { tags: ["a"], unless: [{ tag: "a", after: 0 }] });
      for (const span of both("append")) {
        assert.equal(span.attributes["boki.outcome"], "refused");
        assert.equal(span.attributes["boki.seqnum"], 1);
        assert.equal(span.status.code, SpanStatusCode.UNSET);
      }
    });

    it("many records of one call have one span at each end, and calls beside it their own", async () => {
      const all = Array.from({ length: 100 }, (_, i) => ({ data: text(String(i)), tags: ["t"] }));
      const [, alone] = await Promise.all([book.appendAll(all), book.append(text("one"), { tags: ["t"] })]);
      const served = ended("append", SpanKind.SERVER);
      assert.deepEqual(
        served.map(({ attributes }) => [attributes["db.operation.batch.size"], attributes["boki.seqnum"]]),
        [
          [100, 100],
          [1, alone.seqnum],
        ],
      );
      const [group] = ended("appendAll", SpanKind.CLIENT);
      const [single] = ended("append", SpanKind.CLIENT);
      assert.equal(group!.attributes["db.operation.batch.size"], 100);
      assert.deepEqual(
        served.map(({ parentSpanContext }) => parentSpanContext?.spanId),
        [group!.spanContext().spanId, single!.spanContext().spanId],
      );
    });

    it("records errors at both ends", async () => {
      await book.append(text("a"), { tags: ["t"] });
      await assert.rejects(book.trim({ upTo: 7 }), RangeError);
      for (const span of both("trim")) {
        assert.equal(span.status.code, SpanStatusCode.ERROR);
        assert.match(span.status.message!, /tail/);
        assert.equal(span.attributes["error.type"], "RangeError");
        assert.equal(span.events[0]!.name, "exception");
      }
      const signal = AbortSignal.abort();
      await assert.rejects(book.append(text("b"), { tags: ["t"], signal }), { code: "LOG_ABORTED" });
      const span = ended("append", SpanKind.CLIENT).at(-1)!;
      assert.equal(span.attributes["error.type"], "LOG_ABORTED");
      assert.equal(span.attributes["boki.outcome"], "none");
      const records = book.read({ from: -1 });
      await assert.rejects(records.next());
      assert.equal(ended("read", SpanKind.CLIENT)[0]!.status.code, SpanStatusCode.ERROR);
    });

    it("what goes on has no span", async () => {
      const { stop } = await book.subscribe({ record: () => undefined, end: () => undefined });
      const records = book.read({ follow: true });
      const first = records.next();
      await book.append(text("a"), { tags: ["t"] });
      await first;
      await records.return!();
      stop();
      await log.close();
      assert.deepEqual(
        exporter.getFinishedSpans().map(({ name }) => name),
        ["boki.append", "boki.append"],
      );
    });

    it("a call alone is a child of what its metadata says", async () => {
      const requests = form<object>("TailRequest");
      const replies = form<object>("TailReply");
      const client = new grpc.Client(server.url.slice("grpc://".length), grpc.credentials.createInsecure());
      const metadata = new grpc.Metadata();
      const traceId = "0af7651916cd43dd8448eb211c80319c";
      metadata.set("traceparent", `00-${traceId}-b7ad6b7169203331-01`);
      await new Promise<void>((resolve, reject) =>
        client.makeUnaryRequest(
          "/boki.log.v1.Log/Tail",
          requests.encode,
          replies.decode,
          { book: "orders" },
          metadata,
          (error) => (error === null ? resolve() : reject(error)),
        ),
      );
      client.close();
      const [span] = ended("tail", SpanKind.SERVER);
      assert.equal(span!.spanContext().traceId, traceId);
      assert.equal(span!.parentSpanContext?.spanId, "b7ad6b7169203331");
    });
  });

  it("without an SDK, nothing is wrapped and nothing is sent", async () => {
    server = await serve("memory:");
    log = await openLog(server.url);
    assert.equal(log.book("b").constructor.name, "RemoteBook");
    const { seqnum } = await log.book("b").append(text("a"), { tags: ["t"] });
    assert.equal((await log.book("b").readNext({ tag: "t" }))?.seqnum, seqnum);
    await log.close();
    await server.close();
  });
});
