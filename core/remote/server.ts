/**
 * A log served to other processes: gRPC on ports and sockets, a Serving for each session, and every call of the protocol alone.
 */
import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Duplex } from "node:stream";
import grpc from "@grpc/grpc-js";
import { onAbort } from "../abort.js";
import { LogError } from "../errors.js";
import type { Session } from "../log.js";
import { faultOf } from "./fault.js";
import { serverOptions, statusOf } from "./grpc.js";
import { append, respond, respondLong, rightOf, welcome, wireRecord } from "./respond.js";
import { type Client, nobody, type Observer, type Told } from "./observer.js";
import { allRights, type Rights } from "./rights.js";
import type { Outlet } from "./outgoing.js";
import { Serving } from "./serving.js";
import { servedAlone } from "./tracing/server-spans.js";
import {
  type AppendRequest,
  type ClientFrame,
  clientFrames,
  type Fault,
  form,
  methods,
  type ReadNextRequest,
  type ReadPrevRequest,
  type ReadRequest,
  type Request,
  type Response,
  type ServerFrame,
  serverFrames,
  servicePath,
} from "./wire.js";

/** Bytes of one client that may be on their way here. */
const windowBytes = 4 << 20;

/** Bytes on the way to one client, beyond which the next message is not made yet. */
const underWayBytes = 1 << 20;

/** Who somebody is, by the token of his call. Throws `LOG_UNAUTHENTICATED`. */
export type Authenticate = (token: string | undefined) => Rights;

type Bidi = grpc.ServerDuplexStream<ClientFrame, ServerFrame>;
type Unary = grpc.ServerUnaryCall<object, object>;
type Streaming = grpc.ServerWritableStream<object, object>;
interface InBook {
  book: string;
}
type Answered = (error: grpc.ServiceError | null, reply?: object) => void;

export class LogServer {
  readonly #log: Session;
  readonly #authenticate: Authenticate;
  readonly #observer: Observer;
  readonly #server = new grpc.Server(serverOptions);
  readonly #sessions = new Map<Serving, Client>();
  /** Aborted with an error when the calls end that are not in a session. */
  readonly #ending = new AbortController();

  constructor(log: Session, authenticate: Authenticate, observer: Observer = nobody) {
    this.#log = log;
    this.#authenticate = authenticate;
    this.#observer = observer;
    this.#server.addService(definition(observer), this.#handlers());
  }

  /** The server of gRPC, for what else it shall serve. */
  get grpc(): grpc.Server {
    return this.#server;
  }

  /** Those who have a session, in the order in which they came. */
  get clients(): Client[] {
    return [...this.#sessions.values()];
  }

  /** Listens at "HOST:PORT"; gives the port. */
  listen(address: string, credentials: grpc.ServerCredentials): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, port) => {
        if (error !== null) reject(error);
        else {
          this.#widen();
          resolve(port);
        }
      });
    });
  }

  /** Takes connections that somebody else has accepted. */
  door(): (guest: Duplex) => void {
    const injector = this.#server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
    this.#widen();
    return (guest) => injector.injectConnection(guest);
  }

  /** gRPC has an option for what may be on its way to a client, and none for the other direction: HTTP/2's own is 64 KiB. */
  #widen(): void {
    const { http2Servers } = this.#server as unknown as { http2Servers?: Map<Http2Server, unknown> };
    for (const server of http2Servers?.keys() ?? []) server.off("session", widen).on("session", widen);
  }

  /** Takes nothing more, answers what was accepted, ends sessions and calls; after `graceMs`, whatever is left. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    const force = setTimeout(() => this.#server.forceShutdown(), graceMs);
    for (const serving of this.#sessions.keys()) serving.finishUp();
    // Others in this process may keep the log busy.
    await Promise.race([this.#log.engine.drained(), closed]);
    const error = new LogError("LOG_UNAVAILABLE", "the server shuts down; connect again", { retryable: true });
    for (const serving of this.#sessions.keys()) serving.end(error);
    this.#ending.abort(error);
    await closed;
    clearTimeout(force);
  }

  #handlers(): grpc.UntypedServiceImplementation {
    const unary =
      (requestOf: (message: object) => Request, replyOf: (response: Response) => object | undefined) =>
      (call: Unary, answered: Answered): void => {
        this.#alone(call, requestOf(call.request), async (request, signal, told) => {
          const response = await respond(this.#log, (name) => this.#log.book(name), request, signal);
          if (response.record?.record !== undefined) told.gave(1);
          return replyOf(response);
        }).then((reply) => answered(null, reply ?? {}), answered);
      };
    return {
      Session: (call: Bidi) => this.#session(call),
      Info: (call: Unary, answered: Answered) => {
        try {
          this.#rights(call);
          answered(null, welcome(this.#log));
        } catch (error) {
          answered(this.#statusOf(error, this.#told(call)));
        }
      },
      Append: (call: Unary, answered: Answered) => {
        const request = call.request as AppendRequest;
        this.#append(call, request).then((reply) => answered(null, reply), answered);
      },
      ReadNext: unary(
        (message) => ({ readNext: message as ReadNextRequest }),
        ({ record }) => record,
      ),
      ReadPrev: unary(
        (message) => ({ readPrev: message as ReadPrevRequest }),
        ({ record }) => record,
      ),
      Tail: unary(
        (message) => ({ tail: message as InBook }),
        ({ tail }) => tail,
      ),
      Trim: unary(
        (message) => ({ trim: message as InBook }),
        ({ trimmed }) => trimmed,
      ),
      Drop: unary(
        (message) => ({ drop: message as InBook }),
        ({ dropped }) => dropped,
      ),
      Books: unary(
        (books) => ({ books }),
        ({ books }) => books,
      ),
      Stats: unary(
        (stats) => ({ stats }),
        ({ stats }) => stats,
      ),
      Checkpoint: unary(
        (checkpoint) => ({ checkpoint }),
        ({ checkpointed }) => checkpointed,
      ),
      Read: (call: Streaming) =>
        void this.#stream(call, { read: call.request as ReadRequest }, (request, signal, told) =>
          this.#read(call, request.read!, signal, told),
        ),
      Verify: (call: Streaming) =>
        void this.#stream(call, { verify: call.request }, (request, signal) => this.#long(call, request, signal)),
      Backup: (call: Streaming) =>
        void this.#stream(call, { backup: call.request as { directory: string } }, (request, signal) =>
          this.#long(call, request, signal),
        ),
    };
  }

  #rights(call: { readonly metadata: grpc.Metadata }): Rights {
    const [header] = call.metadata.get("authorization");
    const token = typeof header === "string" ? /^Bearer +(\S+)$/i.exec(header)?.[1] : undefined;
    return this.#authenticate(token);
  }

  #client(call: Unary | Streaming | Bidi, rights: Rights | undefined): Client {
    // A token says who somebody is; where there is none, his certificate does.
    const hasToken = rights !== undefined && rights !== allRights;
    const subject = hasToken ? undefined : call.getAuthContext()?.sslPeerCertificate?.subject;
    const name = subject?.CN?.toString() ?? rights?.name ?? "somebody";
    return { name, peer: call.getPeer(), since: this.#log.clock.now() };
  }

  #told(call: Unary | Streaming | Bidi, rights?: Rights): Told {
    return this.#observer.of(this.#client(call, rights));
  }

  #statusOf(error: unknown, told: Told): grpc.ServiceError {
    const fault = faultOf(error);
    told.fault(fault);
    return statusOf(fault);
  }

  #session(call: Bidi): void {
    let rights: Rights;
    try {
      rights = this.#rights(call);
    } catch (error) {
      call.emit("error", this.#statusOf(error, this.#told(call)));
      return;
    }
    const client = this.#client(call, rights);
    let why: Fault | undefined;
    let underWay = 0;
    const outlet: Outlet = {
      send: (frame, bytes) => {
        underWay += bytes;
        const isFree = call.write(frame, () => {
          underWay -= bytes;
          if (underWay < underWayBytes && !call.writableNeedDrain) serving.drain();
        });
        return isFree && underWay < underWayBytes;
      },
      setReading: (isReading) => (isReading ? call.resume() : call.pause()),
      end: (fault) => {
        why = fault;
        call.emit("error", statusOf(fault));
      },
    };
    const serving = new Serving(this.#log, rights, outlet, this.#observer.of(client));
    this.#sessions.set(serving, client);
    this.#observer.opened(client);
    const stop = onAbort(rights.ended, () => serving.end(rights.ended!.reason as LogError));
    const over = (): void => {
      if (!this.#sessions.delete(serving)) return;
      stop();
      serving.close();
      this.#observer.closed(client, why);
    };
    call.on("data", (frame: ClientFrame) => serving.frame(frame));
    call.on("end", () => {
      over();
      call.end();
    });
    call.on("cancelled", over);
    call.on("close", over);
    call.on("error", over);
  }

  /** A call alone: its rights, its end when the client gives up or may not go on, and faults as statuses. */
  async #alone<T>(
    call: Unary | Streaming,
    request: Request,
    work: (request: Request, signal: AbortSignal, told: Told) => Promise<T>,
  ): Promise<T> {
    const stop = new AbortController();
    call.on("cancelled", () => stop.abort());
    let told: Told | undefined;
    try {
      const rights = this.#rights(call);
      told = this.#told(call, rights);
      rights.check(...rightOf(request));
      const signals = [stop.signal, this.#ending.signal];
      if (rights.ended !== undefined) signals.push(rights.ended);
      const either = AbortSignal.any(signals);
      const caller = told;
      return await servedAlone(traceparentOf(call), request, () => work(request, either, caller));
    } catch (error) {
      const ended = error instanceof LogError && error.code === "LOG_ABORTED" && error.cause instanceof LogError;
      throw this.#statusOf(ended ? error.cause : error, told ?? this.#told(call));
    }
  }

  async #append(call: Unary, request: AppendRequest): Promise<object> {
    const { clock } = this.#log;
    const at = clock.monotonic();
    let told: Told | undefined;
    try {
      const rights = this.#rights(call);
      told = this.#told(call, rights);
      rights.check("append", request.book);
      const reply = await servedAlone(traceparentOf(call), { append: request }, () => append(this.#log, request));
      told.appended(reply.accepted === undefined ? "refused" : "accepted", clock.monotonic() - at);
      return reply;
    } catch (error) {
      told?.appended("failed", clock.monotonic() - at);
      throw this.#statusOf(error, told ?? this.#told(call));
    }
  }

  async #stream(
    call: Streaming,
    request: Request,
    work: (request: Request, signal: AbortSignal, told: Told) => Promise<void>,
  ): Promise<void> {
    try {
      await this.#alone(call, request, work);
      call.end();
    } catch (error) {
      call.emit("error", error);
    }
  }

  async #read(call: Streaming, request: ReadRequest, signal: AbortSignal, told: Told): Promise<void> {
    const { book, tag, from, to, reverse, follow, head } = request;
    const records = this.#log
      .book(book)
      .read({ tag: tag || undefined, from, to, reverse, follow, head, signal } as object);
    for await (const record of records) {
      told.gave(1);
      if (!call.write(wireRecord(record))) await drained(call, signal);
    }
  }

  async #long(call: Streaming, request: Request, signal: AbortSignal): Promise<void> {
    const reply = await respondLong(this.#log, request, {
      signal,
      onProgress: (progress) => void call.write({ progress }),
    });
    call.write(reply);
  }
}

function widen(session: ServerHttp2Session): void {
  session.settings({ initialWindowSize: windowBytes });
  session.setLocalWindowSize(windowBytes);
}

/** As instrumented clients send it. */
function traceparentOf({ metadata }: Unary | Streaming): unknown {
  return metadata.get("traceparent")[0];
}

function drained(call: Streaming, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    call.on("drain", done);
    signal.addEventListener("abort", done);
  });
}

/** The service as gRPC wants it. */
function definition(observer: Observer): grpc.ServiceDefinition {
  return Object.fromEntries(
    methods().map(({ name, requestType, responseType, requestStream = false, responseStream = false }) => {
      const isSession = name === "Session";
      const request = isSession ? clientFrames : form<object>(requestType);
      const response = isSession ? serverFrames : form<object>(responseType);
      return [
        name,
        {
          path: `/${servicePath}/${name}`,
          requestStream,
          responseStream,
          requestSerialize: request.encode,
          requestDeserialize: (bytes: Buffer) => {
            observer.received(bytes.length);
            return request.decode(bytes);
          },
          responseSerialize: (message: object) => {
            const bytes = response.encode(message);
            observer.sent(bytes.length);
            return bytes;
          },
          responseDeserialize: response.decode,
        },
      ];
    }),
  );
}
