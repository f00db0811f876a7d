/** The tour's input: the 3,201 films of vega-datasets, in the order of their release, each with the tags to find it by. */
import { readFile } from "node:fs/promises";

/** A film as the file has it. Unknown fields are null; nine titles are numbers ("300") and one is missing. */
export interface Film {
  readonly Title: string | number | null;
  /** Such as "Jun 20 1975". */
  readonly "Release Date": string;
  readonly "Major Genre": string | null;
  readonly "Creative Type": string | null;
  readonly "MPAA Rating": string | null;
  readonly "IMDB Rating": number | null;
  /** In dollars. */
  readonly "Worldwide Gross": number | null;
  readonly Distributor: string | null;
  readonly Director: string | null;
  readonly Source: string | null;
}

const tagged = {
  genre: "Major Genre",
  type: "Creative Type",
  rated: "MPAA Rating",
  distributor: "Distributor",
  director: "Director",
  source: "Source",
} as const satisfies Record<string, keyof Film>;

/** Newest release in the file. What claims to be newer was given the wrong century ("Gone with the Wind", 2039). */
const lastYear = 2011;

export function titleOf(film: Film): string {
  return film.Title === null ? "(untitled)" : String(film.Title);
}

export function yearOf(film: Film): number {
  const year = Number(film["Release Date"].slice(-4));
  return year > lastYear ? year - 100 : year;
}

/** For example `["film", "title:Jaws", "year:1975", "genre:Horror", "director:Steven Spielberg", ...]`. */
export function tagsOf(film: Film): string[] {
  const tags = ["film", `title:${titleOf(film)}`, `year:${yearOf(film)}`];
  for (const [label, field] of Object.entries(tagged)) {
    const value = film[field];
    if (value !== null) tags.push(`${label}:${value}`);
  }
  return tags;
}

/** All films, oldest first, and how many of their dates had to be put right. */
export async function loadFilms(): Promise<{ films: Film[]; corrected: number }> {
  const path = new URL("../data/movies.json", import.meta.resolve("vega-datasets"));
  const films = JSON.parse(await readFile(path, "utf8")) as Film[];
  const released = (film: Film): number => Date.parse(`${film["Release Date"].slice(0, 6)} ${yearOf(film)} UTC`);
  const corrected = films.filter((film) => Number(film["Release Date"].slice(-4)) > lastYear).length;
  return { films: films.sort((a, b) => released(a) - released(b)), corrected };
}
