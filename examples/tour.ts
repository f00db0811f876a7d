/**
 * A tour of the log on real input: append, find, lose a race, survive a kill, change objects. `npm start` runs it.
 *
 * The log is kept in the folder ./data and may be toured again: each run has books of its own.
 */
import { openLog, type Log, type LogBook } from "../libs/index.js";
import { readmeExample } from "./readme-example.js";
import { bold, count, dim, figures, good, heading, line, yellow } from "./terminal.js";
import { appendUntilKilled, inspect } from "./tour-crash.js";
import { appendRate, readRate } from "./tour-figures.js";
import { loadFilms, tagsOf, titleOf, yearOf, type Film } from "./tour-films.js";
import { showObjects } from "./tour-objects.js";

const url = "file:./data";
const interrupted = new AbortController();
const { signal } = interrupted;

/** Run numbers are taken with a condition, so that two tours at once could not take the same. */
async function takeRunNumber(log: Log): Promise<number> {
  const runs = log.book("tour-runs");
  for (;;) {
    const last = await runs.readPrev({ tag: "run" });
    const number = last === undefined ? 1 : last.json<number>() + 1;
    const unless = [{ tag: "run", after: last?.seqnum ?? 0 }];
    const result = await runs.append(Buffer.from(JSON.stringify(number)), { tags: ["run"], unless, signal });
    if (result.ok) return number;
  }
}

async function appendFilms(book: LogBook): Promise<number> {
  heading("1. Append: 3,201 films, each a record with up to nine tags");
  const { films, corrected } = await loadFilms();
  const start = performance.now();
  // None waits for the one before: the log keeps the order of the calls and writes many with one sync.
  const appends = films.map((film) => book.append(Buffer.from(JSON.stringify(film)), { tags: tagsOf(film) }));
  await Promise.all(appends);
  const ms = performance.now() - start;
  good(`${count(films.length)} films appended in the order of their release, durable after ${count(ms)} ms`);
  line(dim(`(${corrected} dates of the file are a century late, such as Gone with the Wind in 2039: put right)`));
  return ms;
}

async function findFilms(book: LogBook): Promise<void> {
  heading("2. Find by tag, forwards and backwards");
  const tag = "director:Steven Spielberg";
  line(`${yellow(`read({ tag: "${tag}" })`)}  first to last`);
  const titles: string[] = [];
  for await (const record of book.read({ tag })) {
    const film = record.json<Film>();
    titles.push(`${yearOf(film)} ${titleOf(film)}`);
  }
  for (const title of [...titles.slice(0, 3), `... ${titles.length - 6} more ...`, ...titles.slice(-3)])
    line(`    ${title}`);

  line(`${yellow('readPrev({ tag: "genre:Western", upTo })')}  the last three, newest first`);
  let upTo: number | undefined;
  for (let i = 0; i < 3; i++) {
    const record = await book.readPrev({ tag: "genre:Western", upTo });
    if (record === undefined) break;
    const film = record.json<Film>();
    line(`    ${yearOf(film)} ${titleOf(film)}  ${dim(`seqnum ${record.seqnum}`)}`);
    upTo = record.seqnum - 1;
  }

  let films = 0;
  for await (const head of book.read({ tag: "distributor:Walt Disney Pictures", reverse: true, head: true }))
    films += head.size > 0 ? 1 : 0;
  line(
    `${yellow("read({ tag, reverse: true, head: true })")}  ${films} films by Walt Disney Pictures, counted without their content`,
  );
}

async function loseRace(book: LogBook): Promise<void> {
  heading("3. Two want the last ticket: a conditional append");
  // A second opening of the same log is a session of its own, as a second part of a program would have.
  const other = await openLog(url, { signal });
  try {
    const tag = "ticket:Jaws:seat 12";
    const seats = [
      { who: "Ada", book },
      { who: "Bob", book: other.book(book.name) },
    ];
    // Both look first, and both see the seat free.
    const seen = await Promise.all(seats.map(async (seat) => (await seat.book.readPrev({ tag }))?.seqnum ?? 0));
    const results = await Promise.all(
      seats.map((seat, i) =>
        seat.book.append(Buffer.from(seat.who), { tags: [tag], unless: [{ tag, after: seen[i] ?? 0 }], signal }),
      ),
    );
    for (const [i, result] of results.entries()) {
      const who = seats[i]?.who ?? "";
      if (result.ok) good(`${who} has the seat: record ${result.seqnum}`);
      else line(`✗ ${who} does not: ${yellow(JSON.stringify(result.conflict))} was there first; nothing was appended`);
    }
  } finally {
    await other.close();
  }
}

/** The log must be closed: the child owns the folder while it lives. Gives the log opened again. */
async function survive(bookName: string): Promise<Log> {
  heading("4. Kill: a process dies in the middle of appending");
  const tag = "order";
  const acknowledged = await appendUntilKilled(
    { url, book: bookName, tag },
    { enough: 5_000, timeoutMs: 5_000, signal },
  );
  line(
    `A child process appended with 256 in flight and was killed with SIGKILL after ${count(acknowledged.length)} acknowledged appends.`,
  );
  const start = performance.now();
  const log = await openLog(url, { signal });
  try {
    line(
      `Opened again in ${count(performance.now() - start)} ms; torn and never acknowledged: ${count(log.recovered?.bytes ?? 0)} bytes, cut off.`,
    );
    const { found, total, inOrder } = await inspect(log.book(bookName), tag, acknowledged);
    if (found !== acknowledged.length)
      throw new Error(`only ${found} of ${acknowledged.length} acknowledged records were found`);
    if (!inOrder) throw new Error("the records are not in the order of their appends");
    good(
      `${bold(`${count(found)} of ${count(acknowledged.length)}`)} acknowledged records are there, in order, each once`,
    );
    line(dim(`(and ${count(total - found)} more, written whole before the child could say so)`));
    return log;
  } catch (error) {
    await log.close();
    throw error;
  }
}

async function measure(log: Log, films: string, filmsMs: number): Promise<void> {
  heading("6. Figures of this run");
  const scratch = log.book("tour-figures");
  const one = await appendRate(scratch, 1, 2_000, signal);
  const many = await appendRate(scratch, 1_024, 20_000, signal);
  const reads = await readRate(log.book(films), ["genre:Western", "genre:Musical", "year:1999"], signal);
  const stats = await log.stats();
  figures([
    ["films appended", "3,201", `in ${count(filmsMs)} ms`],
    ["appends/s, 1 in flight", count(one), "1 KiB, each synced to disk before the next"],
    ["appends/s, 1,024 in flight", count(many), "1 KiB, many share a sync"],
    ["readNext/s by tag", count(reads), "awaited one by one, in memory"],
    ["one sync", `${stats.syncMs.toFixed(2)} ms`, "moving average of fdatasync, large batches too"],
    ["records in the log", count(stats.records), "all runs so far"],
    ["bytes of the log", count(stats.logBytes), `${count(stats.diskBytes)} reserved on disk`],
    [
      "bytes of the index",
      count(stats.indexBytes),
      `${(stats.indexBytes / stats.entries).toFixed(1)} a record with its tags, whose own text is another ${count(stats.tagBytes)}`,
    ],
  ]);
}

async function tour(): Promise<void> {
  console.log(`${bold("boki")}: a durable, totally ordered, tagged log inside your process`);
  let log = await openLog(url, { signal });
  try {
    const run = await takeRunNumber(log);
    const books = { films: `films-${run}`, orders: `orders-${run}`, objects: `objects-${run}` };
    line(
      `Run ${run} in the folder ./data, books ${Object.values(books).join(", ")}. Earlier runs stay; delete ./data to begin anew.`,
    );
    const filmsMs = await appendFilms(log.book(books.films));
    await findFilms(log.book(books.films));
    await loseRace(log.book(books.films));
    await log.close();
    log = await survive(books.orders);
    await showObjects(log.book(books.objects), signal);
    await measure(log, books.films, filmsMs);
  } finally {
    await log.close();
  }
  for (const [title, place] of [["What you would write", 0] as const, ["And with objects", 2] as const]) {
    heading(title);
    for (const text of (await readmeExample(place)).trimEnd().split("\n")) line(text);
  }
  line();
}

process.once("SIGINT", () => interrupted.abort());
try {
  await tour();
} catch (error) {
  if (!signal.aborted) throw error;
  console.log("\nInterrupted. The log was closed; everything acknowledged is in ./data.");
  process.exitCode = 130;
}
