/** The tour's objects: films and their distributors in a store, sales that change three of them at once, and what was before. */
import { BokiStore, type Collection, type LogBook } from "../libs/index.js";
import { bold, count, dim, good, heading, line, yellow } from "./terminal.js";
import { loadFilms, titleOf, yearOf } from "./tour-films.js";

interface StoredFilm {
  readonly title: string;
  readonly year: number;
  readonly director: string | null;
  readonly owner: string;
}

interface Studio {
  readonly films: number;
  readonly dollars: number;
}

interface Market {
  readonly store: BokiStore;
  readonly films: Collection<StoredFilm>;
  readonly studios: Collection<Studio>;
}

const sales = 500;
const reads = 100_000;

export async function showObjects(book: LogBook, signal: AbortSignal): Promise<void> {
  heading("5. Objects: films and studios, changed together or not at all");
  const store = new BokiStore(book);
  try {
    const market: Market = {
      store,
      films: store.collection("films", { indexes: { director: (film) => film.director } }),
      studios: store.collection("studios"),
    };
    await fill(market);
    await find(market);
    await sellOne(market);
    await sellMany(market, signal);
  } finally {
    await store.close();
  }
}

async function fill({ films, studios }: Market): Promise<void> {
  const start = performance.now();
  const owners = new Map<string, Studio>();
  const puts: Promise<unknown>[] = [];
  for (const film of (await loadFilms()).films) {
    const [title, year, owner] = [titleOf(film), yearOf(film), film.Distributor ?? "(nobody)"];
    puts.push(films.put(`${title} (${year})`, { title, year, director: film.Director, owner }));
    const before = owners.get(owner) ?? { films: 0, dollars: 0 };
    owners.set(owner, { films: before.films + 1, dollars: before.dollars + (film["Worldwide Gross"] ?? 0) });
  }
  for (const [name, studio] of owners) puts.push(studios.put(name, studio));
  await Promise.all(puts);
  good(`${count(puts.length)} objects put, durable and indexed after ${count(performance.now() - start)} ms`);
}

async function find({ films }: Market): Promise<void> {
  const found = await films.find("director", "Steven Spielberg");
  line(`${yellow('films.find("director", "Steven Spielberg")')}  ${found.length} films`);
  const start = performance.now();
  for (let i = 0; i < reads; i++) await films.get(found[i % found.length]!.key);
  line(dim(`(${count(reads)} awaited reads of them took ${count(performance.now() - start)} ms: they are in memory)`));
}

/** Changes three objects, or none: a film and two studios. Runs again by itself if others change them meanwhile. */
async function sell({ store, films, studios }: Market, film: string, to: string, dollars: number): Promise<void> {
  await store.transaction(async (tx) => {
    const owner = (await tx.get(films, film))?.owner;
    if (owner === undefined || owner === to) return;
    await tx.update(films, film, (draft) => void (draft.owner = to));
    for (const [studio, sign] of [[owner, 1] as const, [to, -1] as const]) {
      await tx.update(studios, studio, (draft) => {
        draft.films -= sign;
        draft.dollars += sign * dollars;
      });
    }
  });
}

async function sellOne(market: Market): Promise<void> {
  const jaws = "Jaws (1975)";
  await sell(market, jaws, "Walt Disney Pictures", 1_000_000);
  line(
    `${yellow("store.transaction(...)")}  sells Jaws, for a million, in one append. ${yellow("films.history(...)")}`,
  );
  for await (const { seqnum, value } of market.films.history(jaws))
    line(`    ${value?.owner}  ${dim(`seqnum ${seqnum}`)}`);
}

async function sellMany(market: Market, signal: AbortSignal): Promise<void> {
  const { films, studios } = market;
  const before = await total(market);
  const names = await collect(studios.keys());
  const keys = await collect(films.keys({ limit: sales }));
  const start = performance.now();
  await Promise.all(keys.map((key, i) => sell(market, key, names[i % names.length]!, 1_000)));
  signal.throwIfAborted();
  const ms = performance.now() - start;
  const after = await total(market);
  if (after.films !== before.films || after.dollars !== before.dollars) throw new Error("films or dollars were lost");
  good(
    `${count(sales)} sales at once, in ${count(ms)} ms: ${bold(`${count(after.films)} films and $${count(after.dollars)}`)} as before`,
  );
}

/** What all studios have, at one position. */
function total({ store, studios }: Market): Promise<Studio> {
  return store.snapshot(async (at) => {
    let sum: Studio = { films: 0, dollars: 0 };
    for await (const { value } of at.scan(studios))
      sum = { films: sum.films + value.films, dollars: sum.dollars + value.dollars };
    return sum;
  });
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
