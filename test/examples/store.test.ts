/** docs/store.md: its examples, one behind the other, print what their comments say. */
import assert from "node:assert/strict";
import { blocksOf, promisedBy, useProject } from "./project.js";

describe("docs/store.md", () => {
  const project = useProject("zod");

  it("has examples that print what it says", async () => {
    const program = (await blocksOf("docs/store.md")).join("\n");
    const promised = promisedBy(program);
    assert.ok(promised.length > 30);
    assert.deepEqual(await project.run(program), promised);
  });
});
