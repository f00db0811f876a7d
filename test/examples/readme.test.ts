/** The examples of README.md work as they stand there, in plain JavaScript. */
import assert from "node:assert/strict";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readmeExample } from "../../examples/readme-example.js";
import { serve } from "../remote/serve.js";
import { promisedBy, root, useProject } from "./project.js";

describe("README.md", () => {
  const project = useProject();

  it("has an example that runs, twice in the same folder", async () => {
    for (const records of [2, 4]) {
      const lines = await project.run(await readmeExample());
      assert.equal(lines[0], "true false true");
      assert.equal(lines.length, 2 + records);
      assert.match(lines[1] ?? "", /^1 \[ 'order:7', 'customer:ada' \] \{"item":"tea","by":"ada"\}$/);
      assert.equal(lines.at(-1), "tea");
    }
  });

  it("has an example of a power loss that runs", async () => {
    assert.deepEqual(await project.run(`${await readmeExample(1)}\nconsole.log(next.id === log.id);`), ["true"]);
  });

  it("has an example of objects that prints what it says", async () => {
    const program = await readmeExample(2);
    const promised = promisedBy(program);
    assert.ok(promised.length >= 3);
    assert.deepEqual(await project.run(program), promised);
  });

  it("has an example of a log that a server has, which prints what it says", async () => {
    const served = await serve("memory:");
    try {
      const program = await readmeExample(3);
      const promised = promisedBy(program);
      assert.equal(promised.length, 2);
      assert.deepEqual(await project.run(program.replace(/grpc:[^"]+/, served.url)), promised);
    } finally {
      await served.close();
    }
  });

  it("names files that exist", async () => {
    const readme = await readFile(join(root, "README.md"), "utf8");
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1] ?? "");
    assert.ok(links.length > 5);
    for (const link of links) await access(join(root, link));
  });
});
