/**
 * The state of a log as bytes, and back: so that opening reads a dump and the entries behind it.
 *
 *     "BOKISTAT", u32 version, u32 bytes of JSON | JSON: counts, books, writers, what is free | arrays, as they lie in memory
 *
 * A dump is of one position, while the log goes on. What changes in place is small and copied at once: rows, trims, counts
 * of live tags. The arena of postings and the bytes of tags only grow behind what the rows know, as long as nothing in
 * them is given back (`frozen`), so they are read later, slice by slice. Only the end of a book's last run may be newer than
 * the dump; it is set back when the dump is read.
 */
import { LogError } from "../errors.js";
import type { SeqNum } from "../types.js";
import { liveChunkBytes } from "./live.js";
import { postingChunkWords } from "./postings.js";
import { rowChunkWords } from "./rows.js";
import { State } from "./state.js";
import { byteChunkSize } from "./tag-index.js";
import type { WriterState } from "./writers.js";

const magic = Buffer.from("BOKISTAT");
const version = 1;
const headBytes = 16;

interface Head {
  readonly base: SeqNum;
  readonly applied: SeqNum;
  readonly time: number;
  readonly entries: number;
  readonly records: number;
  readonly bytes: number;
  readonly rows: number;
  readonly postings: number;
  readonly postingChunks: number;
  readonly tagBytes: number;
  readonly tagChunks: number;
  readonly trims: number;
  readonly live: number;
  readonly dead: readonly number[];
  readonly many: readonly (readonly [number, number])[];
  readonly books: readonly number[];
  readonly bookKeys: number;
  readonly trimmed: readonly (readonly [book: number, trim: number, horizon: SeqNum])[];
  readonly freeRows: readonly number[];
  readonly freeKeys: readonly (readonly [number, number[]])[];
  readonly freeBlocks: readonly (readonly [number, number[]])[];
  /** Only where a repair has left it. */
  readonly lostUpTo?: SeqNum;
  readonly writers: readonly WriterState[];
  readonly timeline: readonly { readonly time: number; readonly before: SeqNum }[];
}

/** The state as it is now, in slices to be taken one after the other. It is frozen until its owner thaws it, behind the last. */
export function dumpState(state: State): readonly Uint8Array[] {
  const { index, live } = state;
  const { postings, rows } = index;
  live.dropDead(state.applied - state.base + 1);
  const { dead } = live;
  const gone = new Set(dead);
  const head: Head = {
    base: state.base,
    applied: state.applied,
    time: state.time,
    entries: state.entries,
    records: state.records,
    bytes: state.bytes,
    rows: rows.length,
    postings: postings.end,
    postingChunks: postings.chunks.length,
    tagBytes: index.tagBytes,
    tagChunks: index.byteChunks.length,
    trims: state.trims.length,
    live: live.chunks.length,
    dead,
    many: [...live.many],
    books: state.books,
    bookKeys: index.books,
    trimmed: [...state.trimmed].map(([book, { trim, horizon }]) => [book, trim, horizon] as const),
    freeRows: index.freeRows,
    freeKeys: [...index.freeKeys].map(([length, keys]) => [length, [...keys]] as const),
    freeBlocks: [...postings.freeBlocks].map(([capacity, blocks]) => [capacity, [...blocks]] as const),
    ...(state.lostUpTo > 0 && { lostUpTo: state.lostUpTo }),
    writers: state.writers.states(),
    timeline: state.timeline.marks,
  };
  const json = Buffer.from(JSON.stringify(head));
  const first = Buffer.alloc(aligned(headBytes + json.length));
  magic.copy(first, 0);
  first.writeUInt32LE(version, 8);
  first.writeUInt32LE(json.length, 12);
  json.copy(first, headBytes);
  const copies = [
    first,
    ...used(rows.chunks, rows.length * 16).map(copyOf),
    copyOf(bytesOf(state.trims)),
    ...live.chunks.filter((_, i) => !gone.has(i)).map(copyOf),
  ];
  const growing = [...used(postings.chunks, postings.end * 4), ...used(index.byteChunks, index.tagBytes)];
  postings.frozen = true;
  return [...copies, ...growing];
}

/** `bytes` must begin at a multiple of 8 and stay as it is: the state takes it over. */
export function loadState(bytes: Buffer): State {
  if (!bytes.subarray(0, magic.length).equals(magic) || bytes.readUInt32LE(8) !== version) {
    throw new LogError(
      "LOG_VERSION",
      `the checkpoint has format ${bytes.readUInt32LE(8)}; this version of boki reads ${version}. Open the log with a newer boki`,
    );
  }
  const json = bytes.readUInt32LE(12);
  const head = JSON.parse(bytes.toString("utf8", headBytes, headBytes + json)) as Head;
  let at = aligned(headBytes + json);
  const take = (size: number): Uint8Array => {
    const array = new Uint8Array(bytes.buffer, bytes.byteOffset + at, size);
    at += aligned(size);
    return array;
  };
  /** So many chunks, the first of which hold `size` bytes: those that are full as they lie here, the others anew. */
  const chunks = (count: number, chunkBytes: number, size: number): Uint8Array[] =>
    Array.from({ length: count }, (_, i) => {
      const part = take(Math.min(chunkBytes, Math.max(0, size - i * chunkBytes)));
      if (part.length === chunkBytes) return part;
      const chunk = new Uint8Array(chunkBytes);
      chunk.set(part);
      return chunk;
    });

  const state = new State(head.base);
  const { index, live } = state;
  state.applied = head.applied;
  state.time = head.time;
  state.entries = head.entries;
  state.records = head.records;
  state.bytes = head.bytes;
  const rowChunkBytes = rowChunkWords * 4;
  index.rows.restore(
    chunks(Math.ceil((head.rows * 16) / rowChunkBytes), rowChunkBytes, head.rows * 16).map(words),
    head.rows,
  );
  state.trims = words(take(head.trims * 4));
  const stored = head.live - head.dead.length;
  live.restore(head.live, chunks(stored, liveChunkBytes, stored * liveChunkBytes), head.dead);
  for (const [ordinal, count] of head.many) live.many.set(ordinal, count);
  const arena = chunks(head.postingChunks, postingChunkWords * 4, head.postings * 4).map(words);
  index.postings.restore(arena, head.postings, head.freeBlocks);
  const names = chunks(head.tagChunks, byteChunkSize, head.tagBytes);
  index.restore(names, head.tagBytes, head.freeRows, head.freeKeys);
  // Not stored: what tags were trimmed to before they were forgotten is at or below the horizon.
  const ofTags = state.trims.reduce((reach, trim) => Math.max(reach, trim), 0);
  for (const [book, trim, horizon] of head.trimmed) {
    const reach = Math.max(trim, ofTags, horizon - state.base + 1);
    state.trimmed.set(book, { trim, horizon, reach });
  }
  state.lostUpTo = head.lostUpTo ?? 0;
  state.writers.restore(head.writers);
  state.timeline.restore(head.timeline);
  for (const book of head.books) state.books.push(book);
  index.books = head.bookKeys;
  const last = state.applied - state.base + 1;
  for (const book of head.books) if (index.last(book) > last) index.postings.replaceLast(book, last);
  return state;
}

function aligned(size: number): number {
  return (size + 7) & ~7;
}

function bytesOf(array: Uint32Array | Uint8Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** The first `size` bytes of chunks, each part to a multiple of 8. */
function used(chunks: readonly (Uint32Array | Uint8Array)[], size: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let i = 0, left = size; i < chunks.length && left > 0; i++) {
    const chunk = bytesOf(chunks[i]!);
    parts.push(chunk.subarray(0, aligned(Math.min(left, chunk.length))));
    left -= chunk.length;
  }
  return parts;
}

function copyOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}
