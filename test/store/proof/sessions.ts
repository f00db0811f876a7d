/** Sessions that run random transactions on few objects at the same time, and write down what they did and saw. */
import { AsyncLocalStorage } from "node:async_hooks";
import { LogError, openLog, type Log, type OpenOptions } from "../../../core/index.js";
import { BokiStore, StoreConflictError, StoreUniqueError, type Collection } from "../../../libs/index.js";
import { decodeCommit } from "../../../libs/envelope.js";
import { ObjectChange, storeParts } from "../../../libs/store/change.js";
import { pick } from "../../../core/testing/random.js";
import { changed, type Entry, type Ran, type Step, type Thing, type ThingChange } from "./model.js";
import { tapped, type Taps } from "./tapped-book.js";

export interface SessionsOptions {
  /** Of the log, as session number `i` opens it. */
  readonly url: (i: number) => string;
  readonly open?: Omit<OpenOptions, "random"> | undefined;
  readonly sessions: number;
  readonly random: () => number;
  readonly deletes?: boolean | undefined;
  readonly retain?: "forever" | "0s" | undefined;
  readonly cacheBytes?: number | undefined;
  /** Numbers of strands and ids of writes begin behind it: so that several processes have their own. */
  readonly first?: number | undefined;
  /** Bytes that each value carries along. */
  readonly padding?: number | undefined;
  /** The last session declares no indexes, as an older version of a program. */
  readonly older?: boolean | undefined;
  readonly taps?: Taps | undefined;
}

type Planned =
  | { readonly f: "get" | "delete"; readonly key: string }
  | { readonly f: "put"; readonly key: string; readonly value: Thing }
  | { readonly f: "update"; readonly key: string; readonly change: ThingChange }
  | { readonly f: "find"; readonly color: string }
  | { readonly f: "scan"; readonly prefix: string; readonly limit: number };

interface Session {
  readonly log: Log;
  readonly store: BokiStore;
  readonly things: Collection<Thing>;
  readonly hasIndexes: boolean;
}

/** What was appended on behalf of one call: the seqnums of its commits, undefined where one was refused. */
type Appended = (number | undefined)[];

class Rollback extends Error {}

/** Objects that are put and updated, and such that are only appended to. */
export const registers = ["r0", "r1", "r2", "r3", "s0", "s1"] as const;
export const lists = ["l0", "l1"] as const;
const colors = ["red", "green", "blue"] as const;

export class Sessions {
  readonly history: Ran[] = [];
  readonly #options: SessionsOptions;
  readonly #random: () => number;
  readonly #appended = new AsyncLocalStorage<Appended>();
  /** Commits by seqnum: the keys that they changed. */
  readonly #commits = new Map<number, readonly string[]>();
  #sessions: Session[] = [];
  #ids = 0;
  #events = 0;
  #strands = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#random = options.random;
    this.#ids = this.#strands = options.first ?? 0;
  }

  get logs(): Log[] {
    return this.#sessions.map(({ log }) => log);
  }

  get things(): Collection<Thing>[] {
    return this.#sessions.map(({ things }) => things);
  }

  async open(): Promise<void> {
    const { url, open = {}, sessions, retain = "forever", cacheBytes, older = false } = this.#options;
    for (let i = 0; i < sessions; i++) {
      const log = await openLog(url(i), open);
      const store = new BokiStore(this.#book(log), { cacheBytes });
      const hasIndexes = !(older && i === sessions - 1);
      const indexes = {
        color: ({ color }: Thing) => color,
        badge: { by: ({ badge }: Thing) => badge, unique: true },
      };
      const things = store.collection<Thing>("things", { retain, ...(hasIndexes ? { indexes } : {}) });
      this.#sessions.push({ log, store, things, hasIndexes });
      await things.ready();
    }
  }

  async close(): Promise<void> {
    for (const { store, log } of this.#sessions.splice(0)) {
      await store.close();
      await log.close();
    }
  }

  /** A book that notes what is appended to it, and for whom. */
  #book(log: Log): ReturnType<Log["book"]> {
    const { taps = {} } = this.#options;
    const append: Taps["append"] = async (call, next) => {
      const slots = this.#appended.getStore();
      const slot = slots === undefined ? 0 : slots.push(undefined) - 1;
      const result = await (taps.append === undefined ? next(call) : taps.append(call, next));
      const keys = keysOf(call.data);
      if (!result.ok || keys.length === 0) return result;
      this.#commits.set(result.seqnum, keys);
      if (slots !== undefined) slots[slot] = result.seqnum;
      return result;
    };
    return tapped(log.book("b"), { ...taps, append });
  }

  /** Several strands in each session, each running so many transactions one after the other. */
  async run(strands: number, count: number): Promise<void> {
    let running = this.#sessions.length * strands;
    const work = this.#sessions.flatMap((session) =>
      Array.from({ length: strands }, async () => {
        const process = this.#strands++;
        for (let i = 0; i < count; i++) await this.#one(session, process);
        running--;
      }),
    );
    const keepHouse = async ({ things }: Session): Promise<void> => {
      while (running > 0) {
        await things.checkpoint();
        await turn();
      }
    };
    if (this.#options.retain === "0s") work.push(...this.#sessions.map(keepHouse));
    await Promise.all(work);
  }

  /** Runs a transaction, or an operation outside of one. */
  async #one(session: Session, process: number): Promise<void> {
    const declares = session.hasIndexes;
    const ran: Ran = {
      process,
      declares,
      steps: [],
      status: "ok",
      position: undefined,
      seqnum: undefined,
      start: 0,
      end: 0,
    };
    const chance = this.#random();
    ran.start = this.#events++;
    if (chance < 0.6) await this.#transaction(session, ran);
    else if (chance < 0.7) await this.#snapshot(session, ran);
    else await this.#plain(session, ran);
    ran.end = this.#events++;
    this.history.push(ran);
    if (this.#random() < 0.3) await turn();
  }

  async #transaction({ store, things, hasIndexes }: Session, ran: Ran): Promise<void> {
    const plan = Array.from({ length: 1 + this.#upTo(3) }, () => this.#plan(hasIndexes));
    const fails = this.#random() < 0.05;
    const appended: Appended = [];
    try {
      await this.#appended.run(appended, () =>
        store.transaction(async (tx) => {
          ran.position = tx.position;
          ran.steps = [];
          for (const one of plan) {
            if (this.#random() < 0.2) await turn();
            ran.steps.push(await perform(one, new InTransaction(tx, things)));
          }
          if (fails) throw new Rollback();
        }),
      );
      // Only the last run of it is accepted. What keeps house may append a checkpoint behind it.
      ran.seqnum = appended.findLast((seqnum) => seqnum !== undefined);
    } catch (error) {
      if (!isExpected(error)) throw error;
      ran.status = "failed";
    }
  }

  async #snapshot({ store, things, hasIndexes }: Session, ran: Ran): Promise<void> {
    const looking = store.snapshot(async (at) => {
      ran.position = at.position;
      for (let left = 1 + this.#upTo(4); left > 0; left--) {
        if (this.#random() < 0.3) await turn();
        ran.steps.push(await perform(this.#read(hasIndexes), new InTransaction(at as never, things)));
      }
    });
    try {
      await looking;
    } catch (error) {
      if (!isOutdated(error)) throw error;
      ran.status = "failed";
    }
  }

  async #plain({ things, hasIndexes }: Session, ran: Ran): Promise<void> {
    const planned = this.#plan(hasIndexes);
    const plain = new Plain(things, ran, this.#appended);
    try {
      ran.steps = [await this.#appended.run([], () => perform(planned, plain))];
    } catch (error) {
      // A scan that has begun does not begin again.
      if (!isExpected(error) && !(planned.f === "scan" && isOutdated(error))) throw error;
      ran.status = "failed";
      return;
    }
    ran.seqnum = plain.seqnum;
    // A delete of nothing writes nothing, and tells the position at which there was nothing.
    if (planned.f !== "delete" || this.#commits.get(ran.seqnum!)?.includes(planned.key) === true) return;
    [ran.position, ran.seqnum] = [ran.seqnum, undefined];
    ran.steps = [{ f: "get", key: planned.key, seen: undefined }];
  }

  #plan(hasIndexes: boolean): Planned {
    const chance = this.#random();
    if (chance < 0.4) return this.#read(hasIndexes);
    if (chance < 0.55) return { f: "update", key: pick(this.#random, lists), change: this.#change() };
    const key = pick(this.#random, registers);
    if (chance < 0.75) return { f: "update", key, change: this.#change() };
    if (chance < 0.85 && this.#options.deletes !== false) return { f: "delete", key };
    const { id, color, padding } = this.#change();
    const badge = this.#random() < 0.3 ? this.#upTo(3) : undefined;
    return { f: "put", key, value: { id, list: [], color: color ?? "none", badge, padding } };
  }

  #read(hasIndexes: boolean): Planned {
    const chance = this.#random();
    if (chance < 0.15 && hasIndexes) return { f: "find", color: pick(this.#random, colors) };
    if (chance < 0.3)
      return { f: "scan", prefix: pick(this.#random, ["", "r", "s", "s"]), limit: pick(this.#random, [1, 3, 100]) };
    return { f: "get", key: pick(this.#random, [...registers, ...lists]) };
  }

  #change(): ThingChange {
    const color = this.#random() < 0.5 ? pick(this.#random, colors) : undefined;
    return { id: ++this.#ids, color, padding: "x".repeat(this.#options.padding ?? 0) };
  }

  #upTo(count: number): number {
    return Math.floor(this.#random() * (count + 1));
  }
}

/** The objects that a commit changes. One that only writes down the entries of an index changes none. */
function keysOf(data: Uint8Array): string[] {
  const changes = storeParts(decodeCommit(data), { tags: [] }).filter(
    (part): part is ObjectChange => part instanceof ObjectChange,
  );
  return changes.filter(({ what }) => what !== "same").map(({ key }) => key);
}

/** Where operations are done: in a transaction, or each on its own. */
interface Place {
  get(key: string): Promise<Thing | undefined>;
  put(key: string, value: Thing): Promise<void>;
  update(key: string, change: ThingChange): Promise<Thing>;
  delete(key: string): Promise<void>;
  find(color: string): Promise<{ key: string; value: Thing }[]>;
  scan(options: { prefix: string; limit: number }): AsyncIterable<{ key: string; value: Thing }>;
}

async function perform(planned: Planned, place: Place): Promise<Step> {
  switch (planned.f) {
    case "get":
      return { ...planned, f: "get", seen: await place.get(planned.key) };
    case "put":
      await place.put(planned.key, planned.value);
      return planned;
    case "update":
      return { ...planned, seen: await place.update(planned.key, planned.change) };
    case "delete":
      await place.delete(planned.key);
      return { f: "delete", key: planned.key };
    case "find":
      return { ...planned, seen: (await place.find(planned.color)).map(({ key, value }) => [key, value]) };
    case "scan": {
      const seen: Entry[] = [];
      for await (const { key, value } of place.scan({ prefix: planned.prefix, limit: planned.limit }))
        seen.push([key, value]);
      return { ...planned, seen };
    }
  }
}

/** Others have trimmed what it looked at. */
function isOutdated(error: unknown): boolean {
  return error instanceof LogError && error.code === "LOG_TRIMMED" && error.retryable;
}

type Tx = Parameters<Parameters<BokiStore["transaction"]>[0]>[0];

class InTransaction implements Place {
  constructor(
    readonly tx: Tx,
    readonly things: Collection<Thing>,
  ) {}

  get(key: string): Promise<Thing | undefined> {
    return this.tx.get(this.things, key);
  }

  put(key: string, value: Thing): Promise<void> {
    return this.tx.put(this.things, key, value);
  }

  update(key: string, change: ThingChange): Promise<Thing> {
    return this.tx.update(this.things, key, recipe(change), { initial: beginning(change) });
  }

  delete(key: string): Promise<void> {
    return this.tx.delete(this.things, key);
  }

  find(color: string): Promise<{ key: string; value: Thing }[]> {
    return this.tx.find(this.things, "color", color);
  }

  scan(options: { prefix: string; limit: number }): AsyncIterable<{ key: string; value: Thing }> {
    return this.tx.scan(this.things, options);
  }
}

/** Operations outside of transactions. Those that wait for one another become one record, appended on behalf of the first. */
class Plain implements Place {
  readonly #things: Collection<Thing>;
  readonly #appended: AsyncLocalStorage<Appended>;
  #record: (() => number | undefined) | undefined;

  constructor(things: Collection<Thing>, ran: Ran, appended: AsyncLocalStorage<Appended>) {
    this.#things = things;
    this.#appended = appended;
  }

  get seqnum(): number | undefined {
    return this.#record?.();
  }

  get(key: string): Promise<Thing | undefined> {
    return this.#things.get(key);
  }

  async put(key: string, value: Thing): Promise<void> {
    const { seqnum } = await this.#things.put(key, value);
    this.#record = () => seqnum;
  }

  update(key: string, change: ThingChange): Promise<Thing> {
    const edit = recipe(change);
    const noting = (draft: Mutable): void => {
      const by = this.#appended.getStore()!;
      const slot = by.length;
      this.#record = () => by[slot];
      edit(draft);
    };
    return this.#things.update(key, noting, { initial: beginning(change) });
  }

  async delete(key: string): Promise<void> {
    const { seqnum } = await this.#things.delete(key);
    this.#record = () => seqnum;
  }

  async find(color: string): Promise<{ key: string; value: Thing }[]> {
    return this.#things.find("color", color);
  }

  scan(options: { prefix: string; limit: number }): AsyncIterable<{ key: string; value: Thing }> {
    return this.#things.scan(options);
  }
}

type Mutable = { -readonly [Name in keyof Thing]: Thing[Name] };

function recipe({ id, color }: ThingChange): (draft: Mutable) => void {
  return (draft) => {
    draft.id = id;
    (draft.list as number[]).push(id);
    if (color !== undefined) draft.color = color;
  };
}

/** What an update begins with where there is nothing; `changed` says the same. */
function beginning(change: ThingChange): Thing {
  return { ...changed(undefined, change), list: [], color: "none" };
}

function isExpected(error: unknown): boolean {
  return error instanceof Rollback || error instanceof StoreConflictError || error instanceof StoreUniqueError;
}

/** Lets others go on. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
