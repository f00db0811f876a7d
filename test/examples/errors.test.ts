/** docs/errors.md has every code, and no other. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const file = (path: string): Promise<string> => readFile(new URL(`../../../${path}`, import.meta.url), "utf8");

describe("docs/errors.md", () => {
  it("has a heading with cause and remedy for each code of core/errors.ts", async () => {
    const union = /export type LogErrorCode =([^;]+);/.exec(await file("core/errors.ts"))?.[1] ?? "";
    const codes = [...union.matchAll(/"([A-Z_]+)"/g)].map((match) => match[1]);
    assert.ok(codes.length > 0);

    const sections = (await file("docs/errors.md")).split(/^## /m).slice(1);
    const headings = sections.map((section) => section.slice(0, section.indexOf("\n")));
    assert.deepEqual(headings.sort(), codes.sort());
    for (const section of sections) {
      assert.match(section, /^\*\*Cause\.\*\* /m);
      assert.match(section, /^\*\*Remedy\.\*\* /m);
    }
  });
});
