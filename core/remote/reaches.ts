/** The books that one client reads from, and how far it was told that their trims reach: before anything that came behind them. */
import type { Book, Session } from "../log.js";
import type { SeqNum } from "../types.js";
import type { Reach } from "./wire.js";

/** Books of which a client hears how far trims reach. */
const booksMax = 65_536;

export class Reaches {
  readonly #log: Session;
  readonly #books = new Map<string, Book>();
  readonly #told = new Map<string, SeqNum>();
  #trimsSeen = 0;
  /** Those whose reach was not told yet, and those of which none will be told. */
  #new: [string, Book][] = [];
  readonly #forgotten: string[] = [];

  constructor(log: Session) {
    this.#log = log;
  }

  book(name: string): Book {
    let book = this.#books.get(name);
    if (book === undefined) {
      if (this.#books.size === booksMax) this.#forget();
      this.#books.set(name, (book = this.#log.book(name) as Book));
      this.#new.push([name, book]);
    }
    return book;
  }

  /** The client keeps nothing of it: all that there is may be trimmed, as far as it hears. */
  #forget(): void {
    const [oldest] = this.#books.keys();
    this.#books.delete(oldest!);
    this.#told.delete(oldest!);
    this.#forgotten.push(oldest!);
  }

  /** What there is to tell; undefined for nothing. */
  news(): Reach[] | undefined {
    const { state, applied } = this.#log.engine;
    const books = state.trimsSeen === this.#trimsSeen ? this.#new : this.#books;
    this.#trimsSeen = state.trimsSeen;
    const news: Reach[] = this.#forgotten.splice(0).map((book) => ({ book, position: applied }));
    for (const [name, book] of books) {
      const position = book.trimReach;
      if (position === (this.#told.get(name) ?? 0)) continue;
      this.#told.set(name, position);
      news.push({ book: name, position });
    }
    if (this.#new.length > 0) this.#new = [];
    return news.length > 0 ? news : undefined;
  }
}
