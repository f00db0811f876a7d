/**
 * The one transaction of all libraries: reads at one position, writes in one append, and runs again when something that it
 * read was changed meanwhile.
 *
 * T1  It reads at the position of its view and sees its own writes. Every condition of its commit has that position as `after`.
 * T2  A commit is one append. If its function throws, nothing is in the log.
 * T3  What only reads appends nothing and conflicts with nobody.
 * T4  Run again, it has the turn of all that it wrote before: those of one process do not refuse each other twice.
 *
 * Libraries take part through `Participant`; they know the transaction, it does not know them.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { abortedError, checkOptions, onAbort, show, type LogBook, type SeqNum } from "../core/index.js";
import { Commit } from "./commit.js";
import { OutdatedError, StoreConflictError } from "./errors.js";
import { Feed } from "./feed.js";
import type { Found, IndexValue, PutOptions, Recipe, ScanOptions, UpdateOptions } from "./objects.js";
import type { View } from "./views.js";

/** One thing's share in a transaction. */
export interface Participant {
  /** Adds the parts and tags of what it writes, and the names to have the turn of (`Turns`). */
  prepare(commit: Commit, names: string[]): Promise<void> | undefined;
  /** Adds the conditions: all that it has read or writes. Called when anybody has something to commit. */
  guard(commit: Commit): void;
  /** A name of what it read and that was changed since; undefined if there is none. */
  stale(): string | undefined;
}

/** How something takes part: makes its share when it is used for the first time. */
export const join = Symbol("join");

export interface TransactionOptions {
  /** Ends the waiting; a commit under way may still take place. */
  readonly signal?: AbortSignal | undefined;
  /** Runs at most so many times. Default 50. */
  readonly attempts?: number | undefined;
}

/** Objects that take part in a transaction: a collection of BokiStore. */
export interface TransactionalObjects<T> {
  [join](tx: Transaction): ObjectsShare<T>;
}

/** What a transaction can do with the objects of a collection; at once where nothing has to be waited for. */
export interface ObjectsShare<T> extends Participant {
  get(key: string): T | undefined | Promise<T | undefined>;
  put(key: string, value: T, options?: PutOptions): void | Promise<void>;
  update(key: string, recipe: Recipe<T>, options?: UpdateOptions<T>): T | Promise<T>;
  delete(key: string): void | Promise<void>;
  find(index: string, value: IndexValue): Promise<Found<T>[]>;
  scan(options?: ScanOptions): AsyncIterableIterator<Found<T>>;
  keys(options?: ScanOptions): AsyncIterableIterator<string>;
}

/**
 * What the function of a transaction gets. Writes need not be awaited: they are through before the commit, and one that fails
 * ends the transaction, caught or not. Used after the end of its function, it gives a TypeError.
 */
export class Transaction {
  readonly feed: Feed;
  readonly view: View;
  readonly #shares = new Map<object, Participant>();
  #underWay: Set<Promise<unknown>> | undefined;
  #fault: { readonly error: unknown } | undefined;
  #ended = false;

  constructor(feed: Feed) {
    this.feed = feed;
    this.view = feed.view();
  }

  /** The position that it reads at, inclusive. */
  get position(): SeqNum {
    return this.view.position;
  }

  /** The value of an object, frozen; undefined where there is none. */
  get<T>(objects: TransactionalObjects<T>, key: string): Promise<T | undefined> {
    return this.#track(() => this.#of(objects).get(key), false);
  }

  async has<T>(objects: TransactionalObjects<T>, key: string): Promise<boolean> {
    return (await this.get(objects, key)) !== undefined;
  }

  /** Values in the order of the keys, undefined where there is none. */
  async getAll<T>(objects: TransactionalObjects<T>, keys: readonly string[]): Promise<(T | undefined)[]> {
    if (!Array.isArray(keys)) throw new TypeError(`getAll takes an array of keys, not ${show(keys)}`);
    return Promise.all((keys as readonly string[]).map((key) => this.get(objects, key)));
  }

  put<T>(objects: TransactionalObjects<T>, key: string, value: T, options?: PutOptions): Promise<void> {
    return this.#track(() => this.#of(objects).put(key, value, options));
  }

  /** Changes an object by an immer recipe. Gives the new value. `STORE_NOT_FOUND` where there is none and no `initial`. */
  update<T>(objects: TransactionalObjects<T>, key: string, recipe: Recipe<T>, options?: UpdateOptions<T>): Promise<T> {
    return this.#track(() => this.#of(objects).update(key, recipe, options));
  }

  delete<T>(objects: TransactionalObjects<T>, key: string): Promise<void> {
    return this.#track(() => this.#of(objects).delete(key));
  }

  /** Objects with an entry in an index, in the order of their keys. */
  find<T>(objects: TransactionalObjects<T>, index: string, value: IndexValue): Promise<Found<T>[]> {
    return this.#track(() => this.#of(objects).find(index, value), false);
  }

  /** Objects in the order of their keys, with what this transaction has written. */
  scan<T>(objects: TransactionalObjects<T>, options?: ScanOptions): AsyncIterableIterator<Found<T>> {
    this.#check();
    return this.#of(objects).scan(options);
  }

  keys<T>(objects: TransactionalObjects<T>, options?: ScanOptions): AsyncIterableIterator<string> {
    this.#check();
    return this.#of(objects).keys(options);
  }

  #of<T>(objects: TransactionalObjects<T>): ObjectsShare<T> {
    if (typeof objects?.[join] !== "function")
      throw new TypeError(`a transaction works on a collection of a BokiStore, not on ${show(objects)}`);
    return objects[join](this);
  }

  /** For participants: the share of `owner`, made when it is used for the first time. */
  share<S extends Participant>(owner: object, book: LogBook, make: () => S): S {
    const found = this.#shares.get(owner);
    if (found !== undefined) return found as S;
    if (book.log !== this.feed.book.log || book.name !== this.feed.book.name) {
      throw new TypeError(
        `a transaction of book "${this.feed.book.name}" cannot use what is in book "${book.name}"; keep what changes together in one book of one opened log`,
      );
    }
    const share = make();
    this.#shares.set(owner, share);
    return share;
  }

  get ended(): boolean {
    return this.#ended;
  }

  #check(): void {
    if (this.#ended)
      throw new TypeError("the transaction has ended; use `tx` only inside its function, and await what it gives");
  }

  /** Does something that must be through before the commit. The fault of a write ends the transaction, awaited or not. */
  #track<T>(work: () => T | Promise<T>, writes = true): Promise<T> {
    let result: T | Promise<T>;
    try {
      this.#check();
      result = work();
    } catch (error) {
      result = Promise.reject(error);
    }
    if (!(result instanceof Promise)) return Promise.resolve(result);
    const promise = result;
    const underWay = (this.#underWay ??= new Set());
    underWay.add(promise);
    promise.then(
      () => underWay.delete(promise),
      (error: unknown) => {
        underWay.delete(promise);
        if (writes) this.#fault ??= { error };
      },
    );
    return promise;
  }

  /** Operations are under way. */
  get isBusy(): boolean {
    return this.#underWay !== undefined && this.#underWay.size > 0;
  }

  /** Resolves when no operation is under way, and none can be begun any more. */
  async settle(): Promise<void> {
    while (this.isBusy) await Promise.allSettled(this.#underWay!);
    this.#ended = true;
  }

  /** Nothing can be begun any more. Throws the first fault of a write. */
  close(): void {
    this.#ended = true;
    if (this.#fault !== undefined) throw this.#fault.error;
  }

  /** What it reads at is not kept any longer. */
  end(): void {
    this.#ended = true;
    this.feed.views.close(this.view);
  }

  /** Only one thing takes part so far. */
  get hasOneShare(): boolean {
    return this.#shares.size === 1;
  }

  get shares(): Iterable<Participant> {
    return this.#shares.values();
  }
}

const transactionOptions = new Set(["signal", "attempts"]);
const attemptsMax = 50;
/** Runs without a wait before them; then waits double from the first to the last, ms. */
const hastyAttempts = 4;
const waitMsMin = 1;
const waitMsMax = 200;

/** The transaction that a function runs in. On Node before 24 it makes all promises slower: it is off while no such function runs. */
const running = new AsyncLocalStorage<Transaction>();
let runningCount = 0;

/** Whether the code that asks runs inside a transaction. */
export function isInTransaction(): boolean {
  // What a transaction has started may go on after its end.
  return running.getStore()?.ended === false;
}

/**
 * Runs a function in a transaction until its commit is accepted, and gives what it gave.
 *
 * Rejects with what the function throws, and nothing is in the log then; with `STORE_CONFLICT` after `attempts`; with TypeError
 * inside another transaction; and as `append` does.
 */
export async function transaction<T>(
  book: LogBook,
  body: (tx: Transaction) => Promise<T> | T,
  options: TransactionOptions = {},
): Promise<T> {
  if (typeof body !== "function") throw new TypeError(`transaction takes a function, not ${show(body)}`);
  checkOptions("transaction", options, transactionOptions);
  const { signal, attempts = attemptsMax } = options;
  if (!(Number.isInteger(attempts) && attempts > 0))
    throw new RangeError(`attempts must be a whole number from 1 on, not ${show(attempts)}`);
  if (isInTransaction()) {
    throw new TypeError("a transaction inside a transaction; hand the `tx` of the outer one to the function instead");
  }
  const opened = Feed.running(book);
  const feed = opened instanceof Promise ? await opened : opened;
  /** Names that it has the turn of. */
  let held: readonly string[] = [];
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted === true) throw abortedError(signal);
    if (attempt > hastyAttempts) await backOff(feed, attempt - hastyAttempts, signal);
    if (held.length > 0) await feed.turns.takeAll(held, signal);
    /** Those to have the turn of, should it run again. */
    let wanted = held;
    const tx = new Transaction(feed);
    try {
      let result: T;
      runningCount++;
      try {
        result = await running.run(tx, body, tx);
        if (tx.isBusy) await tx.settle();
        tx.close();
      } finally {
        if (--runningCount === 0) running.disable();
      }
      const commit = new Commit();
      const names: string[] = [];
      for (const share of tx.shares) {
        const prepared = share.prepare(commit, names);
        if (prepared !== undefined) await prepared;
      }
      if (commit.parts.length === 0) return result;
      wanted = names;
      const missing = held.length === 0 ? names : names.filter((name) => !held.includes(name));
      // Who has the turn is about to change what this one has read.
      if (!isStale(tx, commit, names) && feed.turns.tryTake(missing)) {
        held = held.length === 0 ? missing : [...held, ...missing];
        // From here on the conditions see to it: nothing is kept any more for its view, which would cost each commit a version.
        tx.end();
        const appended = await commit.append(feed, signal);
        if (appended.ok) return result;
        wanted = [...names, appended.conflict.tag];
        await feed.sync(signal);
      }
    } catch (error) {
      await tx.settle();
      if (!(error instanceof OutdatedError)) throw error;
      await feed.sync(signal);
    } finally {
      tx.end();
      feed.turns.give(held);
    }
    if (attempt >= attempts) throw new StoreConflictError("a transaction", attempt);
    held = [...new Set(wanted)];
  }
}

/** Adds the conditions. Whether it is known already that the commit would be refused; then the name of what has changed is added. */
function isStale(tx: Transaction, commit: Commit, names: string[]): boolean {
  for (const share of tx.shares) {
    share.guard(commit);
    const stale = share.stale();
    if (stale === undefined) continue;
    names.push(stale);
    return true;
  }
  return false;
}

/** Waits longer with each attempt, and never as long as others do. */
export function backOff(feed: Feed, attempt: number, signal: AbortSignal | undefined): Promise<void> {
  const { clock, random } = feed.book.log;
  const ms = Math.min(waitMsMax, waitMsMin * 2 ** Math.min(20, attempt - 1)) * (0.5 + random() / 2);
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(ms, () => {
      stop();
      resolve();
    });
    const stop = onAbort(signal, () => {
      cancel();
      reject(abortedError(signal!));
    });
  });
}
