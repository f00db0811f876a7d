/**
 * The state of one object, folded from its own tag stream.
 *
 * Every so often an update writes the whole value instead of patches (see `wholeDue`). That is the checkpoint of an object:
 * reading a closed one goes back in its stream to the last whole value and forward again from there, and all before it can be
 * trimmed.
 */
import { Immer, enableMapSet, enablePatches } from "immer";
import type { LogBook, LogRecord, SeqNum } from "../../core/index.js";
import type { Values } from "../codec.js";
import { decodeCommit } from "../envelope.js";
import type { Place } from "../feed.js";
import { MessageReader, beginMessage, endMessage, writeBytes, writeString, writeUint } from "../protobuf.js";
import { isTrimmed, step, type Fold, type Load, type Version } from "../replica.js";
import { objectTag } from "../tags.js";
import { freezeValue } from "../value.js";
import { ObjectChange, storeParts } from "./change.js";
import { unpackPatches } from "./patches.js";

enablePatches();
enableMapSet();
/** Our own, so that what users set for theirs changes nothing here. */
export const immer = new Immer({ autoFreeze: true });

export interface ObjectState {
  readonly exists: boolean;
  /** Frozen, as it was written. */
  readonly value: unknown;
  /** Version of the value that the collection had when it was written. */
  readonly version: number;
  /** Log time, ms; Infinity for never. */
  readonly expiresAt: number;
  /** Bytes of the last whole value as encoded. */
  readonly wholeBytes: number;
  /** Patches since, and their bytes. */
  readonly patches: number;
  readonly patchBytes: number;
}

export const absent: ObjectState = Object.freeze({
  exists: false,
  value: undefined,
  version: 0,
  expiresAt: Infinity,
  wholeBytes: 0,
  patches: 0,
  patchBytes: 0,
});

/** What a record costs besides what it carries: its head, tags and place in the index. */
const recordOverhead = 128;
/** So many patches may lie behind a whole value, or one for each so many bytes of it. */
const patchesMax = 16;
const bytesPerPatch = 4096;

/** Whether an update should write the whole value: it is smaller, or the patches since would cost as much to keep or to read. */
export function wholeDue(state: ObjectState, patchBytes: number): boolean {
  const { wholeBytes, patches } = state;
  return (
    patchBytes >= wholeBytes ||
    patches >= Math.max(patchesMax, wholeBytes / bytesPerPatch) ||
    state.patchBytes + patches * recordOverhead > wholeBytes + recordOverhead
  );
}

/** Bytes that an open object takes, roughly. */
export function stateBytes(state: ObjectState): number {
  return 400 + 3 * (state.wholeBytes + state.patchBytes);
}

export class ObjectFold implements Fold<ObjectState, ObjectChange> {
  readonly #values: Values;

  constructor(values: Values) {
    this.#values = values;
  }

  isWhole(change: ObjectChange): boolean {
    return change.isWhole;
  }

  apply(state: ObjectState, change: ObjectChange, place: Place): ObjectState {
    if (change.fault !== undefined) throw change.fault;
    switch (change.what) {
      case "deleted":
        return absent;
      case "same":
        return { ...state, expiresAt: this.#expiresAt(change, place, state.expiresAt) };
      case "value":
        return {
          exists: true,
          value: change.hasNext ? change.next : freezeValue(this.#values.decode(change.bytes!)),
          version: change.valueVersion,
          expiresAt: this.#expiresAt(change, place, Infinity),
          wholeBytes: change.bytes!.length,
          patches: 0,
          patchBytes: 0,
        };
      case "patches":
        return {
          exists: true,
          value: change.hasNext ? change.next : this.#patched(state, change),
          version: state.version,
          expiresAt: this.#expiresAt(change, place, state.expiresAt),
          wholeBytes: state.wholeBytes,
          patches: state.patches + 1,
          patchBytes: state.patchBytes + change.bytes!.length,
        };
    }
  }

  #expiresAt(change: ObjectChange, place: Place, before: number): number {
    if (change.neverExpires) return Infinity;
    if (change.expiresAt > 0) return change.expiresAt;
    return change.expiresIn > 0 ? place.time + change.expiresIn : before;
  }

  #patched(state: ObjectState, change: ObjectChange): unknown {
    if (!state.exists) throw new Error("patches of an object that is not there");
    if (state.version !== change.valueVersion) throw new Error("patches of a value of another version");
    return immer.applyPatches(state.value as object, unpackPatches(this.#values.decode(change.bytes!)));
  }

  /** The state as bytes, for aux data. They name the object: a record that changes several has aux data of one of them. */
  save(state: ObjectState, tag: string): Uint8Array {
    const value = state.exists ? this.#values.encode(state.value) : undefined;
    beginMessage();
    writeString(7, tag);
    writeUint(6, state.patchBytes);
    writeUint(5, state.patches);
    writeUint(4, state.wholeBytes);
    if (state.expiresAt !== Infinity) writeUint(3, state.expiresAt);
    writeUint(2, state.version);
    if (value !== undefined) writeBytes(1, value);
    return endMessage();
  }

  /** Undefined for aux data of another object. */
  load(bytes: Uint8Array, tag: string): ObjectState | undefined {
    const reader = new MessageReader(bytes);
    let of = "";
    const state: { -readonly [Name in keyof ObjectState]: ObjectState[Name] } = { ...absent };
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1) {
        state.value = freezeValue(this.#values.decode(reader.bytes()));
        state.exists = true;
      } else if (field === 2) state.version = reader.uint();
      else if (field === 3) state.expiresAt = reader.uint();
      else if (field === 4) state.wholeBytes = reader.uint();
      else if (field === 5) state.patches = reader.uint();
      else if (field === 6) state.patchBytes = reader.uint();
      else if (field === 7) of = reader.string();
      else reader.skip();
    }
    return of === tag ? state : undefined;
  }

  /** Reads an object's stream back to where its state is known, and folds it forward. */
  reader(book: LogBook, collection: string, key: string): Load<ObjectState> {
    return (upTo, oldest) => this.#read(book, collection, key, upTo, oldest);
  }

  async #read(
    book: LogBook,
    collection: string,
    key: string,
    upTo: SeqNum,
    oldest: SeqNum,
  ): Promise<Version<ObjectState>[]> {
    const tag = objectTag(collection, key);
    const steps: { readonly record: LogRecord; readonly change: ObjectChange }[] = [];
    let version: Version<ObjectState> | undefined;
    let trimPoint = Infinity;
    try {
      for await (const record of book.read({ tag, to: upTo, reverse: true })) {
        const saved = record.aux !== undefined && record.seqnum <= oldest ? this.load(record.aux, tag) : undefined;
        if (saved !== undefined) {
          version = { seqnum: record.seqnum, state: saved };
          break;
        }
        const change = changeOf(record, collection, key);
        if (change === undefined) continue;
        steps.push({ record, change });
        if (change.isWhole && record.seqnum <= oldest) break;
      }
      const first = steps.at(-1);
      const isKnown = version !== undefined || (first?.change.isWhole === true && first.record.seqnum <= oldest);
      // Before that there is nothing, or something that is trimmed.
      if (!isKnown && oldest > 0) await book.readPrev({ tag, upTo: oldest, head: true });
    } catch (fault) {
      if (!isTrimmed(fault)) throw fault;
      version = { seqnum: 0, state: absent, fault };
      trimPoint = fault.trimPoint!;
    }
    version ??= { seqnum: 0, state: absent };
    const versions = [version];
    // A stream is trimmed to what is in front of a whole value, or to a deletion: at the trim point itself it may have been there.
    if (trimPoint < upTo) versions.push((version = { seqnum: trimPoint + 1, state: absent }));
    for (const { record, change } of steps.reverse()) {
      version = step(this, version, change, record, true);
      if (record.seqnum <= oldest) versions[0] = version;
      else versions.push(version);
    }
    const last = steps.at(-1)?.record;
    if (steps.length >= auxSteps && version.fault === undefined)
      book.setAux(last!.seqnum, this.save(version.state, tag));
    return versions;
  }
}

/** So many records read to know an object make a snapshot beside the last of them worthwhile. */
const auxSteps = 4;

/** What a record does to one object. */
export function changeOf(record: LogRecord, collection: string, key: string): ObjectChange | undefined {
  let found: ObjectChange | undefined;
  for (const part of storeParts(decodeCommit(record.data), record))
    if (part instanceof ObjectChange && part.key === key && part.collection === collection) found = part;
  return found;
}
