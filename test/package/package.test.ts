/** The package as its users get it: packed, installed, loaded from three kinds of projects. */
import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { serve, type Served } from "../remote/serve.js";
import { execute, executeTool, makeConsumer, makeTempDir, pack, removeDir, root } from "./pack.js";

const useLogAndStore = `
async function use({ BokiStore, openLog }, url) {
  const log = await openLog(url);
  const book = log.book("b" + process.pid);
  const { seqnum } = await book.append(Buffer.from("hello"), { tags: ["t"] });
  const record = await book.readNext({ tag: "t" });
  const store = new BokiStore(book);
  const users = store.collection("users", { indexes: { name: (user) => user.name } });
  await users.put("ada", { name: "Ada", visits: new Map([["home", 1]]) });
  await store.transaction((tx) => tx.update(users, "ada", (user) => void user.visits.set("home", 2)));
  const [found] = await users.find("name", "Ada");
  await store.close();
  await log.close();
  if (found.value.visits.get("home") !== 2) throw new Error("found something else");
  if (record.seqnum !== seqnum || record.text() !== "hello") throw new Error("read something else");
  console.log("read", record.text());
}
`;

const typescript = `
import { BokiStore, StoreNotFoundError, openLog, LogError, jsonCodec, transaction } from "boki";
import type { Appended, AppendResult, Change, Collection, Found, Log, LogBook, LogRecord, Transaction } from "boki";
import * as conformance from "boki/conformance";
import { FaultDisk, VirtualClock } from "boki/testing";

async function use(log: Log): Promise<string> {
  const book: LogBook = log.book("b" + process.pid);
  const bytes = new TextEncoder().encode("hello");
  // Options take an explicit undefined, also under exactOptionalPropertyTypes.
  const plain: Appended = await book.append(bytes, { tags: ["t"], signal: undefined, unless: undefined });
  const conditional: AppendResult = await book.append(bytes, { tags: ["t"], unless: [{ tag: "t", after: 0 }] });
  // @ts-expect-error a conditional append may be refused
  const wrong: Appended = await book.append(bytes, { tags: ["t"], unless: [] });
  void wrong;
  if (conditional.ok || conditional.conflict.seqnum !== plain.seqnum) throw new Error("not refused");
  const record: LogRecord | undefined = await book.readNext({ tag: "t", from: undefined, wait: undefined });
  for await (const head of book.read({ head: true })) {
    // @ts-expect-error a head has no data
    void head.data;
  }
  return record?.text() ?? "";
}

interface User {
  readonly name: string;
  readonly roles: readonly string[];
  readonly since?: Date | undefined;
  readonly badges?: ReadonlyMap<string, Uint8Array> | undefined;
}

async function useStore(log: Log): Promise<void> {
  const store = new BokiStore(log.book("s"), { codec: jsonCodec, cacheBytes: undefined });
  const users: Collection<User> = store.collection<User>("users", {
    indexes: { role: (user) => user.roles, name: { by: (user) => user.name, unique: true } },
    retain: undefined,
  });
  // @ts-expect-error a user has roles
  void (() => users.put("bob", { name: "Bob" }));
  await users.put("ada", { name: "Ada", roles: ["admin"] }, { expiresIn: undefined });
  const renamed: User = await users.update("ada", (draft) => {
    draft.name = "Ada L.";
    // All of a draft may be changed, also what is readonly in the type.
    draft.roles.push("buyer");
    draft.since = new Date(0);
    draft.badges = new Map([["first", new Uint8Array(1)]]);
    draft.badges.set("second", new Uint8Array(2));
  });
  // @ts-expect-error what is read cannot be changed
  void (() => (renamed.name = "Eve"));
  const sum: number = await transaction(log.book("s"), async (tx: Transaction) => {
    const user: User | undefined = await tx.get(users, "ada");
    await tx.put(users, "eve", { name: "Eve", roles: user?.roles ?? [] });
    return (await tx.getAll(users, ["ada", "eve"])).length;
  });
  const admins: Found<User>[] = await users.find("role", "admin");
  const sizes: number = await store.snapshot(async (at) => (await at.find(users, "role", "admin")).length);
  let change: Change<User> | undefined;
  for await (change of users.watch({ from: 0, signal: undefined })) if (change.key === "eve") break;
  const missing: unknown = await users.update("bob", () => undefined).catch((error: unknown) => error);
  if (!(missing instanceof StoreNotFoundError) || missing.code !== "STORE_NOT_FOUND") throw missing;
  if (sum !== 2 || sizes !== 2 || admins[0]?.value.name !== "Ada L." || change?.value?.name !== "Eve")
    throw new Error("the store does something else");
  await store.close();
}

async function main(): Promise<void> {
  const [, , url] = process.argv;
  const log =
    url === undefined
      ? await openLog("file:/log", { cacheBytes: undefined, disk: new FaultDisk({ seed: 1 }), clock: new VirtualClock() })
      : await openLog(url, { timeoutMs: 10_000, token: undefined, tls: undefined });
  try {
    await useStore(log);
    console.log("read", await use(log));
  } catch (error) {
    if (error instanceof LogError) console.log(error.code, error.outcome);
    throw error;
  } finally {
    await log.close();
  }
  if (Object.keys(conformance).length === 0) throw new Error("boki/conformance is empty");
}

void main();
`;

const strict = {
  strict: true,
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  target: "ES2022",
  types: ["node"],
};
const configs = {
  nodenext: { ...strict, module: "NodeNext", moduleResolution: "NodeNext", outDir: "out" },
  bundler: { ...strict, module: "ESNext", moduleResolution: "bundler", noEmit: true },
};

describe("package", function () {
  this.timeout(120_000);
  let dir = "";
  let tarball = "";
  let files: string[] = [];
  /** A log that each kind of project uses beside one of its own. */
  let served: Served;

  before(async () => {
    served = await serve("memory:");
    dir = await makeTempDir();
    tarball = await pack(dir);
    files = (await execute("tar", ["-tf", tarball], dir)).trim().split("\n");
  });
  after(async () => {
    await served.close();
    await removeDir(dir);
  });

  it("has the library, its types and its papers, and nothing else", () => {
    const kinds =
      /^package\/((README|CHANGELOG)\.md|LICENSE|package\.json|docs\/.*\.md|proto\/.*\.proto|examples\/server\/[^/]+|dist\/(cli|core|libs|test\/conformance)\/.*\.(js|d\.ts))$/;
    assert.deepEqual(
      files.filter((file) => !kinds.test(file) || /\.test\./.test(file)),
      [],
    );
    for (const file of [
      "README.md",
      "CHANGELOG.md",
      "LICENSE",
      "docs/errors.md",
      "proto/envelope.proto",
      "proto/log.proto",
      "docs/cli.md",
      "dist/cli/boki.js",
      "dist/libs/index.d.ts",
      "dist/test/conformance/index.js",
      "dist/core/testing.d.ts",
    ]) {
      assert.ok(files.includes(`package/${file}`), `${file} is missing`);
    }
  });

  it("refers to no source map", async () => {
    const index = await execute("tar", ["-xOf", tarball, "package/dist/core/open.js"], dir);
    assert.match(index, /openLog/);
    assert.doesNotMatch(index, /sourceMappingURL/);
  });

  it("works in an ES module, and brings these dependencies, which compile and download nothing and need no script", async () => {
    const consumer = join(dir, "esm");
    await makeConsumer(
      consumer,
      tarball,
      {},
      { "main.mjs": `import * as boki from "boki";${useLogAndStore}await use(boki, process.argv[2]);` },
    );
    for (const url of ["memory:", served.url])
      assert.equal(await execute(process.execPath, ["main.mjs", url], consumer), "read hello\n");

    const lock = JSON.parse(await readFile(join(consumer, "package-lock.json"), "utf8")) as {
      packages: Record<string, { hasInstallScript?: boolean; os?: string[]; cpu?: string[] }>;
    };
    const installed = Object.keys(lock.packages).filter((path) => path !== "");
    assert.deepEqual(installed.sort(), [
      "node_modules/@grpc/grpc-js",
      "node_modules/@grpc/proto-loader",
      "node_modules/@js-sdsl/ordered-map",
      "node_modules/@opentelemetry/api",
      "node_modules/@pinojs/redact",
      "node_modules/@protobufjs/aspromise",
      "node_modules/@protobufjs/base64",
      "node_modules/@protobufjs/codegen",
      "node_modules/@protobufjs/eventemitter",
      "node_modules/@protobufjs/fetch",
      "node_modules/@protobufjs/float",
      "node_modules/@protobufjs/path",
      "node_modules/@protobufjs/pool",
      "node_modules/@protobufjs/utf8",
      "node_modules/@standard-schema/spec",
      "node_modules/@types/node",
      "node_modules/ansi-regex",
      "node_modules/ansi-styles",
      "node_modules/atomic-sleep",
      "node_modules/bintrees",
      "node_modules/boki",
      "node_modules/cli-progress",
      "node_modules/cliui",
      "node_modules/color-convert",
      "node_modules/color-name",
      "node_modules/commander",
      "node_modules/emoji-regex",
      "node_modules/escalade",
      "node_modules/get-caller-file",
      "node_modules/immer",
      "node_modules/is-fullwidth-code-point",
      "node_modules/lodash.camelcase",
      "node_modules/long",
      "node_modules/lru-cache",
      "node_modules/ms",
      "node_modules/on-exit-leak-free",
      "node_modules/pino",
      "node_modules/pino-abstract-transport",
      "node_modules/pino-std-serializers",
      "node_modules/process-warning",
      "node_modules/prom-client",
      "node_modules/protobufjs",
      "node_modules/quick-format-unescaped",
      "node_modules/real-require",
      "node_modules/require-directory",
      "node_modules/safe-stable-stringify",
      "node_modules/sonic-boom",
      "node_modules/sorted-btree",
      "node_modules/split2",
      "node_modules/string-width",
      "node_modules/strip-ansi",
      "node_modules/tdigest",
      "node_modules/thread-stream",
      "node_modules/undici-types",
      "node_modules/wrap-ansi",
      "node_modules/y18n",
      "node_modules/yargs",
      "node_modules/yargs-parser",
    ]);
    // It looks at the version that is asked for, and may print a warning; here it did not run.
    const withScripts = new Set(["node_modules/protobufjs"]);
    for (const [path, { hasInstallScript = false, os, cpu }] of Object.entries(lock.packages)) {
      assert.ok(os === undefined && cpu === undefined, `${path} is for some platforms`);
      assert.equal(
        hasInstallScript,
        withScripts.has(path),
        `${path} runs a script when it is installed, or does no more`,
      );
    }
  });

  it("loads gRPC, protocol buffers and OpenTelemetry only for a log that a server has", async () => {
    const consumer = join(dir, "late");
    const files = {
      "main.mjs": `import * as boki from "boki";${useLogAndStore}await use(boki, process.argv[2]);`,
      "note.mjs": `import { register } from "node:module"; register("./hooks.mjs", import.meta.url);`,
      "hooks.mjs": `import { appendFileSync } from "node:fs";
        export function load(url, context, next) {
          appendFileSync("loaded.txt", url + "\\n");
          return next(url, context);
        }`,
    };
    await makeConsumer(consumer, tarball, {}, files);
    const late = ["/@grpc/grpc-js/", "/protobufjs/", "/@opentelemetry/api/", "/boki/dist/core/remote/"];
    const loadedWith = async (url: string): Promise<string[]> => {
      const loaded = join(consumer, "loaded.txt");
      await rm(loaded, { force: true });
      assert.equal(
        await execute(process.execPath, ["--import", "./note.mjs", "main.mjs", url], consumer),
        "read hello\n",
      );
      const urls = (await readFile(loaded, "utf8")).split("\n");
      assert.ok(urls.some((one) => one.includes("/boki/dist/core/open.js")));
      return late.filter((part) => urls.some((one) => one.includes(part)));
    };
    assert.deepEqual(await loadedWith("file:data"), []);
    assert.deepEqual(await loadedWith("memory:"), []);
    assert.deepEqual(await loadedWith(served.url), late);
  });

  it("serves a log", async () => {
    const consumer = join(dir, "serving");
    const main = `import * as boki from "boki";
      import grpc from "@grpc/grpc-js";
      import { LogServer } from "./node_modules/boki/dist/core/remote/index.js";
      ${useLogAndStore}
      const log = await boki.openLog("file:data");
      const server = new LogServer(log, () => ({ name: "anybody", check: () => undefined }));
      const port = await server.listen("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
      await use(boki, "grpc://127.0.0.1:" + port);
      await server.close(1000);
      await log.close();`;
    await makeConsumer(consumer, tarball, {}, { "main.mjs": main });
    assert.equal(await execute(process.execPath, ["main.mjs"], consumer), "read hello\n");
  });

  it("brings the command line, which npx finds", async () => {
    const consumer = join(dir, "cli");
    await makeConsumer(consumer, tarball, {}, {}, true);
    const npx = (...args: string[]) => execute("npx", ["--no", "boki", "--", ...args], consumer);
    assert.equal(await npx("append", "data", "--book", "b", "--tag", "t", "--data", "hello"), "1\n");
    assert.equal(await npx("read", "data", "--book", "b", "--raw"), "hello");
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
    assert.equal(await npx("--version"), `${version}\n`);
  });

  it("works in CommonJS", async () => {
    const consumer = join(dir, "cjs");
    const main = `const boki = require("boki");${useLogAndStore}use(boki, process.argv[2]);`;
    const loadsAll = `for (const name of ["boki/conformance", "boki/server", "boki/testing"])
      if (Object.keys(require(name)).length === 0) throw new Error(name + " is empty");`;
    await makeConsumer(consumer, tarball, {}, { "main.cjs": main, "all.cjs": loadsAll });
    for (const url of ["memory:", served.url])
      assert.equal(await execute(process.execPath, ["main.cjs", url], consumer), "read hello\n");
    await execute(process.execPath, ["all.cjs"], consumer);
  });

  it("works in TypeScript, strict, with the libraries checked", async () => {
    const consumer = join(dir, "typescript");
    await makeConsumer(
      consumer,
      tarball,
      { type: "module" },
      {
        "main.ts": typescript,
        ...Object.fromEntries(
          Object.entries(configs).map(([name, compilerOptions]) => [
            `${name}.json`,
            JSON.stringify({ compilerOptions, include: ["main.ts"] }),
          ]),
        ),
      },
    );
    for (const name of Object.keys(configs)) await executeTool("typescript/bin/tsc", ["-p", `${name}.json`], consumer);
    for (const url of [[], [served.url]])
      assert.equal(await execute(process.execPath, ["out/main.js", ...url], consumer), "read hello\n");
  });

  it("pleases publint", async () => {
    await executeTool("publint/src/cli.js", ["run", tarball, "--strict"], dir);
  });

  it("pleases attw", async () => {
    await executeTool("@arethetypeswrong/cli/dist/index.js", [tarball, "--profile", "esm-only", "--no-color"], dir);
  });
});
