/** What each question brings that has one answer: the same for a session's calls and for calls alone. */
import { Buffer } from "node:buffer";
import type { Session } from "../log.js";
import type { Log, LogBook, LogRecord, LongOptions, RecordHead } from "../types.js";
import { faultOf } from "./fault.js";
import type { Right } from "./rights.js";
import type { AppendReply, AppendRequest, LongReply, Request, Response, Welcome, WireRecord } from "./wire.js";
import { protocolVersion } from "./wire.js";

/** What a request needs, and in which book. */
export function rightOf(request: Request): [right: Right, book: string | undefined] {
  const read = request.readNext ?? request.readPrev ?? request.read ?? request.subscribe ?? request.tail;
  if (read !== undefined) return ["read", read.book];
  const trim = request.trim ?? request.drop;
  return trim === undefined ? ["admin", undefined] : ["trim", trim.book];
}

export function welcome({ id, durability, engine, recovered }: Session): Welcome {
  return {
    version: protocolVersion,
    log: id,
    durability,
    applied: engine.applied,
    ...(recovered === undefined ? undefined : { recovered }),
  };
}

/** Answers a request that has one answer. Rejects as the call on an embedded log does. */
export async function respond(
  log: Log,
  bookOf: (name: string) => LogBook,
  request: Request,
  signal?: AbortSignal,
): Promise<Response> {
  if (request.readNext !== undefined) {
    const { book, tag, from, head, wait, timeoutMs } = request.readNext;
    return record(
      await bookOf(book).readNext({ tag: tag || undefined, from, head, wait, timeoutMs, signal } as object),
    );
  }
  if (request.readPrev !== undefined) {
    const { book, tag, upTo, head } = request.readPrev;
    return record(await bookOf(book).readPrev({ tag: tag || undefined, upTo, head } as object));
  }
  if (request.tail !== undefined) {
    const book = bookOf(request.tail.book);
    return { tail: { tail: await (request.tail.sync === true ? book.sync({ signal }) : book.tail({ signal })) } };
  }
  if (request.trim !== undefined) {
    const { book, tag, upTo = 0 } = request.trim;
    await bookOf(book).trim({ tag: tag || undefined, upTo });
    return { trimmed: {} };
  }
  if (request.drop !== undefined) {
    await bookOf(request.drop.book).drop();
    return { dropped: {} };
  }
  if (request.books !== undefined) return { books: { books: await log.books() } };
  if (request.stats !== undefined) {
    const { checkpointFault, ...stats } = await log.stats();
    return {
      stats: {
        ...stats,
        ...(checkpointFault === undefined ? undefined : { checkpointFault: faultOf(checkpointFault) }),
      },
    };
  }
  if (request.checkpoint !== undefined) {
    await log.checkpoint({ signal });
    return { checkpointed: {} };
  }
  throw new TypeError("the request is none that this version of boki knows; use the same version on both sides");
}

/** Carries out what takes long; `onStep` is told how far it is. */
export async function respondLong(log: Log, request: Request, options: LongOptions): Promise<LongReply> {
  if (request.verify !== undefined) return { verified: await log.verify(options) };
  return { backedUp: await log.backup(request.backup!.directory, options) };
}

export async function append(log: Log, request: AppendRequest): Promise<AppendReply> {
  const { book, data = Buffer.alloc(0), tags = [], unless = [] } = request;
  const conditions = unless.map(({ tag, after = 0 }) => ({ tag, after }));
  const result = await log.book(book).append(data, { tags, unless: conditions });
  if (result.ok) return { accepted: { seqnum: result.seqnum, time: result.time } };
  return { refused: result.conflict };
}

function record(found: RecordHead | undefined): Response {
  return { record: found === undefined ? {} : { record: wireRecord(found) } };
}

/** Without data where it has none. */
export function wireRecord(record: RecordHead | LogRecord): WireRecord {
  const { seqnum, time, tags, size } = record;
  return "data" in record ? { seqnum, time, tags, size, data: record.data } : { seqnum, time, tags, size };
}
