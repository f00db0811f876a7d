/** The examples of README.md: what a user would write. Taken from there, so that they exist once. */
import { readFile } from "node:fs/promises";

/** A JavaScript block of README.md, by default the first. */
export async function readmeExample(place = 0): Promise<string> {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const block = [...readme.matchAll(/^```js\n(.*?)^```$/gms)][place]?.[1];
  if (block === undefined) throw new Error("README.md has no such JavaScript block");
  return block;
}
