/** BokiStore: durable objects with serializable transactions, in a book of a log. */
import { checkBytes, checkOptions, orAborted, show, type LogBook } from "../../core/index.js";
import { type Codec, Values } from "../codec.js";
import { storeClosedError } from "../errors.js";
import { Feed } from "../feed.js";
import type { Found, IndexValue, ScanOptions } from "../objects.js";
import { checkPathName } from "../tags.js";
import { transaction, Transaction, type TransactionalObjects, type TransactionOptions } from "../transaction.js";
import { Collection, type CollectionOptions } from "./collection.js";
import { defaultCacheBytes, StoredBook } from "./stored.js";

export interface StoreOptions {
  /** Bytes of the open objects of each collection. Default 64 MiB, at least 64 KiB. */
  readonly cacheBytes?: number | undefined;
  /** How values are written. Default MessagePack. What another codec wrote needs that codec to be read. */
  readonly codec?: Codec | undefined;
}

/** What `snapshot` gives: objects as they were at one position. */
export type Snapshot = Pick<Transaction, "position" | "get" | "has" | "getAll" | "find" | "scan" | "keys">;

const storeOptions = new Set(["cacheBytes", "codec"]);
const cacheBytesMin = 64 * 1024;

export class BokiStore {
  readonly book: LogBook;
  readonly #stored: StoredBook;
  readonly #values: Values;
  readonly #cacheBytes: number;
  readonly #collections = new Set<Collection<never>>();
  #closing: Promise<void> | undefined;

  constructor(book: LogBook, options: StoreOptions = {}) {
    if (typeof book?.append !== "function")
      throw new TypeError(`BokiStore takes a book of a log, not ${show(book)}; use log.book("NAME")`);
    checkOptions("BokiStore", options, storeOptions);
    const { cacheBytes = defaultCacheBytes, codec } = options;
    checkBytes("cacheBytes", cacheBytes);
    if (cacheBytes < cacheBytesMin)
      throw new RangeError(`cacheBytes must be at least ${cacheBytesMin}, not ${cacheBytes}`);
    this.book = book;
    this.#cacheBytes = cacheBytes;
    this.#values = new Values(codec);
    this.#stored = StoredBook.of(Feed.of(book), this.#values);
  }

  /** A collection by name: 1 to 60 UTF-8 bytes, no slash. It exists from its first object on. */
  collection<T = unknown>(name: string, options: CollectionOptions<T> = {}): Collection<T> {
    checkPathName("the name of a collection", name);
    if (this.#closing !== undefined) throw storeClosedError();
    const collection = new Collection<T>(this.#stored.collection(name, this.#cacheBytes), this.#values, options);
    this.#collections.add(collection as unknown as Collection<never>);
    return collection;
  }

  /**
   * Runs a function that reads and writes objects; all of it takes place at once, or nothing (S1, S2). It runs again when what it
   * read was changed meanwhile, so it has no other effects. Gives what the function gives.
   *
   * Rejects with what the function throws, with `STORE_CONFLICT` after too many conflicts, `STORE_UNIQUE`, `STORE_INVALID`, and
   * TypeError inside another transaction.
   */
  async transaction<T>(body: (tx: Transaction) => Promise<T> | T, options?: TransactionOptions): Promise<T> {
    this.#check();
    return transaction(this.book, body, options);
  }

  /** Runs a function that reads objects as they are at one position. It never conflicts, and appends nothing. */
  async snapshot<T>(body: (at: Snapshot) => Promise<T> | T): Promise<T> {
    this.#check();
    if (typeof body !== "function") throw new TypeError(`snapshot takes a function, not ${show(body)}`);
    await this.#stored.following();
    const tx = new Transaction(this.#stored.feed);
    try {
      return await body(new ReadOnly(tx));
    } finally {
      tx.end();
    }
  }

  /** Waits until all that was committed before, by anybody, is seen here: reads behind it are strictly serializable. */
  async sync(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#check();
    await orAborted(this.#stored.following(), options.signal);
    await this.#stored.feed.sync(options.signal);
  }

  /** Ends background work and gives the memory back. The log stays open. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#collections].map((collection) => collection.close(storeClosedError)));
    this.#stored.leave();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(): void {
    if (this.#closing !== undefined) throw storeClosedError();
  }
}

/** A transaction that only reads. */
class ReadOnly implements Snapshot {
  readonly #tx: Transaction;

  constructor(tx: Transaction) {
    this.#tx = tx;
  }

  get position(): number {
    return this.#tx.position;
  }

  get<T>(objects: TransactionalObjects<T>, key: string): Promise<T | undefined> {
    return this.#tx.get(objects, key);
  }

  has<T>(objects: TransactionalObjects<T>, key: string): Promise<boolean> {
    return this.#tx.has(objects, key);
  }

  getAll<T>(objects: TransactionalObjects<T>, keys: readonly string[]): Promise<(T | undefined)[]> {
    return this.#tx.getAll(objects, keys);
  }

  find<T>(objects: TransactionalObjects<T>, index: string, value: IndexValue): Promise<Found<T>[]> {
    return this.#tx.find(objects, index, value);
  }

  scan<T>(objects: TransactionalObjects<T>, options?: ScanOptions): AsyncIterableIterator<Found<T>> {
    return this.#tx.scan(objects, options);
  }

  keys<T>(objects: TransactionalObjects<T>, options?: ScanOptions): AsyncIterableIterator<string> {
    return this.#tx.keys(objects, options);
  }
}
