/** A client that says what it likes: frames of the protocol, straight on a stream of gRPC, and appends under numbers of its own. */
import grpc from "@grpc/grpc-js";
import { Append, Single } from "../../core/engine/append.js";
import { HeaderWriter, recordKind } from "../../core/engine/entry.js";
import {
  type ClientFrame,
  clientFrames,
  protocolVersion,
  type ServerFrame,
  serverFrames,
  serverMessageBytes,
  servicePath,
} from "../../core/remote/wire.js";

export interface RawOptions {
  /** Whether it greets, and takes what comes. Default true. */
  readonly greets?: boolean;
  readonly reads?: boolean;
}

export class RawSession {
  readonly frames: ServerFrame[] = [];
  /** Why the server ended it; undefined if it just ended. */
  readonly ended: Promise<grpc.ServiceError | undefined>;
  readonly #client: grpc.Client;
  readonly #call: grpc.ClientDuplexStream<ClientFrame | Uint8Array, ServerFrame>;
  #look: () => void = () => undefined;

  constructor(port: number, { greets = true, reads = true }: RawOptions = {}) {
    this.#client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      "grpc.max_receive_message_length": serverMessageBytes,
      "grpc.use_local_subchannel_pool": 1,
    });
    this.#call = this.#client.makeBidiStreamRequest(
      `/${servicePath}/Session`,
      (message: ClientFrame | Uint8Array) =>
        message instanceof Uint8Array ? Buffer.from(message) : clientFrames.encode(message),
      serverFrames.decode,
    );
    this.ended = new Promise((resolve) => {
      this.#call.on("error", (error) => resolve(error as grpc.ServiceError));
      this.#call.on("end", () => resolve(undefined));
    });
    if (reads)
      this.#call.on("data", (frame: ServerFrame) => {
        this.frames.push(frame);
        this.#look();
      });
    if (greets) this.say({ hello: { version: protocolVersion } });
  }

  /** Says a frame, or bytes in the place of one. False when it shall wait. */
  say(frame: ClientFrame | Uint8Array): boolean {
    return this.#call.write(frame);
  }

  /** Resolves when `find` gives something, looking at all that came so far. */
  until<T>(find: (frames: readonly ServerFrame[]) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#look = () => {
        const found = find(this.frames);
        if (found !== undefined) resolve(found);
      };
      this.#look();
      void this.ended.then((error) => reject(error ?? new Error("the session ended")));
    });
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}

/** Records of one writer as they are sent, from number `n` on. */
export function entries(writer: number, n: number, acked: number, ...datas: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(datas.map((data, i) => entry({ writer, n: n + i, acked, data })));
}

export interface Draft {
  readonly book?: string;
  readonly tags?: readonly string[];
  readonly data: string | Uint8Array;
  readonly writer: number;
  readonly n: number;
  readonly acked?: number;
}

const headers = new HeaderWriter();

export function entry({ book = "b", tags = ["t"], data, writer, n, acked = 0 }: Draft): Buffer {
  headers.begin(recordKind, Buffer.from(book));
  for (const tag of tags) headers.tag(tag);
  const append = new Append(headers, Buffer.from(data), new Single(), 0);
  Object.assign(append, { writer, n, acked });
  const bytes = Buffer.alloc(append.size);
  append.encode(bytes, 0);
  return bytes;
}
