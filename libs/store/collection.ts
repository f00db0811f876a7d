/** A collection of durable objects, as users see it. */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { abortedError, checkOptions, checkSignal, orAborted, show, type SeqNum } from "../../core/index.js";
import type { Values } from "../codec.js";
import { toMs, type Duration } from "../duration.js";
import { OutdatedError } from "../errors.js";
import type { Found, IndexValue, PutOptions, Recipe, ScanOptions, UpdateOptions, Waiting } from "../objects.js";
import { checkKey } from "../tags.js";
import { join, Transaction, type ObjectsShare, type TransactionalObjects } from "../transaction.js";
import { checkRecipe, copyOf, type Draft, putOptions, updateOptions } from "./draft.js";
import { Expiry } from "./expiry.js";
import { Handle } from "./handle.js";
import type { BuildOptions } from "./index-build.js";
import { Indexes, type IndexOption } from "./indexes.js";
import { Past, type Change, type HistoryOptions, type ObjectVersion, type WatchOptions } from "./past.js";
import { Retention } from "./retention.js";
import { Shape, type Migrate } from "./schema.js";
import { Share } from "./share.js";
import type { StoredCollection } from "./stored.js";
import { Writes } from "./writes.js";

export interface CollectionOptions<T> {
  /** Any Standard Schema (zod, valibot, arktype): checks values on write, and those of older versions on read. */
  readonly schema?: StandardSchemaV1<unknown, T> | undefined;
  /** Version of the values, a whole number from 1 on. Default 1. */
  readonly version?: number | undefined;
  /** Brings a value of an older version up; `version` is the one it has. */
  readonly migrate?: Migrate | undefined;
  /** What objects can be found by. */
  readonly indexes?: Readonly<Record<string, IndexOption<T>>> | undefined;
  /** How long what objects were can still be read: a duration, or "forever". Default "1h". */
  readonly retain?: Duration | undefined;
}

const collectionOptions = new Set(["schema", "version", "migrate", "indexes", "retain"]);
const noOptions = new Set<string>();

/** Where a write is in the log. Of one that changed nothing: the position that it found this out at. */
export interface Written {
  readonly seqnum: SeqNum;
}

/** What is done with an object. */
type Edit<T, R> = (draft: Draft<T>) => R | Promise<R>;

const seqnumOf = (_: unknown, seqnum: SeqNum): Written => ({ seqnum });
const resultOf = <R>(result: R): R => result;
const deleteOf = <T>(draft: Draft<T>): void => draft.delete();

export class Collection<T> implements TransactionalObjects<T> {
  readonly name: string;
  readonly #handle: Handle<T>;
  readonly #writes: Writes<T>;
  readonly #past: Past<T>;
  readonly #retention: Retention<T>;
  readonly #expiry: Expiry<T>;
  readonly #stored: StoredCollection;

  /** Made by `BokiStore.collection`. */
  constructor(stored: StoredCollection, values: Values, options: CollectionOptions<T>) {
    checkOptions("collection", options, collectionOptions);
    const { schema, version = 1, migrate, indexes = {}, retain = "1h" } = options;
    if (!Number.isInteger(version) || version < 1)
      throw new RangeError(`version must be a whole number from 1 on, not ${show(version)}`);
    if (migrate !== undefined && typeof migrate !== "function")
      throw new TypeError(`migrate must be a function, not ${show(migrate)}`);
    if (schema !== undefined && typeof schema?.["~standard"]?.validate !== "function") {
      throw new TypeError(`schema must be a Standard Schema (zod, valibot, arktype ...), not ${show(schema)}`);
    }
    const retainMs = retain === "forever" ? Infinity : toMs("retain", retain);
    this.name = stored.name;
    this.#stored = stored;
    this.#handle = new Handle(
      stored,
      values,
      new Shape(stored.name, version, schema, migrate),
      new Indexes(stored.name, indexes),
    );
    this.#writes = new Writes(this.#handle);
    this.#handle.reindex = (key) => this.#writes.reindex(key);
    this.#past = new Past(this.#handle);
    this.#retention = new Retention(this.#handle, retainMs);
    this.#expiry = new Expiry(this.#handle, this.#writes);
  }

  /**
   * The value of an object, frozen; undefined where there is none. Of an open object it is there at once (S3).
   * Rejects with `STORE_DAMAGED`, `STORE_VERSION`, `LOG_CLOSED`.
   */
  get(key: string): Promise<T | undefined> {
    const version = this.#stored.peek(key);
    if (version === undefined || this.#handle.closed) return this.#open(key);
    try {
      const time = version.state.expiresAt === Infinity ? 0 : this.#stored.feed.now().time;
      return Promise.resolve(this.#handle.value(version, key, time));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #open(key: string): Promise<T | undefined> {
    checkKey(key);
    this.#handle.check();
    await this.#handle.openForReads();
    const object = await this.#stored.object(key);
    return object.current === undefined
      ? this.#open(key)
      : this.#handle.value(object.current, key, this.#stored.feed.now().time);
  }

  async has(key: string): Promise<boolean> {
    return (await this.get(key)) !== undefined;
  }

  /** Values at one position, in the order of the keys, undefined where there is none. */
  async getAll(keys: readonly string[]): Promise<(T | undefined)[]> {
    if (!Array.isArray(keys)) throw new TypeError(`getAll takes an array of keys, not ${show(keys)}`);
    return this.#reading((share) => Promise.all((keys as readonly string[]).map(async (key) => share.get(key))));
  }

  /** Stores a whole value, whatever was there. The value is copied. */
  put(key: string, value: T, options?: PutOptions & Waiting): Promise<Written> {
    const begin = (): Edit<T, unknown> => {
      const copy = copyOf(value);
      return (draft) => draft.put(copy, options);
    };
    return this.#write(key, options, putOptions, begin, seqnumOf);
  }

  /**
   * Changes an object by an immer recipe, which runs again on what is there when it was changed meanwhile. Gives the new value.
   *
   * Rejects with `STORE_NOT_FOUND` where there is none and no `initial`, `STORE_INVALID`, `STORE_UNIQUE`, `STORE_CONFLICT` after
   * very many conflicts, and with what the recipe throws.
   */
  update(key: string, recipe: Recipe<T>, options?: UpdateOptions<T> & Waiting): Promise<T> {
    const begin = (): Edit<T, T> => {
      checkRecipe(recipe);
      return (draft) => draft.update(recipe, options);
    };
    return this.#write(key, options, updateOptions, begin, resultOf);
  }

  /** Removes an object; one that is not there is no fault. */
  delete(key: string, options?: Waiting): Promise<Written> {
    return this.#write(key, options, noOptions, () => deleteOf, seqnumOf);
  }

  /** Objects with an entry in an index, in the order of their keys, at one position. */
  find(index: string, value: IndexValue): Promise<Found<T>[]> {
    return this.#reading((share) => share.find(index, value));
  }

  /** Objects in the order of their keys, as they are when it begins. */
  scan(options?: ScanOptions): AsyncIterableIterator<Found<T>> {
    return this.#iterating((share) => share.scan(options));
  }

  /** Keys in order, as they are when it begins. */
  keys(options?: ScanOptions): AsyncIterableIterator<string> {
    return this.#iterating((share) => share.keys(options));
  }

  /** The value that an object had at a position, inclusive. Rejects with `LOG_TRIMMED` for one that is not retained. */
  async at(key: string, seqnum: SeqNum): Promise<T | undefined> {
    this.#handle.check();
    return this.#past.at(key, seqnum);
  }

  /** What an object has been, oldest first, as far as it is retained; `undefined` where it was deleted. */
  history(key: string, options?: HistoryOptions): AsyncIterableIterator<ObjectVersion<T>> {
    return this.#past.history(key, options);
  }

  /** Each change of any object, in order, none left out and none twice; waits for those to come. Ends at the abort. */
  watch(options?: WatchOptions): AsyncIterableIterator<Change<T>> {
    return this.#past.watch(options);
  }

  /**
   * Resolves when the indexes that this handle declares are there for all objects. The first use of the collection waits for
   * that too; this shows how far it is. Rejects with `STORE_UNIQUE`, when they are there, for objects that have an entry of a
   * unique index in common: writers that do not declare it may have written such.
   */
  async ready(options: BuildOptions = {}): Promise<void> {
    this.#handle.check();
    const { indexes, stored } = this.#handle;
    if (indexes.size === 0) return this.#handle.openForReads();
    await this.#handle.openIndexes(options);
    // What others have changed meanwhile.
    while (!this.#handle.areIndexesWhole) await this.#handle.openIndexes({ signal: options.signal });
    const doubled = indexes.doubled(stored.keys.current!.state, stored.feed.now().time);
    if (doubled !== undefined) throw doubled;
  }

  /**
   * Stores a checkpoint of the keys and gives back the room of what is neither current nor retained. Happens by itself as the
   * collection grows.
   */
  async checkpoint(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#handle.check();
    await this.#retention.run(options.signal);
  }

  [join](tx: Transaction): ObjectsShare<T> {
    this.#handle.check();
    const { book } = this.#stored.feed;
    return tx.share(this, book, () => {
      // What is opened from here on is to be fed; the feed of a transaction runs already.
      this.#stored.book.following().catch(() => undefined);
      return new Share(this.#handle, tx);
    });
  }

  /** Ends background work. Made by the store. */
  async close(reason: () => Error): Promise<void> {
    this.#handle.close(reason);
    await this.#expiry.close();
    await this.#retention.close();
  }

  /** `begin` looks at what was given, at once, and gives what is to be done with the object. */
  #write<R, G>(
    key: string,
    options: Waiting | undefined,
    known: ReadonlySet<string>,
    begin: () => Edit<T, R>,
    give: (result: R, seqnum: SeqNum) => G,
  ): Promise<G> {
    try {
      checkKey(key);
      this.#handle.check();
      const edit = begin();
      if (options === undefined) return this.#writes.write(key, edit, give);
      const { signal, ...others } = options;
      checkOptions("a write", others, known);
      checkSignal("signal", signal);
      if (signal?.aborted === true) throw abortedError(signal, "none");
      return orAborted(this.#writes.write(key, edit, give), signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Reads at one position. */
  async #reading<R>(read: (share: ObjectsShare<T>) => Promise<R>): Promise<R> {
    this.#handle.check();
    await this.#handle.openForReads();
    for (;;) {
      const tx = new Transaction(this.#stored.feed);
      try {
        return await read(this[join](tx));
      } catch (error) {
        if (!(error instanceof OutdatedError)) throw error;
        await this.#stored.feed.sync();
      } finally {
        tx.end();
      }
    }
  }

  async *#iterating<R>(read: (share: ObjectsShare<T>) => AsyncIterableIterator<R>): AsyncIterableIterator<R> {
    this.#handle.check();
    await this.#handle.openForReads();
    for (;;) {
      const tx = new Transaction(this.#stored.feed);
      let hasGiven = false;
      try {
        for await (const item of read(this[join](tx))) {
          hasGiven = true;
          yield item;
        }
        return;
      } catch (error) {
        if (hasGiven || !(error instanceof OutdatedError)) throw error;
        await this.#stored.feed.sync();
      } finally {
        tx.end();
      }
    }
  }
}
