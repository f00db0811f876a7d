/**
 * Objects that expire are deleted when their time has come, by whichever process has the keys of the collection open. Until
 * then reads do not show them; this gives back their room and their index entries.
 */
import type { IndexDefinition, ObjectChange } from "./change.js";
import type { Handle } from "./handle.js";
import { nextExpiry } from "./keys.js";
import type { Writes } from "./writes.js";

/** Objects that are deleted at once. */
const atOnce = 256;
/** A timer waits no longer than this, ms. */
const waitMsMax = 2 ** 31 - 1;

export class Expiry<T> {
  readonly #handle: Handle<T>;
  readonly #writes: Writes<T>;
  #cancel: (() => void) | undefined;
  #at = Infinity;
  #sweeping: Promise<void> | undefined;
  #closed = false;

  constructor(handle: Handle<T>, writes: Writes<T>) {
    this.#handle = handle;
    this.#writes = writes;
    handle.stored.watchers.add(this.#watcher);
  }

  readonly #watcher = {
    changed: (part: ObjectChange | IndexDefinition): void => {
      if (!("expiresAt" in part) || (part.expiresAt === 0 && part.expiresIn === 0)) return;
      if (this.#handle.stored.keys.current === undefined) this.#open();
      else this.#schedule();
    },
    keysOpened: (): void => this.#schedule(),
  };

  #open(): void {
    // What cannot be opened now is opened by whoever needs it next.
    this.#handle.stored.openKeys().catch(() => undefined);
  }

  #schedule(): void {
    const state = this.#handle.stored.keys.current?.state;
    const next = state === undefined ? undefined : nextExpiry(state);
    if (next === undefined || this.#closed || this.#sweeping !== undefined || next.at >= this.#at) return;
    this.#cancel?.();
    this.#at = next.at;
    const { clock } = this.#handle.stored.feed.book.log;
    const wait = Math.min(waitMsMax, Math.max(0, next.at - clock.now()));
    this.#cancel = clock.setTimer(wait, () => this.#begin(), true);
  }

  #begin(): void {
    this.#sweeping = this.#sweep()
      // The log has a fault or is closed, which shows itself to whoever uses it.
      .catch(() => undefined)
      .finally(() => {
        this.#sweeping = undefined;
        this.#at = Infinity;
        this.#schedule();
      });
  }

  async #sweep(): Promise<void> {
    const { stored } = this.#handle;
    for (;;) {
      const state = stored.keys.current?.state;
      const now = stored.feed.now().time;
      if (state === undefined || this.#closed) return;
      const due: string[] = [];
      for (let next = nextExpiry(state); due.length < atOnce; next = nextExpiry(state, next)) {
        if (next === undefined || next.at > now) break;
        due.push(next.key);
      }
      if (due.length === 0) return;
      await Promise.all(due.map((key) => this.#delete(key)));
    }
  }

  #delete(key: string): Promise<void> {
    return this.#writes.write(
      key,
      (draft) => draft.expire(),
      () => undefined,
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#handle.stored.watchers.delete(this.#watcher);
    this.#cancel?.();
    await this.#sweeping;
  }
}
