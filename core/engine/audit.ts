/**
 * Follows entries as an engine does, to say whether stored states and records agree: by what they mean, since where things
 * lie in memory, and what was already forgotten, may differ. Also the state of a log of which some entries are lost.
 */
import type { SeqNum } from "../types.js";
import { dumpState, loadState } from "./checkpoint.js";
import { entryHead, entryKind, readNumber, readU16, readU32 } from "./entry.js";
import { State } from "./state.js";
import { unknown } from "./tag-index.js";
import { Waiters } from "./waiters.js";
import { writerMs } from "./writers.js";

/** Differences told of one comparison. */
const differencesMax = 20;

export class Audit {
  state: State;
  readonly #waiters = new Waiters();
  /** After a gap: the last number and time of each writer seen, since its first entry may be lost. */
  #seen: Map<number, { readonly time: number }> | undefined;

  constructor(base: SeqNum = 1) {
    this.state = new State(base);
  }

  get time(): number {
    return this.state.time;
  }

  get records(): number {
    return this.state.records;
  }

  load(bytes: Buffer, position: SeqNum): void {
    const state = loadState(bytes);
    if (state.applied !== position) throw new Error(`it is of position ${state.applied}`);
    this.state = state;
  }

  entry(bytes: Buffer, at: number, size: number, position: SeqNum, time: number): string | undefined {
    const wrong = inspect(bytes, at, size, position);
    if (wrong !== undefined) {
      this.gap();
      return wrong;
    }
    if (position <= this.state.applied) return this.#check(bytes, at, position);
    if (this.#seen !== undefined) this.#trust(bytes, at, time);
    this.state.apply(bytes, at, position, time, this.#waiters);
    this.state.timeline.mark(time, position - 1);
    this.state.sweep(2, this.#waiters);
    return undefined;
  }

  /** Whether the state finds a record where it is. */
  #check(bytes: Buffer, start: number, position: SeqNum): string | undefined {
    const { state } = this;
    if (!state.isNeeded(position)) return undefined;
    let at = start + entryHead;
    const nameEnd = at + bytes[start + 6]!;
    const book = state.findBook(bytes.subarray(at, nameEnd));
    if (book === unknown || state.next(book, undefined, position) !== position)
      return "the index of the checkpoint does not find the record in its book";
    at = nameEnd;
    // Not by those that are trimmed; some of them may be forgotten, and in use again.
    let found = 0;
    for (let left = readU16(bytes, start + 2); left > 0; left--) {
      const end = at + 1 + bytes[at]!;
      const tag = state.findTag(book, bytes.subarray(at, end), end - at);
      if (state.next(book, tag, position) === position) found++;
      at = end;
    }
    const tags = state.live.get(position - state.base + 1);
    return found === tags
      ? undefined
      : `the index of the checkpoint finds the record by ${found} of its tags, and should by ${tags}`;
  }

  gap(): void {
    this.#seen ??= new Map(this.state.writers.states().map(({ id, time }) => [id, { time }]));
  }

  /** The entries before this one of its writer may be lost: it counts as the next of them. */
  #trust(bytes: Buffer, at: number, time: number): void {
    const id = readNumber(bytes, at + 16);
    const n = readNumber(bytes, at + 24);
    const seen = this.#seen!.get(id);
    if (n > 1 && (seen === undefined || time - seen.time > writerMs))
      this.state.writers.restore([{ id, last: n - 1, time: Math.max(time, this.state.time), decisions: [] }]);
    this.#seen!.set(id, { time });
  }

  isNeeded(position: SeqNum): boolean {
    return this.state.isNeeded(position);
  }

  compare(bytes: Buffer, position: SeqNum): string[] {
    const other = loadState(bytes);
    if (other.applied !== position) return [`it is of position ${other.applied}`];
    return differences(this.state, other);
  }

  // Repair

  /** A record is gone. Reads pass over it; conditions still see it. */
  lose(position: SeqNum): void {
    if (this.state.live.clear(position - this.state.base + 1)) this.state.records--;
  }

  /** Nobody knows which tags were at or below `position`, nor in which books: conditions that ask about such are refused. */
  raiseHorizons(position: SeqNum): void {
    this.state.lostUpTo = Math.max(this.state.lostUpTo, position);
  }

  dump(position: SeqNum): Iterable<Uint8Array> {
    this.state.applied = Math.max(this.state.applied, position);
    return dumpState(this.state);
  }
}

/** What is wrong with the form of an entry whose checksum holds. */
function inspect(bytes: Buffer, start: number, size: number, position: SeqNum): string | undefined {
  try {
    if (size < entryHead) return `entry ${position} is shorter than its head`;
    entryKind(bytes, start, position);
  } catch (error) {
    return (error as Error).message;
  }
  const end = start + size;
  let at = start + entryHead + bytes[start + 6]!;
  for (let left = readU16(bytes, start + 2); left > 0 && at < end; left--) at += 1 + bytes[at]!;
  for (let left = readU16(bytes, start + 4); left > 0 && at < end; left--) at += 9 + bytes[at]!;
  return at + readU32(bytes, start + 8) === end ? undefined : `the parts of entry ${position} do not fill it`;
}

/** In what a stored state differs from what the records lead to; both are of one position. */
function differences(made: State, stored: State): string[] {
  const found: string[] = [];
  const say = (what: string): void => {
    if (found.length < differencesMax) found.push(what);
  };
  for (const name of ["base", "applied", "time", "entries", "records", "lostUpTo"] as const)
    if (made[name] !== stored[name]) say(`${name} is ${stored[name]}, not ${made[name]}`);
  compareLive(made, stored, say);
  const rows = describeRows(made);
  const others = describeRows(stored);
  for (const [name, row] of rows) {
    const other = others.get(name);
    if (other !== row) say(`${name}: ${other ?? "unknown"}, not ${row}`);
  }
  for (const [name, row] of others) if (!rows.has(name)) say(`${name}: ${row}, but no record says so`);
  compareWriters(made, stored, say);
  return found;
}

function compareLive(made: State, stored: State, say: (what: string) => void): void {
  for (let i = 0; i < Math.max(made.live.chunks.length, stored.live.chunks.length); i++) {
    const chunk = made.live.chunks[i];
    const other = stored.live.chunks[i];
    if (chunk !== undefined && other !== undefined && Buffer.compare(chunk, other) === 0) continue;
    const bytes = Math.max(chunk?.length ?? 0, other?.length ?? 0);
    for (let ordinal = i * bytes * 2; ordinal < (i + 1) * bytes * 2; ordinal++) {
      const count = made.live.get(ordinal);
      const counted = stored.live.get(ordinal);
      if (count !== counted) say(`record ${made.seqnum(ordinal)} has ${counted} tags left, not ${count}`);
    }
  }
  for (const [ordinal, count] of made.live.many) {
    if (stored.live.many.get(ordinal) !== count)
      say(`record ${made.seqnum(ordinal)} has ${stored.live.many.get(ordinal) ?? 0} tags left, not ${count}`);
  }
}

/** By the name of each book and tag: its last position, what is hidden of it, and a fingerprint of the rest. */
function describeRows(state: State): Map<string, string> {
  const { index } = state;
  const rows = new Map<string, string>();
  for (let row = 0; row < index.rows.length; row++) {
    if (index.isFree(row)) continue;
    const scope = index.scope(row);
    const book = scope === 0 ? row : scope - 1;
    const { trim, horizon } = state.trimmed.get(book) ?? { trim: 0, horizon: 0 };
    const own = scope === 0 ? 0 : (state.trims[row] ?? 0);
    // A trim of a tag at or below the horizon may be forgotten already, with all that the tag had then.
    const hidden = Math.max(trim, state.seqnum(own) > horizon ? own : 0);
    const last = index.last(row);
    if (last === 0) continue;
    if (scope !== 0 && last <= Math.max(trim, own) && state.seqnum(last) <= horizon) continue;
    let count = 0;
    let mark = 0;
    index.postings.forEach(row, Math.max(hidden, own) + 1, last, (ordinal) => {
      count++;
      mark = (Math.imul(mark, 31) + ordinal) >>> 0;
    });
    const name = scope === 0 ? `book ${index.name(row)}` : `tag ${index.name(row)} of book ${index.name(book)}`;
    const trims = scope === 0 ? ` horizon ${horizon}` : "";
    rows.set(name, `last ${state.seqnum(last)}, trimmed to ${state.seqnum(hidden)},${trims} ${count} in list ${mark}`);
  }
  return rows;
}

function compareWriters(made: State, stored: State, say: (what: string) => void): void {
  const describe = (state: State): Map<number, string> =>
    new Map(
      state.writers
        .states()
        .filter(({ time }) => state.time - time <= writerMs)
        .map(({ id, last, time, decisions }) => [id, JSON.stringify([last, time, decisions])]),
    );
  const writers = describe(made);
  const others = describe(stored);
  for (const id of new Set([...writers.keys(), ...others.keys()]))
    if (writers.get(id) !== others.get(id))
      say(`writer ${id} is ${others.get(id) ?? "unknown"}, not ${writers.get(id) ?? "known"}`);
}
