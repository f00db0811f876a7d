/** docs/cli.md: its examples print what it says, and every command with the examples of its help is in it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { boki, root, shell, useFolder } from "./boki.js";

interface Example {
  readonly command: string;
  readonly output: string;
}

/** The commands of all blocks, in order; each goes on in the folder of the one before. */
function examplesOf(text: string): Example[] {
  const blocks = [...text.matchAll(/^```console\n(.*?)^```$/gms)].map((match) => match[1]!);
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const end = part.indexOf("\n");
        return { command: part.slice(0, end), output: part.slice(end + 1) };
      }),
  );
}

/** Times differ from run to run. */
function timeless(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "2026-01-31T09:30:00.000Z")
    .replace(/"time":\d+/g, '"time":1769851800000');
}

describe("docs/cli.md", function () {
  this.timeout(60_000);
  const folder = useFolder();
  const text = readFileSync(join(root, "docs/cli.md"), "utf8");

  it("has examples that print what it says", async () => {
    const examples = examplesOf(text);
    assert.ok(examples.length > 10);
    for (const { command, output } of examples) {
      const { stdout } = await shell(`exec 2>&1; ${command}`, folder.path);
      assert.equal(timeless(stdout), output, command);
    }
  });

  it("has every command, and the examples that its help shows", async () => {
    const { stdout } = await boki(["--help"], folder.path);
    const names = [...stdout.matchAll(/^ {2}(\w+) \[options\]/gm)].map((match) => match[1]!);
    assert.ok(names.length >= 7);
    for (const name of names) {
      assert.match(text, new RegExp(`^\\| \`boki ${name} `, "m"));
      const help = (await boki([name, "--help"], folder.path)).stdout;
      const examples = /^Examples?:\n((?: {2}.*\n)+)/m.exec(help)![1]!.trim().split(/\n\s*/);
      for (const example of examples) assert.ok(text.includes(`$ ${example}`), example);
    }
  });
});
