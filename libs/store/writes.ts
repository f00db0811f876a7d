/**
 * Plain writes: each a commit of its own, except that those which come while one is under way for the same object become one
 * record (S5). What is refused runs again on what is there now.
 */
import type { AppendResult, SeqNum } from "../../core/index.js";
import { Commit } from "../commit.js";
import { StoreConflictError } from "../errors.js";
import { backOff, isInTransaction } from "../transaction.js";
import { objectTag } from "../tags.js";
import type { Draft } from "./draft.js";
import type { Handle } from "./handle.js";

const attemptsMax = 100;
const hastyAttempts = 3;

interface Edit<T> {
  readonly run: (draft: Draft<T>) => unknown;
  /** What its caller gets of what `run` gave, and where the commit is. */
  readonly give: (result: unknown, seqnum: SeqNum) => unknown;
  readonly resolve: (given: unknown) => void;
  readonly reject: (error: unknown) => void;
  result: unknown;
}

export class Writes<T> {
  readonly #handle: Handle<T>;
  /** By key, where a commit is under way: the edits that wait for it. */
  readonly #waiting = new Map<string, Edit<T>[]>();

  constructor(handle: Handle<T>) {
    this.#handle = handle;
  }

  /**
   * Edits an object and commits it. What `run` throws comes back, and the object is as before. Inside a transaction no turn is
   * waited for: it might itself have it.
   */
  write<R, G>(
    key: string,
    run: (draft: Draft<T>) => R | Promise<R>,
    give: (result: R, seqnum: SeqNum) => G,
  ): Promise<G> {
    const waits = !isInTransaction();
    return new Promise<G>((resolve, reject) => {
      const edit = { run, give, resolve, reject, result: undefined } as unknown as Edit<T>;
      const waiting = this.#waiting.get(key);
      if (!waits) this.#commit(key, [edit]).catch(reject);
      else if (waiting !== undefined) waiting.push(edit);
      else {
        this.#waiting.set(key, []);
        void this.#drain(key, [edit]);
      }
    });
  }

  /** Writes down the entries of an object; also while others wait for all of them, with turns of their own. */
  reindex(key: string): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const edit: Edit<T> = {
        run: (draft) => draft.reindex(),
        give: () => undefined,
        resolve: () => resolve(),
        reject,
        result: undefined,
      };
      this.#commit(key, [edit], true).catch(reject);
    });
  }

  async #drain(key: string, edits: Edit<T>[]): Promise<void> {
    const waiting = this.#waiting.get(key)!;
    for (; edits.length > 0; edits = waiting.splice(0)) {
      try {
        await this.#inTurn(key, edits);
      } catch (error) {
        // Those that go together must not fail for one another.
        if (edits.length === 1) edits[0]!.reject(error);
        else await this.#alone(key, edits);
      }
    }
    this.#waiting.delete(key);
  }

  /** Commits one after the other. */
  async #alone(key: string, edits: readonly Edit<T>[]): Promise<void> {
    for (const edit of edits) await this.#inTurn(key, [edit]).catch((error: unknown) => edit.reject(error));
  }

  async #inTurn(key: string, edits: Edit<T>[]): Promise<void> {
    const { stored } = this.#handle;
    const { turns } = stored.feed;
    const names = [objectTag(stored.name, key)];
    if (!turns.tryTake(names)) await turns.take(names[0]!);
    try {
      await this.#commit(key, edits);
    } finally {
      turns.give(names);
    }
  }

  /**
   * The indexes that the handle declares are built first. If it `builds` one itself, some attempts are enough: who uses the index next
   * goes on with it.
   */
  async #commit(key: string, edits: Edit<T>[], builds = false): Promise<void> {
    const handle = this.#handle;
    const { stored } = handle;
    for (let attempt = 1; ; attempt++) {
      if (!builds && !handle.isReady) await handle.openForWrites();
      if (await this.#attempt(key, edits)) return;
      await stored.feed.sync();
      if (attempt >= (builds ? hastyAttempts : attemptsMax))
        throw new StoreConflictError(`a write of "${key}" in "${stored.name}"`, attempt);
      if (attempt > hastyAttempts) await backOff(stored.feed, attempt - hastyAttempts, undefined);
    }
  }

  /** False if it was refused. */
  async #attempt(key: string, edits: Edit<T>[]): Promise<boolean> {
    const handle = this.#handle;
    const { stored } = handle;
    let version = handle.isOpen ? stored.peek(key) : undefined;
    while (version === undefined) {
      if (!handle.isOpen) await handle.openForWrites();
      version = (await stored.object(key)).current;
    }
    const at = stored.feed.now();
    const opened = handle.draft(version, key, at.time);
    const draft = opened instanceof Promise ? await opened : opened;
    for (const edit of edits.slice()) {
      try {
        edit.result = edit.run(draft);
        if (edit.result instanceof Promise) edit.result = await edit.result;
      } catch (error) {
        edits.splice(edits.indexOf(edit), 1);
        edit.reject(error);
      }
    }
    if (!draft.changed) {
      for (const edit of edits) edit.resolve(edit.give(edit.result, at.position));
      return true;
    }
    handle.check();
    // An index may have been defined meanwhile.
    if (!handle.isOpen) return false;
    const commit = new Commit();
    const { keys } = handle;
    const claims = handle.claims([key]);
    handle.addChange(commit, draft, keys, at, claims);
    if (claims.unsure !== undefined) return false;
    handle.guard(commit, at.position);
    commit.unless(objectTag(stored.name, key), at.position);
    const appended: AppendResult = await commit.append(stored.feed);
    if (!appended.ok) return false;
    for (const edit of edits) edit.resolve(edit.give(edit.result, appended.seqnum));
    return true;
  }
}
