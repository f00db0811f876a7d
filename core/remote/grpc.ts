/**
 * The protocol over gRPC: the client's link, and the server's service. The only file that touches gRPC, besides the server that holds
 * its port (server.ts).
 */
import grpc from "@grpc/grpc-js";
import { LogError } from "../errors.js";
import type { Link, LinkEvents } from "./connection.js";
import { errorOf } from "./fault.js";
import {
  encodeSpoken,
  faults,
  type Fault,
  messageBytes,
  serverFrames,
  serverMessageBytes,
  servicePath,
} from "./wire.js";

/** An idle connection is looked at so often, and is dead when there is no answer for so long, ms. */
const keepaliveMs = 10_000;
const keepaliveTimeoutMs = 5_000;

/** Bytes of one stream that may be on their way to a client. */
const windowBytes = 1 << 20;

/** Bytes that messages of appends mostly fit into, and how many such buffers are kept between them. */
const messageBufferBytes = 192 << 10;
const messageBuffersKept = 4;

const channelOptions: grpc.ChannelOptions = {
  "grpc.max_receive_message_length": serverMessageBytes,
  "grpc.max_send_message_length": messageBytes,
  "grpc.keepalive_time_ms": keepaliveMs,
  "grpc.keepalive_timeout_ms": keepaliveTimeoutMs,
  "grpc.keepalive_permit_without_calls": 1,
};

export const serverOptions: grpc.ChannelOptions = {
  ...channelOptions,
  "grpc.max_receive_message_length": messageBytes,
  "grpc.max_send_message_length": serverMessageBytes,
};

/** Trailing metadata of a failed call. */
export const faultKey = "boki-fault-bin";

export interface Target {
  /** "HOST:PORT" or "unix:PATH". */
  readonly address: string;
  readonly credentials: grpc.ChannelCredentials;
  readonly token?: string | undefined;
  /** The name in the server's certificate, where it is another one. */
  readonly serverName?: string | undefined;
}

export function openLink({ address, credentials, token, serverName }: Target, events: LinkEvents): Link {
  const client = new grpc.Client(address, credentials, {
    ...channelOptions,
    "grpc-node.flow_control_window": windowBytes,
    // Each link is a connection of its own, which a broken one does not hold up.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 100,
    // What is unanswered is given again by who knows whether it may be: outbox.ts and calls.ts.
    "grpc.enable_retries": 0,
    ...(serverName === undefined ? undefined : { "grpc.ssl_target_name_override": serverName }),
  });
  const metadata = new grpc.Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  const call = client.makeBidiStreamRequest(
    `/${servicePath}/Session`,
    (bytes: Buffer) => bytes,
    serverFrames.decode,
    metadata,
  );
  const buffers = new MessageBuffers();
  let isOver = false;
  const over = (error: LogError): void => {
    if (isOver) return;
    isOver = true;
    client.close();
    events.closed(error);
  };
  call.on("data", (frame: ReturnType<typeof serverFrames.decode>) => events.frame(frame));
  call.on("drain", () => events.drain());
  call.on("error", (error: grpc.ServiceError) => over(errorOfStatus(error, address)));
  call.on("end", () => over(new LogError("LOG_UNAVAILABLE", `${address} ended the connection`, { retryable: true })));
  return {
    send: (frame) => {
      const bytes = encodeSpoken(frame, buffers.take);
      return call.write(bytes, () => buffers.giveBack(bytes));
    },
    close: () => {
      isOver = true;
      call.on("error", () => undefined);
      call.cancel();
      client.close();
    },
  };
}

/** Memory for messages, used again: what is new for each of them keeps the garbage collector busy. */
class MessageBuffers {
  readonly #free: Buffer[] = [];

  readonly take = (bytes: number): Buffer => {
    if (bytes > messageBufferBytes) return Buffer.allocUnsafe(bytes);
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(messageBufferBytes);
  };

  /** gRPC has made a copy of the message that was in it. */
  giveBack({ buffer, byteOffset }: Buffer): void {
    if (byteOffset > 0 || buffer.byteLength !== messageBufferBytes || this.#free.length === messageBuffersKept) return;
    this.#free.push(Buffer.from(buffer));
  }
}

/** What a call that failed means here. */
export function errorOfStatus({ code, details, metadata }: grpc.ServiceError, address: string): Error & LogError {
  const [fault] = metadata?.get(faultKey) ?? [];
  if (fault instanceof Buffer) return errorOf(faults.decode(fault)) as LogError;
  if (code === grpc.status.UNAUTHENTICATED) return new LogError("LOG_UNAUTHENTICATED", `${address}: ${details}`);
  if (code === grpc.status.UNIMPLEMENTED)
    return new LogError("LOG_VERSION", `${address} does not serve a log of this version: ${details}`);
  return new LogError(
    "LOG_UNAVAILABLE",
    `${address} cannot be reached: ${met(details)}; look whether the server runs there, and whether both sides speak TLS or neither`,
    { retryable: true },
  );
}

/** What gRPC met, without its words around it. */
function met(details: string): string {
  return /Last error: (?:Error: )?(.*?)\s*\.? Resolution note:/s.exec(details)?.[1] ?? details;
}

/** A fault as the status of a call. */
export function statusOf(fault: Fault): grpc.ServiceError {
  const metadata = new grpc.Metadata();
  metadata.set(faultKey, faults.encode(fault));
  return Object.assign(new Error(fault.message), {
    name: fault.code,
    code: statusCodes[fault.code] ?? grpc.status.INTERNAL,
    details: `${fault.code}: ${fault.message}`,
    metadata,
  });
}

const statusCodes: Readonly<Record<string, grpc.status>> = {
  TypeError: grpc.status.INVALID_ARGUMENT,
  RangeError: grpc.status.OUT_OF_RANGE,
  LOG_PROTOCOL: grpc.status.INVALID_ARGUMENT,
  LOG_TOO_LARGE: grpc.status.INVALID_ARGUMENT,
  LOG_TRIMMED: grpc.status.OUT_OF_RANGE,
  LOG_ABORTED: grpc.status.CANCELLED,
  LOG_CLOSED: grpc.status.UNAVAILABLE,
  LOG_UNAVAILABLE: grpc.status.UNAVAILABLE,
  LOG_FULL: grpc.status.RESOURCE_EXHAUSTED,
  LOG_TIMEOUT: grpc.status.DEADLINE_EXCEEDED,
  LOG_SESSION: grpc.status.FAILED_PRECONDITION,
  LOG_VERSION: grpc.status.FAILED_PRECONDITION,
  LOG_UNAUTHENTICATED: grpc.status.UNAUTHENTICATED,
  LOG_FORBIDDEN: grpc.status.PERMISSION_DENIED,
  LOG_CORRUPT: grpc.status.DATA_LOSS,
};
