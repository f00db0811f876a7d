/**
 * Durable checkpoints of replicas: a head record that names the position it covers and the records that hold the state.
 *
 * C1  They have tags of their own: housekeeping conflicts with no transaction.
 * C2  A head is appended unless there is a newer one, so what is covered only grows. Of two that write at once one is refused,
 *     and its parts are trimmed with the next.
 * C3  Nothing is trimmed before the head that covers it is durable.
 */
import { LogError, type LogBook, type SeqNum } from "../core/index.js";
import { decodeCommit, encodeCommit, type Part, StoredPart } from "./envelope.js";
import { MessageReader, writeBytes, writeUint } from "./protobuf.js";
import { checkpointPartTag, checkpointTag } from "./tags.js";

const headKind = 3;
const partKind = 4;

/** Bytes of state in one record, at most. */
export const checkpointPartBytes = 256 * 1024;

export interface CheckpointHead {
  /** Of the head itself. */
  readonly seqnum: SeqNum;
  /** Version of the fold that made the state. */
  readonly foldVersion: number;
  /** Position of the last record in the state, inclusive. */
  readonly covered: SeqNum;
  readonly parts: readonly SeqNum[];
}

/** The newest head, if there is one. */
export async function lastCheckpoint(book: LogBook, name: string): Promise<CheckpointHead | undefined> {
  const record = await book.readPrev({ tag: checkpointTag(name) });
  const part = record && find(record.data, headKind);
  if (part === undefined) return undefined;
  let foldVersion = 0;
  let covered = 0;
  const parts: SeqNum[] = [];
  const reader = new MessageReader(part.body);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) foldVersion = reader.uint();
    else if (field === 2) covered = reader.uint();
    else if (field === 3) parts.push(reader.uint());
    else reader.skip();
  }
  return { seqnum: record!.seqnum, foldVersion, covered, parts };
}

/** The state that a head names, part by part; false if a newer checkpoint has had it trimmed meanwhile. */
export async function readCheckpoint(
  book: LogBook,
  name: string,
  head: CheckpointHead,
  take: (state: Uint8Array) => void,
): Promise<boolean> {
  const tag = checkpointPartTag(name);
  for (const seqnum of head.parts) {
    const record = await book.readNext({ tag, from: seqnum }).catch(ifTrimmed);
    const part = record?.seqnum === seqnum ? find(record.data, partKind) : undefined;
    if (part === undefined) return false;
    const reader = new MessageReader(part.body);
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1) take(reader.bytes());
      else reader.skip();
    }
  }
  return true;
}

function ifTrimmed(error: unknown): undefined {
  if (error instanceof LogError && error.code === "LOG_TRIMMED") return undefined;
  throw error;
}

/** Writes a checkpoint, then trims the one before it. False if somebody else wrote one behind `last`: nothing is changed then. */
export async function writeCheckpoint(
  book: LogBook,
  name: string,
  last: CheckpointHead | undefined,
  { foldVersion, covered }: { readonly foldVersion: number; readonly covered: SeqNum },
  state: Iterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<boolean> {
  const partTag = checkpointPartTag(name);
  const headTag = checkpointTag(name);
  const parts: SeqNum[] = [];
  for (const bytes of state) {
    const part: Part = { kind: partKind, version: 1, write: () => writeBytes(1, bytes) };
    const { seqnum } = await book.append(encodeCommit([part]), { tags: [partTag], signal });
    parts.push(seqnum);
  }
  const head: Part = {
    kind: headKind,
    version: 1,
    write: () => {
      for (let i = parts.length - 1; i >= 0; i--) writeUint(3, parts[i]!);
      writeUint(2, covered);
      writeUint(1, foldVersion);
    },
  };
  const unless = [{ tag: headTag, after: last?.seqnum ?? 0 }];
  const result = await book.append(encodeCommit([head]), { tags: [headTag], unless, signal });
  if (!result.ok) return false;
  if (last !== undefined) await book.trim({ tag: headTag, upTo: last.seqnum, signal });
  if (parts[0]! > 1) await book.trim({ tag: partTag, upTo: parts[0]! - 1, signal });
  return true;
}

function find(data: Uint8Array, kind: number): StoredPart | undefined {
  return decodeCommit(data).find((part): part is StoredPart => part instanceof StoredPart && part.kind === kind);
}
