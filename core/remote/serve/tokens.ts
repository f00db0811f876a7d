/**
 * Who may do what on a server: tokens, of which only hashes are kept, with rights that end.
 *
 * T1  Which token comes close, or how many there are, cannot be told by time: each is compared, over its whole length.
 * T2  Rights end at their time, also under sessions that say nothing. They are looked at each time something is asked, and by a timer.
 * T3  A change ends the sessions that it concerns, and no others. Their clients come again, and find what they may do now.
 */
import { timingSafeEqual } from "node:crypto";
import { LogError } from "../../errors.js";
import type { Clock } from "../../types.js";
import { forbiddenError, type Right, type Rights } from "../rights.js";
import { type Grant, hashOf } from "./token-file.js";

/** A wall clock may be set: it is looked at so often at least, ms. */
const lookMs = 60_000;

export class Tokens {
  readonly #clock: Clock;
  #holders: Holder[];
  #cancelTimer: (() => void) | undefined;

  constructor(grants: readonly Grant[], clock: Clock) {
    this.#clock = clock;
    this.#holders = grants.map((grant) => new Holder(grant, clock));
    this.#schedule();
  }

  get count(): number {
    return this.#holders.length;
  }

  /** Whose token it is. Throws `LOG_UNAUTHENTICATED`. */
  authenticate(token: string | undefined): Rights {
    if (token === undefined)
      throw unauthenticated("this server asks for a token; give openLog one, or the command line in BOKI_TOKEN");
    const hash = hashOf(token);
    let found: Holder | undefined;
    for (const holder of this.#holders) if (timingSafeEqual(holder.grant.sha256, hash)) found = holder;
    if (found === undefined) throw unauthenticated("the token is none that this server knows; ask for another one");
    found.checkAlive();
    return found;
  }

  /** Other tokens, from now on. */
  replace(grants: readonly Grant[]): void {
    const before = this.#holders;
    this.#holders = grants.map(
      (grant) => before.find((holder) => isSame(holder.grant, grant)) ?? new Holder(grant, this.#clock),
    );
    for (const holder of before) {
      if (this.#holders.includes(holder)) continue;
      const { name, sha256 } = holder.grant;
      holder.end(
        grants.some((grant) => grant.sha256.equals(sha256))
          ? new LogError("LOG_UNAVAILABLE", `the rights of ${name} were changed; connect again`, { retryable: true })
          : unauthenticated(`the token of ${name} was taken away; ask for another one`),
      );
    }
    this.#schedule();
  }

  #schedule(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const next = Math.min(...this.#holders.filter((holder) => !holder.ended.aborted).map(({ grant }) => grant.expires));
    if (next === Infinity) return;
    const wait = Math.max(0, Math.min(lookMs, next - this.#clock.now()));
    this.#cancelTimer = this.#clock.setTimer(wait, this.#look, true);
  }

  readonly #look = (): void => {
    for (const holder of this.#holders) holder.look();
    this.#schedule();
  };

  close(): void {
    this.#cancelTimer?.();
  }
}

class Holder implements Rights {
  readonly grant: Grant;
  readonly #clock: Clock;
  readonly #ended = new AbortController();
  readonly #exact = new Map<string, readonly Right[]>();
  readonly #prefixes: { readonly prefix: string; readonly rights: readonly Right[] }[] = [];

  constructor(grant: Grant, clock: Clock) {
    this.grant = grant;
    this.#clock = clock;
    for (const [pattern, rights] of Object.entries(grant.rights)) {
      if (pattern.endsWith("*")) this.#prefixes.push({ prefix: pattern.slice(0, -1), rights });
      else this.#exact.set(pattern, rights);
    }
  }

  get name(): string {
    return this.grant.name;
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  check(right: Right, book = ""): void {
    this.checkAlive();
    if (this.#exact.get(book)?.includes(right) === true) return;
    for (const { prefix, rights } of this.#prefixes) if (book.startsWith(prefix) && rights.includes(right)) return;
    throw forbiddenError(this.name, right, right === "admin" ? undefined : book);
  }

  checkAlive(): void {
    this.look();
    if (this.#ended.signal.aborted) throw this.#ended.signal.reason as LogError;
  }

  /** Ends at its time. */
  look(): void {
    const { name, expires } = this.grant;
    if (this.#clock.now() < expires || this.#ended.signal.aborted) return;
    const at = new Date(expires).toISOString();
    this.end(unauthenticated(`the token of ${name} has expired at ${at}; ask for another one`));
  }

  end(error: LogError): void {
    this.#ended.abort(error);
  }
}

function isSame(one: Grant, other: Grant): boolean {
  return (
    one.name === other.name &&
    one.sha256.equals(other.sha256) &&
    one.expires === other.expires &&
    JSON.stringify(one.rights) === JSON.stringify(other.rights)
  );
}

function unauthenticated(message: string): LogError {
  return new LogError("LOG_UNAUTHENTICATED", message);
}
