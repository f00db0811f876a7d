/**
 * Turns on names: who writes under a name while somebody else does waits until he is through, in order. They save work that
 * would be refused; that nothing goes wrong without them is the matter of conditions.
 */
import { abortedError, onAbort } from "../core/index.js";

export class Turns {
  /** Names in use, and who waits for them. */
  readonly #waiting = new Map<string, Set<() => void> | undefined>();

  /** All of the names, if all are free. */
  tryTake(names: readonly string[]): boolean {
    for (const name of names) if (this.#waiting.has(name)) return false;
    for (const name of names) this.#waiting.set(name, undefined);
    return true;
  }

  /** One name, as soon as it is free. Rejects with `LOG_ABORTED`. */
  async take(name: string, signal?: AbortSignal): Promise<void> {
    if (!this.#waiting.has(name)) {
      this.#waiting.set(name, undefined);
      return;
    }
    let waiting = this.#waiting.get(name);
    if (waiting === undefined) this.#waiting.set(name, (waiting = new Set()));
    await new Promise<void>((resolve, reject) => {
      const turn = (): void => {
        stop();
        resolve();
      };
      waiting.add(turn);
      const stop = onAbort(signal, () => {
        waiting.delete(turn);
        reject(abortedError(signal!));
      });
    });
  }

  /** All of the names, one after the other: in the order of the names, so that no two wait for each other. */
  async takeAll(names: readonly string[], signal?: AbortSignal): Promise<void> {
    const taken: string[] = [];
    try {
      for (const name of [...names].sort()) {
        await this.take(name, signal);
        taken.push(name);
      }
    } catch (error) {
      this.give(taken);
      throw error;
    }
  }

  give(names: readonly string[]): void {
    for (const name of names) {
      const waiting = this.#waiting.get(name);
      const next = waiting?.values().next().value;
      if (next === undefined) this.#waiting.delete(name);
      else {
        waiting!.delete(next);
        next();
      }
    }
  }
}
