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
  trim?: { book: string; tag?: string; upTo?: SeqNum };
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

/** Version of the session's protocol. */
export const protocolVersion = 1;

/** Bytes of one message at most: a record and its tags, or what is packed behind each other. */
export const messageBytes = 24 << 20;

export const servicePath = "boki.log.v1.Log";

export const protoFile = fileURLToPath(new URL("../../../proto/log.proto", import.meta.url));
const root = protobuf.loadSync(protoFile);

/** How messages of a type become bytes, and back. Fields that were left away are undefined. */
export interface Form<T> {
  readonly encode: (message: T) => Buffer;
  readonly decode: (bytes: Buffer) => T;
}

export function form<T extends object>(name: string): Form<T> {
  const type = root.lookupType(`boki.log.v1.${name}`);
  return {
    encode: (message) => type.encode(message).finish() as Buffer,
    decode: (bytes) => type.toObject(type.decode(bytes), { longs: Number }) as T,
  };
}

export const clientFrames = form<ClientFrame>("ClientFrame");
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
