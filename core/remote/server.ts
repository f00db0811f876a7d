/**
 * A log served to other processes: gRPC on ports and sockets, a Serving for each session, and every call of the protocol alone.
 */
import grpc from "@grpc/grpc-js";
import { LogError } from "../errors.js";
import type { Session } from "../log.js";
import { faultOf } from "./fault.js";
import { serverOptions, statusOf } from "./grpc.js";
import { append, respond, respondLong, rightOf, welcome, wireRecord } from "./respond.js";
import type { Rights } from "./rights.js";
import { Serving } from "./serving.js";
import {
  type AppendRequest,
  type ClientFrame,
  clientFrames,
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
  readonly #server = new grpc.Server(serverOptions);
  readonly #sessions = new Set<{ readonly end: () => void }>();

  constructor(log: Session, authenticate: Authenticate) {
    this.#log = log;
    this.#authenticate = authenticate;
    this.#server.addService(definition(), this.#handlers());
  }

  /** The server of gRPC, for what else it shall serve. */
  get grpc(): grpc.Server {
    return this.#server;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** Listens at "HOST:PORT"; gives the port. */
  listen(address: string, credentials: grpc.ServerCredentials): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
  }

  /** Takes no new calls, answers what was accepted, ends the sessions, and what is left of them after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    await this.#log.engine.drained();
    for (const session of this.#sessions) session.end();
    const force = setTimeout(() => this.#server.forceShutdown(), graceMs);
    await closed;
    clearTimeout(force);
  }

  #handlers(): grpc.UntypedServiceImplementation {
    const unary =
      (requestOf: (message: object) => Request, replyOf: (response: Response) => object | undefined) =>
      (call: Unary, answered: Answered): void => {
        this.#alone(call, requestOf(call.request), (request, signal) =>
          respond(this.#log, (name) => this.#log.book(name), request, signal).then(replyOf),
        ).then((reply) => answered(null, reply ?? {}), answered);
      };
    return {
      Session: (call: Bidi) => this.#session(call),
      Info: (call: Unary, answered: Answered) => {
        try {
          this.#rights(call);
          answered(null, welcome(this.#log));
        } catch (error) {
          answered(statusOf(faultOf(error)));
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
        void this.#stream(call, { read: call.request as ReadRequest }, (request, signal) =>
          this.#read(call, request.read!, signal),
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

  #session(call: Bidi): void {
    let rights: Rights;
    try {
      rights = this.#rights(call);
    } catch (error) {
      call.emit("error", statusOf(faultOf(error)));
      return;
    }
    let underWay = 0;
    const serving = new Serving(this.#log, rights, {
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
        call.emit("error", statusOf(fault));
      },
    });
    const session = {
      end: () => {
        call.emit(
          "error",
          statusOf(faultOf(new LogError("LOG_UNAVAILABLE", "the server shuts down", { retryable: true }))),
        );
      },
    };
    this.#sessions.add(session);
    const over = (): void => {
      this.#sessions.delete(session);
      serving.close();
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

  /** A call alone: its rights, its end when the client gives up, and faults as statuses. */
  async #alone<T>(
    call: Unary | Streaming,
    request: Request,
    work: (request: Request, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const stop = new AbortController();
    call.on("cancelled", () => stop.abort());
    try {
      this.#rights(call).check(...rightOf(request));
      return await work(request, stop.signal);
    } catch (error) {
      throw statusOf(faultOf(error));
    }
  }

  async #append(call: Unary, request: AppendRequest): Promise<object> {
    try {
      this.#rights(call).check("append", request.book);
      return await append(this.#log, request);
    } catch (error) {
      throw statusOf(faultOf(error));
    }
  }

  async #stream(
    call: Streaming,
    request: Request,
    work: (request: Request, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    try {
      await this.#alone(call, request, work);
      call.end();
    } catch (error) {
      call.emit("error", error);
    }
  }

  async #read(call: Streaming, request: ReadRequest, signal: AbortSignal): Promise<void> {
    const { book, tag, from, to, reverse, follow, head } = request;
    const records = this.#log
      .book(book)
      .read({ tag: tag || undefined, from, to, reverse, follow, head, signal } as object);
    for await (const record of records) {
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
function definition(): grpc.ServiceDefinition {
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
          requestDeserialize: request.decode,
          responseSerialize: response.encode,
          responseDeserialize: response.decode,
        },
      ];
    }),
  );
}
