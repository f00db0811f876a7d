/** docs/errors.md has every code, and no other. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const file = (path: string): Promise<string> => readFile(new URL(`../../../${path}`, import.meta.url), "utf8");

/** The codes of a union of strings in a source file. */
async function codesOf(path: string, union: string): Promise<string[]> {
  const members = new RegExp(`export type ${union} =([^;]+);`).exec(await file(path))?.[1] ?? "";
  const codes = [...members.matchAll(/"([A-Z_]+)"/g)].map((match) => match[1]!);
  assert.ok(codes.length > 0, union);
  return codes;
}

describe("docs/errors.md", () => {
  it("has a heading with cause and remedy for each code of core/errors.ts and libs/errors.ts", async () => {
    const codes = [
      ...(await codesOf("core/errors.ts", "LogErrorCode")),
      ...(await codesOf("libs/errors.ts", "StoreErrorCode")),
    ];
    const sections = (await file("docs/errors.md")).split(/^## /m).slice(1);
    const headings = sections.map((section) => section.slice(0, section.indexOf("\n")));
    assert.deepEqual(headings.sort(), codes.sort());
    for (const section of sections) {
      assert.match(section, /^\*\*Cause\.\*\* /m);
      assert.match(section, /^\*\*Remedy\.\*\* /m);
    }
  });
});
