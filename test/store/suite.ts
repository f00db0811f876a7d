/** What the cases of BokiStore are written with: a runner, a subject that opens logs, and the ways to look at a store. */
import assert from "node:assert/strict";
import type { Clock, Log, LogBook } from "../../core/types.js";
import { BokiStore, type StoreOptions } from "../../libs/store/store.js";
import type { Runner, Subject } from "../conformance/suite.js";

export interface Suite extends Runner {
  /** Called once for each case. */
  subject(options: { readonly clock?: Clock }): Subject;
  readonly options: StoreOptions;
}

/** A store on a log of its own session. */
export interface Opened {
  readonly log: Log;
  readonly book: LogBook;
  readonly store: BokiStore;
}

/** One log under test, and all that is open on it. */
export class Bench {
  readonly #subject: Subject;
  readonly #options: StoreOptions;
  readonly #open: Opened[] = [];

  constructor(suite: Suite, clock?: Clock) {
    this.#subject = suite.subject(clock === undefined ? {} : { clock });
    this.#options = suite.options;
  }

  async open(): Promise<Opened> {
    return this.#on(await this.#subject.open());
  }

  /** A second session on the log, with a store of its own. */
  async another({ log }: Opened): Promise<Opened> {
    return this.#on(await this.#subject.another(log));
  }

  /** Closes store and log, and opens them again. */
  async reopen(opened: Opened): Promise<Opened> {
    await opened.store.close();
    this.#open.splice(this.#open.indexOf(opened), 1);
    return this.#on(await this.#subject.reopen(opened.log));
  }

  /** Another store in the place of this one, with nothing open yet. */
  async renew(opened: Opened): Promise<Opened> {
    await opened.store.close();
    this.#open.splice(this.#open.indexOf(opened), 1);
    return this.#on(opened.log);
  }

  #on(log: Log): Opened {
    const book = log.book("b");
    const opened = { log, book, store: new BokiStore(book, this.#options) };
    this.#open.push(opened);
    return opened;
  }

  async close(): Promise<void> {
    for (const { store, log } of this.#open) {
      await store.close();
      await log.close();
    }
    await this.#subject.dispose();
  }
}

/** Registers a case on a fresh log. */
export function onStore(
  suite: Suite,
  title: string,
  body: (opened: Opened, bench: Bench) => Promise<void>,
  clock?: () => Clock,
): void {
  suite.it(title, async () => {
    const bench = new Bench(suite, clock?.());
    try {
      await body(await bench.open(), bench);
    } finally {
      await bench.close();
    }
  });
}

/**
 * Registers a case four times: checked through the store that wrote, through a new one that has to read everything again, after
 * the log was closed and opened, and through a store on another session that was there all the time.
 */
export function onEveryView<T>(
  suite: Suite,
  title: string,
  arrange: (store: BokiStore) => Promise<T>,
  check: (store: BokiStore, arranged: T) => Promise<void>,
): void {
  onStore(suite, title, async ({ store }) => check(store, await arrange(store)));
  onStore(suite, `${title} [new store]`, async (opened, bench) => {
    const arranged = await arrange(opened.store);
    await check((await bench.renew(opened)).store, arranged);
  });
  onStore(suite, `${title} [reopened]`, async (opened, bench) => {
    const arranged = await arrange(opened.store);
    await check((await bench.reopen(opened)).store, arranged);
  });
  onStore(suite, `${title} [second session]`, async (opened, bench) => {
    const { store } = await bench.another(opened);
    await store.sync();
    const arranged = await arrange(opened.store);
    await store.sync();
    await check(store, arranged);
  });
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The first items of what may have no end. */
export async function take<T>(count: number, items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  if (count === 0) return found;
  for await (const item of items) {
    found.push(item);
    if (found.length === count) break;
  }
  return found;
}

/** The next item of what does not end. */
export async function nextOf<T>(items: AsyncIterator<T, unknown>): Promise<T> {
  const { done, value } = await items.next();
  assert.ok(done !== true, "it has ended");
  return value;
}

/** Bytes of data of all records that can be read. */
export async function dataBytes(book: LogBook): Promise<number> {
  let bytes = 0;
  for await (const { size } of book.read({ head: true })) bytes += size;
  return bytes;
}

/** A promise, and the function that resolves it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** A rejection by its code. */
export function code(expected: string, ...named: readonly RegExp[]): (error: unknown) => boolean {
  return (error) => {
    const { code, message } = error as { code?: string; message: string };
    assert.equal(code, expected, String((error as Error).stack));
    for (const pattern of named) assert.match(message, pattern);
    return true;
  };
}
