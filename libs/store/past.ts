/** What objects were: at a position, over time, and as a stream of changes. */
import { checkOptions, checkSeqNum, checkSignal, show, type LogRecord, type SeqNum } from "../../core/index.js";
import { decodeCommit } from "../envelope.js";
import { isTrimmed, step, type Version } from "../replica.js";
import { checkKey, collectionTag, objectTag } from "../tags.js";
import { ObjectChange, storeParts } from "./change.js";
import type { Handle } from "./handle.js";
import { absent, changeOf, type ObjectState } from "./object.js";

export interface HistoryOptions {
  /** Only versions from here on, inclusive. Default 0: the oldest kept. */
  readonly from?: SeqNum | undefined;
  /** Only versions up to here, inclusive. */
  readonly to?: SeqNum | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What an object became. */
export interface ObjectVersion<T> {
  readonly seqnum: SeqNum;
  /** Log time, ms. */
  readonly time: number;
  /** Frozen; undefined where it was deleted. */
  readonly value: T | undefined;
}

export interface WatchOptions {
  /** Changes from here on, inclusive; 0 is the oldest kept. Default: those that come from now on. */
  readonly from?: SeqNum | undefined;
  /** Changes behind the one that gave this `cursor`. */
  readonly after?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A change of one object. */
export interface Change<T> extends ObjectVersion<T> {
  readonly key: string;
  /** Where to go on: `watch({ after: cursor })` begins with the next change. */
  readonly cursor: string;
}

/** Objects whose values a watcher keeps, so that it need not look up what patches are patches of. */
const watchedMax = 10_000;

export class Past<T> {
  readonly #handle: Handle<T>;

  constructor(handle: Handle<T>) {
    this.#handle = handle;
  }

  /** The value that an object had at a position, inclusive. Rejects with `LOG_TRIMMED` where that is not kept. */
  async at(key: string, seqnum: SeqNum): Promise<T | undefined> {
    checkKey(key);
    checkSeqNum("seqnum", seqnum);
    const { stored } = this.#handle;
    const { feed } = stored;
    await this.#handle.openForReads();
    if (seqnum > feed.position) await feed.sync();
    const version = (await stored.fold.reader(feed.book, stored.name, key)(seqnum, seqnum))[0]!;
    if (isTrimmed(version.fault)) throw version.fault;
    const last = seqnum === 0 ? undefined : await feed.book.readPrev({ upTo: seqnum, head: true });
    return this.#handle.value(version, key, last?.time ?? 0);
  }

  /** What an object has been, oldest first. Begins with the oldest version kept; `LOG_TRIMMED` for a `from` before that. */
  async *history(key: string, options: HistoryOptions = {}): AsyncIterableIterator<ObjectVersion<T>> {
    checkKey(key);
    checkOptions("history", options, historyOptions);
    const { from = 0, to, signal } = options;
    checkSeqNum("from", from);
    if (to !== undefined) checkSeqNum("to", to);
    checkSignal("signal", signal);
    const { name, stored } = this.#handle;
    await this.#handle.openForReads();
    const { book } = stored.feed;
    const tag = objectTag(name, key);
    // What is asked for and not kept any more is not left out without a word.
    if (from > 0) await book.readNext({ tag, from, head: true });
    let version: Version<ObjectState> = { seqnum: 0, state: absent };
    for await (const record of book.read({ tag, to, signal })) {
      const change = changeOf(record, name, key);
      if (change === undefined) continue;
      version = step(stored.fold, version, change, record, true);
      if (record.seqnum < from || change.what === "same") continue;
      yield { seqnum: record.seqnum, time: record.time, value: await this.#handle.value(version, key, record.time) };
    }
  }

  /** Each change of the collection's objects, in order, none twice; goes on with those to come. */
  async *watch(options: WatchOptions = {}): AsyncIterableIterator<Change<T>> {
    checkOptions("watch", options, watchOptions);
    checkSignal("signal", options.signal);
    const { ending } = this.#handle;
    const signal = options.signal === undefined ? ending : AbortSignal.any([options.signal, ending]);
    try {
      yield* this.#watch(options, signal);
    } catch (error) {
      this.#handle.check();
      throw error;
    }
  }

  async *#watch(options: WatchOptions, signal: AbortSignal): AsyncIterableIterator<Change<T>> {
    const { stored, name } = this.#handle;
    const { feed } = stored;
    const start = startOf(options);
    await this.#handle.openForReads();
    const [from, skip] = start ?? [feed.position + 1, 0];
    const values = new Map<string, Version<ObjectState>>();
    let left = skip;
    for await (const record of feed.book.read({ tag: collectionTag(name), from, follow: true, signal })) {
      const changes = this.#changesIn(record);
      const last = changes.filter(({ what }) => what !== "same").length;
      let place = 0;
      for (const change of changes) {
        // What only sets when an object expires is no change to see, but of what is seen later.
        if (change.what === "same" && !values.has(change.key)) continue;
        const version = await this.#version(record, change, values);
        if (change.what === "same") continue;
        place++;
        if (left > 0 && record.seqnum === from) {
          left--;
          continue;
        }
        yield {
          seqnum: record.seqnum,
          time: record.time,
          key: change.key,
          value: await this.#handle.value(version, change.key, record.time),
          // Behind the last change of a record it does not matter whether that one is still there.
          cursor: place === last ? `${record.seqnum + 1}.0` : `${record.seqnum}.${place}`,
        };
      }
    }
  }

  #changesIn(record: LogRecord): ObjectChange[] {
    return storeParts(decodeCommit(record.data), record).filter(
      (part): part is ObjectChange => part instanceof ObjectChange && part.collection === this.#handle.name,
    );
  }

  /** What a change makes of its object: from what was before, if that is at hand, else from the log. */
  async #version(
    record: LogRecord,
    change: ObjectChange,
    values: Map<string, Version<ObjectState>>,
  ): Promise<Version<ObjectState>> {
    const { key } = change;
    const { fold, feed, name } = this.#handle.stored;
    let before = values.get(key);
    values.delete(key);
    if (before === undefined && !change.isWhole)
      before = (await fold.reader(feed.book, name, key)(record.seqnum - 1, record.seqnum - 1))[0];
    if (isTrimmed(before?.fault)) throw before.fault;
    const version = step(fold, before ?? { seqnum: 0, state: absent }, change, record, true);
    values.set(key, version);
    if (values.size > watchedMax) values.delete(values.keys().next().value!);
    return version;
  }
}

const historyOptions = new Set(["from", "to", "signal"]);
const watchOptions = new Set(["from", "after", "signal"]);

/** Seqnum of the first record, and how many changes of it have been seen. */
function startOf({ from, after }: WatchOptions): readonly [SeqNum, number] | undefined {
  if (from !== undefined && after !== undefined) throw new TypeError("watch takes from or after, not both");
  if (from !== undefined) {
    checkSeqNum("from", from);
    return [from, 0];
  }
  if (after === undefined) return undefined;
  const parts = typeof after === "string" ? /^(\d{1,16})\.(\d{1,9})$/.exec(after) : null;
  if (parts === null) throw new TypeError(`after must be the cursor of a change, not ${show(after)}`);
  return [Number(parts[1]), Number(parts[2])];
}
