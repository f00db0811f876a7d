/**
 * What this process holds of the collections of a book: shared by all stores and handles on it, kept up to date by its feed.
 *
 * Objects are opened when they are asked for, and closed, least recently used first, when they take too many bytes. The keys
 * of a collection are opened when somebody needs them: `keys`, `scan`, indexes, expiry, retention.
 */
import { LRUCache } from "lru-cache";
import { LogError, type SeqNum } from "../../core/index.js";
import { Values } from "../codec.js";
import { decodeCommit, type Part } from "../envelope.js";
import type { Feed, Follower, Place } from "../feed.js";
import { isTrimmed, Replica, step, type Fold, type Version } from "../replica.js";
import { checkpointTag, collectionTag, definitionTag } from "../tags.js";
import type { ObjectChange } from "./change.js";
import { IndexDefinition, storeParts } from "./change.js";
import { emptyKeys, KeysFold, type KeysState } from "./keys.js";
import { loadKeys } from "./keys-checkpoint.js";
import { ObjectFold, stateBytes, type ObjectState } from "./object.js";

export class ObjectReplica extends Replica<ObjectState, ObjectChange> {
  /** How often it was looked at. */
  looks = 0;
}
export type KeysReplica = Replica<KeysState, ObjectChange | IndexDefinition>;
export type DefinitionsReplica = Replica<ReadonlySet<string>, IndexDefinition>;

/** Somebody who looks after a collection in the background. */
export interface Watcher {
  changed(part: ObjectChange | IndexDefinition, place: Place): void;
  keysOpened(): void;
}

/** Default bytes of the open objects of one collection. */
export const defaultCacheBytes = 64 * 1024 * 1024;

const books = new WeakMap<Feed, StoredBook>();

export class StoredBook implements Follower {
  readonly feed: Feed;
  /** Read what any store on the book writes. */
  readonly values = new Values();
  readonly #collections = new Map<string, StoredCollection>();
  #stores = 0;
  #following: Promise<void> | undefined;

  private constructor(feed: Feed) {
    this.feed = feed;
  }

  /** That of a feed, for one store more, which writes `values`. */
  static of(feed: Feed, values: Values): StoredBook {
    let book = books.get(feed);
    if (book === undefined) books.set(feed, (book = new StoredBook(feed)));
    book.values.accept(values);
    book.#stores++;
    return book;
  }

  /** One store less. What nobody holds any more costs nothing. */
  leave(): void {
    if (--this.#stores > 0) return;
    this.feed.unfollow(this);
    books.delete(this.feed);
    for (const collection of this.#collections.values()) collection.close();
    this.#collections.clear();
  }

  /** Resolves when the feed runs. */
  following(): Promise<void> {
    return (this.#following ??= this.feed.follow(this).catch((error: unknown) => {
      this.#following = undefined;
      throw error;
    }));
  }

  collection(name: string, cacheBytes: number): StoredCollection {
    let collection = this.#collections.get(name);
    if (collection === undefined)
      this.#collections.set(name, (collection = new StoredCollection(this, name, cacheBytes)));
    return collection;
  }

  follow(parts: Part[], place: Place): void {
    for (const part of storeParts(parts, place)) this.#collections.get(part.collection)?.apply(part, place);
  }

  gap(): void {
    for (const collection of this.#collections.values()) collection.reload();
  }

  end(): void {
    for (const collection of this.#collections.values()) collection.close();
  }
}

const definitionsFold: Fold<ReadonlySet<string>, IndexDefinition> = {
  apply(known, { index, dropped }) {
    const next = new Set(known);
    if (dropped) next.delete(index);
    else next.add(index);
    return next;
  },
  isWhole: () => false,
};
const keysFold = new KeysFold();

export class StoredCollection {
  readonly book: StoredBook;
  readonly name: string;
  readonly fold: ObjectFold;
  definitions: DefinitionsReplica;
  keys: KeysReplica;
  /** Bytes of records that this process has seen of the collection since it last looked after its retention. */
  seenBytes = 0;
  readonly watchers = new Set<Watcher>();
  readonly #objects: LRUCache<string, ObjectReplica>;

  constructor(book: StoredBook, name: string, cacheBytes: number) {
    this.book = book;
    this.name = name;
    this.fold = new ObjectFold(book.values);
    this.definitions = this.#newDefinitions();
    this.keys = this.#newKeys();
    this.#objects = new LRUCache({
      maxSize: cacheBytes,
      sizeCalculation: (object) => Math.min(cacheBytes, objectBytes(object)),
      dispose: (object) => object.close(),
    });
  }

  get feed(): Feed {
    return this.book.feed;
  }

  /** Nothing was ever written to it. */
  async isNew(): Promise<boolean> {
    for (const tag of [collectionTag(this.name), checkpointTag(this.name)])
      if ((await this.feed.book.readPrev({ tag, head: true })) !== undefined) return false;
    return true;
  }

  #newDefinitions(): DefinitionsReplica {
    return new Replica(this.feed, definitionsFold, (upTo, oldest) => this.#loadDefinitions(upTo, oldest));
  }

  #newKeys(): KeysReplica {
    return new Replica(this.feed, keysFold, (upTo, oldest) => this.#loadKeys(upTo, oldest));
  }

  /** Resolves when the definitions of indexes are open. */
  async openDefinitions(): Promise<void> {
    while (this.definitions.current === undefined) {
      const { definitions } = this;
      await definitions.open();
      if (definitions === this.definitions) return;
    }
  }

  /** Resolves when the keys are open. */
  async openKeys(): Promise<void> {
    while (this.keys.current === undefined) {
      const { keys } = this;
      await keys.open();
      // A gap has put others in their place.
      if (keys !== this.keys) continue;
      for (const watcher of this.watchers) watcher.keysOpened();
      return;
    }
  }

  /** The keys as they were at a view's position. */
  async keysAt(position: SeqNum): Promise<Version<KeysState>> {
    await this.openKeys();
    return this.keys.at(position);
  }

  /** An object as it is now, if it is open. */
  peek(key: string): Version<ObjectState> | undefined {
    return this.#look(key)?.current;
  }

  /** Every eighth look counts as a use: that tells the hot from the cold, and costs little. */
  #look(key: string): ObjectReplica | undefined {
    const object = this.#objects.peek(key);
    if (object !== undefined && (++object.looks & 7) === 0) this.#objects.get(key);
    return object;
  }

  /** The same, which does not count as a use of it. */
  glance(key: string): Version<ObjectState> | undefined {
    return this.#objects.peek(key)?.current;
  }

  /** An open object. */
  async object(key: string): Promise<ObjectReplica> {
    for (;;) {
      let object = this.#objects.get(key);
      if (object === undefined) {
        object = new ObjectReplica(this.feed, this.fold, this.fold.reader(this.feed.book, this.name, key));
        this.#objects.set(key, object);
      }
      await object.open();
      if (object.closed) {
        if (this.feed.fault !== undefined) throw this.feed.fault;
        // It was pushed out while it was read.
        continue;
      }
      this.#objects.set(key, object);
      return object;
    }
  }

  /** An object as it was at a view's position. */
  at(key: string, position: SeqNum): Version<ObjectState> | Promise<Version<ObjectState>> {
    const object = this.#look(key);
    if (object?.current !== undefined) return object.at(position);
    return this.object(key).then((opened) => (opened.closed ? this.at(key, position) : opened.at(position)));
  }

  apply(part: ObjectChange | IndexDefinition, place: Place): void {
    this.keys.apply(part, place);
    if (part instanceof IndexDefinition) this.definitions.apply(part, place);
    else {
      const object = this.#objects.peek(part.key);
      if (object !== undefined) {
        const before = object.current === undefined ? 0 : objectBytes(object);
        object.apply(part, place);
        if (before > 0 && objectBytes(object) > 1.25 * before) this.#objects.set(part.key, object);
      }
    }
    this.seenBytes += place.size;
    for (const watcher of this.watchers) watcher.changed(part, place);
  }

  close(): void {
    this.#objects.clear();
    this.keys.close();
    this.definitions.close();
  }

  /**
   * Closes all that is open: what is asked for next is read anew, for views older than that too, as far as the log still has it.
   * Keys that were open are opened again, for those who look after them.
   */
  reload(): void {
    const hadKeys = this.keys.current !== undefined;
    this.close();
    this.definitions = this.#newDefinitions();
    this.keys = this.#newKeys();
    // What cannot be opened now is opened by whoever needs it next.
    if (hadKeys) this.openKeys().catch(() => undefined);
  }

  async #loadDefinitions(upTo: SeqNum, oldest: SeqNum): Promise<Version<ReadonlySet<string>>[]> {
    let version: Version<ReadonlySet<string>> = { seqnum: 0, state: new Set<string>() };
    const versions = [version];
    for await (const record of this.feed.book.read({ tag: definitionTag(this.name), to: upTo })) {
      for (const part of storeParts(decodeCommit(record.data), record)) {
        if (!(part instanceof IndexDefinition) || part.collection !== this.name) continue;
        version = step(definitionsFold, version, part, record, true);
        if (record.seqnum <= oldest) versions[0] = version;
        else versions.push(version);
      }
    }
    return versions;
  }

  async #loadKeys(upTo: SeqNum, oldest: SeqNum): Promise<Version<KeysState>[]> {
    for (let trimmed = 0; ;) {
      try {
        return await this.#readKeys(upTo, oldest, trimmed);
      } catch (error) {
        if (!isTrimmed(error)) throw error;
        // A newer checkpoint covers that, unless somebody has trimmed the book himself.
        trimmed = error.trimPoint!;
      }
    }
  }

  async #readKeys(upTo: SeqNum, oldest: SeqNum, trimmed: SeqNum): Promise<Version<KeysState>[]> {
    const { book } = this.feed;
    const origin = await loadKeys(book, this.name);
    let version: Version<KeysState> = { seqnum: origin.covered, state: origin.state };
    const versions = [version];
    if (origin.covered > oldest) {
      const fault = new LogError(
        "LOG_TRIMMED",
        `the keys of "${this.name}" are not known any more as of ${oldest}, before ${origin.covered}`,
        { retryable: true, trimPoint: origin.covered },
      );
      versions.unshift({ seqnum: 0, state: emptyKeys(), fault });
    }
    const tag = collectionTag(this.name);
    // Not from 0: then what is trimmed would be left out without a word.
    const from = Math.max(origin.covered, trimmed) + 1;
    for await (const record of book.read({ tag, from, to: upTo })) {
      for (const part of storeParts(decodeCommit(record.data), record)) {
        if (part.collection !== this.name) continue;
        const kept = record.seqnum > oldest && version.seqnum < record.seqnum;
        version = step(keysFold, version, part, record, kept || versions.at(-2)?.state === version.state);
        if (kept) versions.push(version);
        else versions[versions.length - 1] = version;
      }
    }
    return versions;
  }
}

function objectBytes(object: ObjectReplica): number {
  return object.current === undefined ? 1 : stateBytes(object.current.state);
}
