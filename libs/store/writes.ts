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
import { Claims } from "./indexes.js";

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

  /** Edits an object and commits it. What `run` throws comes back, and the object is as before. */
  write<R, G>(
    key: string,
    run: (draft: Draft<T>) => R | Promise<R>,
    give: (result: R, seqnum: SeqNum) => G,
  ): Promise<G> {
    if (this.#handle.isReady) return this.#write(key, run, give);
    return this.#handle.openForWrites().then(() => this.#write(key, run, give));
  }

  /** Writes down the entries of an object; also while others wait for all of them, with turns of their own. */
  reindex(key: string): Promise<void> {
    return this.#write(
      key,
      (draft) => draft.reindex(),
      () => undefined,
      false,
    );
  }

  /** Inside a transaction nothing is waited for: it might itself have the turn. */
  #write<R, G>(
    key: string,
    run: (draft: Draft<T>) => R | Promise<R>,
    give: (result: R, seqnum: SeqNum) => G,
    waits = !isInTransaction(),
  ): Promise<G> {
    return new Promise<G>((resolve, reject) => {
      const edit = { run, give, resolve, reject, result: undefined } as unknown as Edit<T>;
      const waiting = this.#waiting.get(key);
      if (!waits) this.#commit(key, [edit], false).catch(reject);
      else if (waiting !== undefined) waiting.push(edit);
      else {
        this.#waiting.set(key, []);
        void this.#drain(key, [edit]);
      }
    });
  }

  async #drain(key: string, edits: Edit<T>[]): Promise<void> {
    const waiting = this.#waiting.get(key)!;
    for (; edits.length > 0; edits = waiting.splice(0)) {
      try {
        await this.#commit(key, edits);
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
    for (const edit of edits) await this.#commit(key, [edit]).catch((error: unknown) => edit.reject(error));
  }

  /** With `inTurn`, others who write the object wait meanwhile. */
  async #commit(key: string, edits: Edit<T>[], inTurn = true): Promise<void> {
    const { stored } = this.#handle;
    const { feed } = stored;
    const names = inTurn ? [objectTag(stored.name, key)] : [];
    if (!feed.turns.tryTake(names)) await feed.turns.take(names[0]!);
    try {
      for (let attempt = 1; !(await this.#attempt(key, edits)); attempt++) {
        await feed.sync();
        if (attempt >= attemptsMax) throw new StoreConflictError(`a write of "${key}" in "${stored.name}"`, attempt);
        if (attempt > hastyAttempts) await backOff(feed, attempt - hastyAttempts, undefined);
      }
    } finally {
      feed.turns.give(names);
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
    handle.addChange(commit, draft, keys, at, keys === undefined ? undefined : new Claims([key]));
    handle.guard(commit, at.position);
    commit.unless(draft.tag, at.position);
    const appended: AppendResult = await commit.append(stored.feed);
    if (!appended.ok) return false;
    for (const edit of edits) edit.resolve(edit.give(edit.result, appended.seqnum));
    return true;
  }
}
