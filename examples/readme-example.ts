/** The example of README.md: what a user would write. Taken from there, so that it exists once. */
import { readFile } from "node:fs/promises";

/** The first JavaScript block of README.md. */
export async function readmeExample(): Promise<string> {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const block = /^```js\n(.*?)^```$/ms.exec(readme)?.[1];
  if (block === undefined) throw new Error("README.md has no JavaScript block");
  return block;
}
