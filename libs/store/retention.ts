/**
 * What is neither current nor retained goes: a checkpoint of the keys lets the collection's stream be trimmed, and with it the
 * streams of its objects up to their last whole value, and those of index entries, which nobody reads.
 *
 * Any process may do this, also several at once. The collection's stream is trimmed last, so that whoever comes after a crash
 * finds in it what is still to be trimmed elsewhere.
 */
import { LogError, type SeqNum } from "../../core/index.js";
import { lastCheckpoint, writeCheckpoint } from "../checkpoint.js";
import { decodeCommit } from "../envelope.js";
import type { Place } from "../feed.js";
import { collectionTag, objectTag } from "../tags.js";
import { type IndexDefinition, ObjectChange, storeParts } from "./change.js";
import type { Handle } from "./handle.js";
import { encodeKeys, keysVersion } from "./keys-checkpoint.js";
import type { StoredCollection } from "./stored.js";

/** Bytes of changes after which it is looked after; four times those of the keys, where these are more. */
const bytesBetween = 8 * 1024 * 1024;
const keysFactor = 4;
/** Streams whose trims are found out before they are trimmed, and trims that are under way at once. */
const streamsMax = 50_000;
const atOnce = 1000;

export class Retention<T> {
  readonly #handle: Handle<T>;
  readonly #retainMs: number;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;

  constructor(handle: Handle<T>, retainMs: number) {
    this.#handle = handle;
    this.#retainMs = retainMs;
    handle.stored.watchers.add(this.#watcher);
  }

  readonly #watcher = {
    changed: (_part: ObjectChange | IndexDefinition, _place: Place): void => {
      const { stored } = this.#handle;
      const keys = stored.keys.current?.state;
      if (stored.seenBytes < Math.max(bytesBetween, keysFactor * (keys?.bytes ?? 0))) return;
      stored.seenBytes = 0;
      // A fault of the log shows itself to whoever uses it; until then this only takes up room.
      this.run().catch(() => undefined);
    },
    keysOpened: (): void => undefined,
  };

  /** Checkpoint and trims, once; while they are under way, those. */
  run(signal?: AbortSignal): Promise<void> {
    const ending = signal === undefined ? this.#ending.signal : AbortSignal.any([signal, this.#ending.signal]);
    return (this.#running ??= this.#run(ending).finally(() => (this.#running = undefined)));
  }

  async close(): Promise<void> {
    this.#handle.stored.watchers.delete(this.#watcher);
    this.#ending.abort();
    await this.#running?.catch(() => undefined);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { stored } = this.#handle;
    await this.#handle.openForReads();
    const covered = await checkpointKeys(stored, signal);
    if (this.#retainMs === Infinity) return;
    const { clock } = stored.feed.book.log;
    const oldest = stored.feed.views.oldest ?? Infinity;
    await trim(stored, Math.min(covered, oldest), clock.now() - this.#retainMs, signal);
  }
}

/** Writes down the keys as they are; gives the position that is covered now, by this checkpoint or somebody else's. */
async function checkpointKeys(stored: StoredCollection, signal: AbortSignal): Promise<SeqNum> {
  const { feed, name } = stored;
  const last = await lastCheckpoint(feed.book, name);
  await stored.openKeys();
  const view = feed.view();
  try {
    const { state, seqnum, fault } = stored.keys.at(view.position);
    if (fault !== undefined) throw fault;
    // Nothing has come behind the last one.
    if (last !== undefined && last.covered >= seqnum) return last.covered;
    const what = { foldVersion: keysVersion, covered: view.position };
    if (await writeCheckpoint(feed.book, name, last, what, encodeKeys(state), signal)) return view.position;
  } finally {
    feed.views.close(view);
  }
  return (await lastCheckpoint(feed.book, name))!.covered;
}

/** Trims what is not needed to know any object from `upTo` and `time` on. */
async function trim(stored: StoredCollection, upTo: SeqNum, time: number, signal: AbortSignal): Promise<void> {
  const { feed, name } = stored;
  const tag = collectionTag(name);
  const entryTags = `$i/${name}/`;
  /** By tag: the last seqnum to be trimmed; 0 where there is nothing before. */
  let streams = new Map<string, SeqNum>();
  let end = 0;
  const flush = async (): Promise<void> => {
    let under: Promise<void>[] = [];
    for (const [stream, last] of streams) {
      if (last > 0) under.push(feed.book.trim({ tag: stream, upTo: last, signal }));
      if (under.length < atOnce) continue;
      await Promise.all(under);
      under = [];
    }
    await Promise.all(under);
    if (end > 0) await feed.book.trim({ tag, upTo: end, signal });
    streams = new Map();
  };
  try {
    for await (const record of feed.book.read({ tag, to: upTo, signal })) {
      if (record.time > time) break;
      end = record.seqnum;
      for (const part of storeParts(decodeCommit(record.data), record)) {
        if (!(part instanceof ObjectChange) || part.collection !== name || !part.isWhole) continue;
        const stream = objectTag(name, part.key);
        const isFirst = part.isFirst && !streams.has(stream);
        streams.set(stream, part.what === "deleted" ? end : isFirst ? 0 : end - 1);
      }
      for (const each of record.tags) if (each.startsWith(entryTags)) streams.set(each, end);
      if (streams.size >= streamsMax) await flush();
    }
    await flush();
  } catch (error) {
    // Somebody else was faster.
    if (!(error instanceof LogError && error.code === "LOG_TRIMMED")) throw error;
  }
}
