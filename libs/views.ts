/**
 * Positions that are being read at, and the values that have been replaced since and are kept for them.
 *
 * Replaced values stand in the order in which they were replaced; once no view is older than the replacement at the front,
 * it is let go. What they share with their successors costs nothing.
 */
import type { SeqNum } from "../core/index.js";

/** A position that somebody reads at, until it is closed. */
export interface View {
  readonly position: SeqNum;
  /** Log time there, ms. */
  readonly time: number;
}

/** Something that keeps what it was. */
export interface Keeper {
  /** Lets its oldest value go. */
  forget(): void;
}

export class Views {
  /** In the order of their opening, hence of their positions. */
  readonly #open = new Set<View>();
  #replaced: { readonly keeper: Keeper; readonly at: SeqNum }[] = [];
  #first = 0;
  /** The newest position that is being read at, -1 when there is none. */
  newest: SeqNum = -1;

  open(view: View): View {
    this.#open.add(view);
    this.newest = view.position;
    return view;
  }

  close(view: View): void {
    this.#open.delete(view);
    if (this.#open.size === 0) this.newest = -1;
    if (this.#first < this.#replaced.length) this.#forget();
  }

  /** The oldest position that is being read at; undefined when there is none. */
  get oldest(): SeqNum | undefined {
    for (const view of this.#open) return view.position;
    return undefined;
  }

  /** A value was replaced at `at`, and is kept by `keeper` because a view is older. */
  replaced(keeper: Keeper, at: SeqNum): void {
    this.#replaced.push({ keeper, at });
  }

  #forget(): void {
    const oldest = this.oldest ?? Infinity;
    const replaced = this.#replaced;
    let first = this.#first;
    while (first < replaced.length && replaced[first]!.at <= oldest) replaced[first++]!.keeper.forget();
    if (first === replaced.length) {
      this.#replaced = [];
      first = 0;
    } else if (first > 1000 && 2 * first > replaced.length) {
      this.#replaced = replaced.slice(first);
      first = 0;
    }
    this.#first = first;
  }
}
