/**
 * What goes over a connection, as plain objects and as bytes: the only file that touches protocol buffers. What the messages mean is
 * said in proto/log.proto.
 */
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import type { AppendResult, Progress, Recovered, SeqNum, Verified, BackedUp } from "../types.js";

export interface ClientFrame {
  hello?: Hello;
  appends?: Uint8Array;
  calls?: Call[];
  ended?: number[];
  credits?: Credit[];
  traces?: TraceContext[];
}

/** Appends that are to be sent: they are written once, straight into the message. */
export interface Packed {
  readonly bytes: number;
  /** Writes exactly `bytes` bytes into `target` from `at`. */
  write(target: Buffer, at: number): void;
}

/** What a client is about to say. */
export interface SpokenFrame extends Omit<ClientFrame, "appends"> {
  appends?: Packed;
}

export interface TraceContext {
  writer: number;
  n: number;
  count?: number;
  traceparent: string;
}

export interface Hello {
  version: number;
  log?: string;
  seen?: SeqNum;
}

export interface Welcome {
  version: number;
  log: string;
  durability: string;
  applied?: SeqNum;
  recovered?: Recovered;
}

export interface Credit {
  id: number;
  bytes: number;
}

/** A question; exactly one of its requests is there. */
export interface Request {
  readNext?: ReadNextRequest;
  readPrev?: ReadPrevRequest;
  read?: ReadRequest;
  subscribe?: SubscribeRequest;
  tail?: { book: string; sync?: boolean };
  trim?: { book: string; tag?: string | undefined; upTo?: SeqNum };
  drop?: { book: string };
  books?: object;
  stats?: object;
  checkpoint?: object;
  verify?: object;
  backup?: { directory: string };
}

export interface Call extends Request {
  id: number;
  traceparent?: string;
}

export interface ReadNextRequest {
  book: string;
  tag?: string | undefined;
  from?: SeqNum;
  head?: boolean | undefined;
  wait?: boolean | undefined;
  timeoutMs?: number | undefined;
}

export interface ReadPrevRequest {
  book: string;
  tag?: string | undefined;
  upTo?: SeqNum | undefined;
  head?: boolean | undefined;
}

export interface ReadRequest {
  book: string;
  tag?: string | undefined;
  from?: SeqNum | undefined;
  to?: SeqNum | undefined;
  reverse?: boolean | undefined;
  follow?: boolean | undefined;
  head?: boolean | undefined;
  credit?: number;
}

export interface SubscribeRequest {
  book: string;
  from?: SeqNum | undefined;
}

export interface ServerFrame {
  welcome?: Welcome;
  reaches?: Reach[];
  fed?: Fed[];
  answers?: Answer[];
  replies?: Reply[];
  applied?: SeqNum;
}

export interface Reach {
  book: string;
  position?: SeqNum;
}

export interface Fed {
  id: number;
  record: WireRecord;
  ownWriter?: number;
  ownN?: number;
}

export interface WireRecord {
  seqnum: SeqNum;
  time: number;
  tags?: readonly string[];
  size?: number;
  data?: Uint8Array;
}

export interface Answer {
  writer: number;
  n: number;
  count: number;
  accepted?: { seqnum: SeqNum; time: number };
  refused?: { tag: string; seqnum: SeqNum };
  forgotten?: object;
  fault?: Fault;
}

/** What a question brings; exactly one is there. */
export interface Response {
  record?: { record?: WireRecord };
  records?: { records?: WireRecord[]; to?: SeqNum };
  subscribed?: { position?: SeqNum; time?: number };
  tail?: { tail?: SeqNum };
  trimmed?: object;
  dropped?: object;
  books?: { books?: string[] };
  stats?: WireStats;
  checkpointed?: object;
  long?: LongReply;
  fault?: Fault;
}

export interface Reply extends Response {
  id: number;
  last: boolean;
}

export interface LongReply {
  progress?: Partial<Progress>;
  verified?: Partial<Verified>;
  backedUp?: Partial<BackedUp>;
}

export interface WireStats {
  records?: number;
  entries?: number;
  tags?: number;
  indexBytes?: number;
  tagBytes?: number;
  logBytes?: number;
  diskBytes?: number;
  recordCache?: { bytes?: number; entries?: number };
  auxCache?: { bytes?: number; entries?: number };
  appendsWaiting?: number;
  readsWaiting?: number;
  batches?: number;
  checkpointFault?: Fault;
  syncMs?: number;
}

export interface Fault {
  code: string;
  message: string;
  retryable?: boolean;
  outcome?: string;
  trimPoint?: SeqNum;
}

export interface AppendRequest {
  book: string;
  data?: Uint8Array;
  tags?: string[];
  unless?: { tag: string; after?: SeqNum }[];
}

export interface AppendReply {
  accepted?: { seqnum: SeqNum; time: number };
  refused?: { tag: string; seqnum: SeqNum };
}

/** Bytes that a record is counted as, in credits and in what waits to be sent. The same on both sides. */
export function costOf({ tags = [], data }: { readonly tags?: readonly string[]; readonly data?: Uint8Array }): number {
  let bytes = 64 + (data?.length ?? 0);
  for (const tag of tags) bytes += tag.length;
  return bytes;
}

/** Version of the session's protocol. */
export const protocolVersion = 1;

/** Bytes of one message of a client at most: a record and its tags, or what is packed behind each other. */
export const messageBytes = 24 << 20;
/** The same of a server, which may say several things at once beside a record. */
export const serverMessageBytes = 64 << 20;

export const servicePath = "boki.log.v1.Log";

export const protoFile = fileURLToPath(new URL("../../../proto/log.proto", import.meta.url));
const root = protobuf.loadSync(protoFile);
root.resolveAll();
// A class of its own for each message has none of the default values that those of protobufjs have.
for (const type of (root.lookup("boki.log.v1") as protobuf.Namespace).nestedArray) {
  if (type instanceof protobuf.Type) type.ctor = class extends protobuf.Message {};
}

/** Gives positions and times as numbers, where that of protobufjs makes an object of two halves. */
class Reader extends protobuf.BufferReader {
  override uint64(): never {
    let value = 0;
    for (let factor = 1; factor < 2 ** 70; factor *= 128) {
      if (this.pos >= this.len) throw new RangeError("a number ends behind its message");
      const byte = this.buf[this.pos++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value as never;
    }
    throw new RangeError("a number has more than ten bytes");
  }
}

/** How messages of a type become bytes, and back. Fields that were left away are undefined. */
export interface Form<T> {
  readonly encode: (message: T) => Buffer;
  readonly decode: (bytes: Buffer) => T;
}

export function form<T extends object>(name: string): Form<T> {
  const type = root.lookupType(`boki.log.v1.${name}`);
  return {
    encode: (message) => type.encode(message).finish() as Buffer,
    decode: (bytes) => type.decode(new Reader(bytes)) as object as T,
  };
}

export const clientFrames = form<ClientFrame>("ClientFrame");
const { id: appendsField } = root.lookupType("boki.log.v1.ClientFrame").fields["appends"]!;

/** The message of a frame, in a buffer of at least so many bytes that `room` gives. */
export function encodeSpoken(frame: SpokenFrame, room: (bytes: number) => Buffer): Buffer {
  const { appends, ...rest } = frame;
  const others = clientFrames.encode(rest);
  if (appends === undefined) return others;
  const head = protobuf.Writer.create()
    .uint32((appendsField << 3) | 2)
    .uint32(appends.bytes)
    .finish();
  const at = others.length + head.length;
  const message = room(at + appends.bytes);
  message.set(others);
  message.set(head, others.length);
  appends.write(message, at);
  return message.subarray(0, at + appends.bytes);
}

/** A frame as who is told it gets it. */
export function heard({ appends, ...rest }: SpokenFrame): ClientFrame {
  if (appends === undefined) return rest;
  const bytes = Buffer.allocUnsafe(appends.bytes);
  appends.write(bytes, 0);
  return { ...rest, appends: bytes };
}

export const serverFrames = form<ServerFrame>("ServerFrame");
export const faults = form<Fault>("Fault");

/** Name, and the messages' types, of each method of the service. */
export function methods(): protobuf.Method[] {
  return root.lookupService(servicePath).methodsArray.map((method) => method.resolve() as protobuf.Method);
}

export function resultOf(answer: Pick<Answer, "accepted" | "refused">, place: number): AppendResult {
  const { accepted, refused } = answer;
  if (accepted !== undefined) return { ok: true, seqnum: accepted.seqnum + place, time: accepted.time };
  return { ok: false, conflict: { tag: refused!.tag, seqnum: refused!.seqnum } };
}
