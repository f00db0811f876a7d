/**
 * Turns on names: who writes under a name while somebody else does waits until he is through, in order. They save work that
 * would be refused; that nothing goes wrong without them is the matter of conditions.
 */
export class Turns {
  /** Names in use, and who waits for them. */
  readonly #waiting = new Map<string, (() => void)[]>();

  isBusy(name: string): boolean {
    return this.#waiting.has(name);
  }

  /** All of the names, if all are free. */
  tryTake(names: readonly string[]): boolean {
    for (const name of names) if (this.#waiting.has(name)) return false;
    for (const name of names) this.#waiting.set(name, []);
    return true;
  }

  /** One name, as soon as it is free. */
  async take(name: string): Promise<void> {
    const waiting = this.#waiting.get(name);
    if (waiting === undefined) this.#waiting.set(name, []);
    else await new Promise<void>((resolve) => waiting.push(resolve));
  }

  /** All of the names, one after the other: in the order of the names, so that no two wait for each other. */
  async takeAll(names: readonly string[]): Promise<void> {
    for (const name of [...names].sort()) await this.take(name);
  }

  give(names: readonly string[]): void {
    for (const name of names) {
      const next = this.#waiting.get(name)!.shift();
      if (next === undefined) this.#waiting.delete(name);
      else next();
    }
  }
}
