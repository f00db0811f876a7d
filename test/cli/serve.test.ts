/** boki serve as an operator runs it, and the other commands as its clients. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import grpc from "@grpc/grpc-js";
import { type Log, openLog } from "../../core/index.js";
import { makeCertificates, needsOpenssl } from "../remote/served.js";
import { boki, jsonLines, makeLog, record, root, shell, startBoki, type Started, useFolder } from "./boki.js";

interface Server extends Started {
  readonly url: string;
  readonly http: string | undefined;
  /** Resolves with the first line that has this message, from now on. */
  line(message: string): Promise<Record<string, unknown>>;
}

const ada = "token-of-ada-0123456789";

describe("boki serve", function () {
  this.timeout(60_000);
  const folder = useFolder();
  const path = (name: string): string => join(folder.path, name);
  const running: Started[] = [];
  afterEach(async () => {
    for (const { child, ended } of running.splice(0)) {
      child.kill("SIGKILL");
      await ended;
    }
  });

  /** Starts it and waits until it listens. */
  async function serve(...args: string[]): Promise<Server> {
    const started = startBoki(
      ["serve", "data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", ...args],
      folder.path,
    );
    running.push(started);
    const waiting: { message: string; resolve: (line: Record<string, unknown>) => void }[] = [];
    createInterface({ input: started.child.stderr! }).on("line", (text) => {
      const line = JSON.parse(text) as Record<string, unknown>;
      for (const one of waiting.filter(({ message }) => message === line["msg"])) {
        waiting.splice(waiting.indexOf(one), 1);
        one.resolve(line);
      }
    });
    const line = (message: string): Promise<Record<string, unknown>> =>
      new Promise((resolve) => waiting.push({ message, resolve }));
    const failed = started.ended.then(({ stderr }) => Promise.reject(new Error(stderr)));
    failed.catch(() => undefined);
    const first = await Promise.race([line("listening"), failed]);
    return { ...started, url: first["url"] as string, http: first["http"] as string | undefined, line };
  }

  /** A command with variables of the environment. */
  async function withEnvironment<T>(variables: Record<string, string>, run: () => Promise<T>): Promise<T> {
    const before = { ...process.env };
    Object.assign(process.env, variables);
    try {
      return await run();
    } finally {
      process.env = before;
    }
  }

  it("serves every command that takes a url, and a status page", async () => {
    const server = await serve();
    const run = (...args: string[]): ReturnType<typeof boki> => boki(args, folder.path);
    const out = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await run(...args);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, args.join(" "));
      return stdout;
    };
    const { url } = server;
    assert.equal(await out("append", url, "-b", "b", "-t", "t", "-d", "tea"), "1\n");
    assert.equal((await run("append", url, "-b", "b", "-t", "t", "-d", "tea", "-u", "t@0")).code, 1);
    writeFileSync(path("in"), '{"data":"milk","tags":["t"]}\n{"data":"salt","tags":["u"]}\n');
    assert.equal(await out("import", url, "in", "-b", "b"), "2 records imported\n");
    assert.equal(await out("read", url, "-b", "b", "--raw"), "teamilksalt");
    assert.equal(await out("read", url, "-b", "b", "--raw", "--reverse", "-n", "1"), "salt");
    assert.match(await out("tail", url, "-b", "b", "-n", "1"), /^4\t.*\tu\tsalt\n$/);
    assert.match(await out("export", url, "-b", "b", "-t", "u"), /^{"data":"salt"/);
    assert.match(await out("stat", url), /^records +3$/m);
    assert.match(await out("verify", url), /^3 records, \d+ bytes: nothing is damaged\n$/);
    assert.match(await out("backup", url, path("backup")), /^3 records/);
    assert.ok(existsSync(path("backup/backup.json")));
    assert.equal(await out("trim", url, "-b", "b", "--up-to", "1"), "trimmed up to 1\n");
    assert.match(await out("read", url, "-b", "b", "--raw"), /^milksalt$/);
    assert.match(await (await fetch(server.http!)).text(), /<h3>Appends<\/h3><p>3<\/p>/);
  });

  it("tail -f shows what comes", async () => {
    const server = await serve();
    const tail = startBoki(["tail", server.url, "-b", "b", "-f", "--json"], folder.path);
    running.push(tail);
    const came = new Promise((resolve) => tail.child.stdout!.once("data", resolve));
    await using log = await openLog(server.url);
    await log.book("b").append(Buffer.from("news"), { tags: ["t"] });
    assert.match(String(await came), /"data":"news"/);
    tail.child.kill("SIGINT");
    assert.equal((await tail.ended).code, 130);
  });

  it("on SIGTERM answers what was accepted and ends well; clients go on with the next one, and nothing is lost or doubled", async () => {
    const first = await serve("--no-http");
    assert.equal(first.http, undefined);
    const port = /:(\d+)$/.exec(first.url)![1]!;
    await using log = await openLog(first.url);
    let stopped = false;
    const acknowledged: string[] = [];
    const writer = async (name: number): Promise<void> => {
      for (let i = 0; !stopped; i++) {
        const data = `${name}:${i}`;
        await log.book("b").append(Buffer.from(data), { tags: [`w${name}`] });
        acknowledged.push(data);
      }
    };
    const follower = collect(log, () => stopped);
    const writers = Array.from({ length: 64 }, (_, i) => writer(i));
    const atLeast = async (count: number): Promise<void> => {
      while (acknowledged.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await atLeast(2000);
    first.child.kill("SIGTERM");
    const { code, stdout } = await first.ended;
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "" });
    const before = acknowledged.length;
    const second = await serve("--listen", `127.0.0.1:${port}`);
    await atLeast(before + 2000);
    stopped = true;
    await Promise.all(writers);
    const end = await log.book("b").append(Buffer.from("end"), { tags: ["end"] });
    assert.ok(end.ok);
    const followed = await follower;
    const found: string[] = [];
    for await (const one of log.book("b").read()) found.push(one.text());
    assert.deepEqual(followed, found);
    assert.deepEqual([...found].sort(), [...acknowledged, "end"].sort());
    for (let name = 0; name < 64; name++) {
      const own = found.filter((text) => text.startsWith(`${name}:`));
      assert.deepEqual(
        own,
        own.map((_, i) => `${name}:${i}`),
      );
    }
    second.child.kill("SIGTERM");
    assert.equal((await second.ended).code, 0);
  });

  async function collect(log: Log, isOver: () => boolean): Promise<string[]> {
    const texts: string[] = [];
    for await (const one of log.book("b").read({ follow: true })) {
      texts.push(one.text());
      if (isOver() && one.text() === "end") break;
    }
    return texts;
  }

  it("the second signal ends it at once", async () => {
    const server = await serve();
    await using log = await openLog(server.url);
    // A call that its client never ends holds the first signal for its grace of seconds.
    const client = new grpc.Client(server.url.slice("grpc://".length), grpc.credentials.createInsecure());
    const asIs = (bytes: Buffer): Buffer => bytes;
    const method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    const held = client.makeBidiStreamRequest(method, asIs, asIs);
    held.on("error", () => undefined);
    const answered = new Promise((resolve) => held.once("data", resolve));
    // list_services: "".
    held.write(Buffer.of(0x3a, 0));
    await answered;
    await log.book("b").append(Buffer.from("x"), { tags: ["t"] });
    const shutting = server.line("shutting down");
    server.child.kill("SIGTERM");
    await shutting;
    const began = performance.now();
    server.child.kill("SIGTERM");
    assert.equal((await server.ended).code, 143);
    assert.ok(performance.now() - began < 3000);
    client.close();
    await using reopened = await openLog(`file:${path("data")}`);
    assert.equal((await reopened.book("b").readNext())?.text(), "x");
  });

  it("takes tokens from a file, reads it again on SIGHUP, and the commands take theirs from the environment", async () => {
    const tokens = (rights: readonly string[]): void =>
      writeFileSync(
        path("tokens.json"),
        JSON.stringify({ tokens: [{ name: "ada", token: ada, rights: { b: rights } }] }),
      );
    tokens(["read", "append"]);
    const server = await serve("--token-file", "tokens.json");
    const append = (): ReturnType<typeof boki> =>
      boki(["append", server.url, "-b", "b", "-t", "t", "-d", "x"], folder.path);
    const missing = await append();
    assert.equal(missing.code, 3);
    assert.match(missing.stderr, /^boki: LOG_UNAUTHENTICATED: this server asks for a token.*BOKI_TOKEN/);
    assert.equal((await withEnvironment({ BOKI_TOKEN: ada }, append)).stdout, "1\n");
    writeFileSync(path("token"), `${ada}\n`);
    assert.equal((await withEnvironment({ BOKI_TOKEN_FILE: path("token") }, append)).stdout, "2\n");
    const unreadable = await withEnvironment({ BOKI_TOKEN_FILE: path("none") }, append);
    assert.deepEqual([unreadable.code, unreadable.stdout], [2, ""]);
    assert.match(unreadable.stderr, /BOKI_TOKEN_FILE names a file that cannot be read/);
    const read = server.line("token file read");
    tokens(["read"]);
    server.child.kill("SIGHUP");
    await read;
    const refused = await withEnvironment({ BOKI_TOKEN: ada }, append);
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /^boki: LOG_FORBIDDEN: ada has no right to append in book "b"/);
    const told = server.line("the token file cannot be used; the tokens of before go on");
    writeFileSync(path("tokens.json"), "{");
    server.child.kill("SIGHUP");
    assert.match(String((await told)["reason"]), /tokens\.json, line 1: it is no JSON/);
  });

  it("speaks TLS with files, asks for certificates, and the commands find theirs in the environment", async function () {
    needsOpenssl(this);
    const certificates = makeCertificates();
    try {
      const file = certificates.path;
      const server = await serve(
        ...["--tls-cert", file("server.pem"), "--tls-key", file("server.key"), "--tls-client-ca", file("ca.pem")],
      );
      const url = server.url.replace("127.0.0.1", "localhost");
      const append = (): ReturnType<typeof boki> => boki(["append", url, "-b", "b", "-t", "t", "-d", "x"], folder.path);
      const trust = { BOKI_TLS_CA: file("ca.pem") };
      const shown = { ...trust, BOKI_TLS_CERT: file("client.pem"), BOKI_TLS_KEY: file("client.key") };
      assert.deepEqual(await withEnvironment(shown, append), { code: 0, stdout: "1\n", stderr: "" });
      const half = await withEnvironment({ ...trust, BOKI_TLS_CERT: file("client.pem") }, append);
      assert.equal(half.code, 2);
      assert.match(half.stderr, /BOKI_TLS_CERT and BOKI_TLS_KEY belong together/);
    } finally {
      rmSync(certificates.folder, { recursive: true });
    }
  });

  for (const [args, message] of [
    [["--listen", "0.0.0.0:0"], /others can reach 0.0.0.0:0.*without TLS and without tokens.*--insecure/],
    [["--listen", "7464"], /listen must be HOST:PORT/],
    [["--tls-cert", "a.pem"], /--tls-cert and --tls-key belong together/],
    [["--tls-client-ca", "a.pem"], /--tls-client-ca needs --tls-cert/],
    [["--tls-cert", "a.pem", "--tls-key", "a.key"], /--tls-cert names a file that cannot be read: ENOENT/],
    [["--log-level", "loud"], /Allowed choices are debug, info, warn, error, silent/],
    [["--http", "here"], /http must be HOST:PORT/],
    [["--token-file", "/dev/null"], /\/dev\/null, line 1: it is no JSON/],
  ] as const) {
    it(`${args.join(" ")} is exit code 2 with the remedy`, async () => {
      const { code, stdout, stderr } = await boki(["serve", "data", ...args], folder.path);
      assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
      assert.match(stderr, message);
      assert.equal(existsSync(path("data")), false, "a folder was made");
    });
  }

  it("what cannot be had is exit code 3 and one line for people", async () => {
    const server = await serve();
    const port = /:(\d+)$/.exec(server.url)![1]!;
    await makeLog(folder.path.replace(/$/, "/other"), [record("x")]);
    for (const [args, message] of [
      [["serve", "data", "--no-http"], /LOG_LOCKED/],
      [
        ["serve", "other/data", "--no-http", "--listen", `127.0.0.1:${port}`],
        /LOG_IO: cannot listen at .* another program does already/,
      ],
      [
        ["serve", "other/data", "--no-http", "--token-file", "none.json"],
        /LOG_IO: the token file .*none.json cannot be read/,
      ],
      [
        ["stat", "grpc://127.0.0.1:1"],
        /LOG_UNAVAILABLE: 127.0.0.1:1 cannot be reached: connect ECONNREFUSED 127.0.0.1:1; look whether/,
      ],
    ] as const) {
      const silent = args[0] === "serve" ? ["--log-level", "silent"] : [];
      const { code, stderr } = await boki([...args, ...silent], folder.path);
      assert.equal(code, 3, stderr);
      assert.match(stderr, message);
      assert.equal(stderr.split("\n").length, 2, stderr);
    }
  });

  for (const [args, message] of [
    [["repair", "grpc://127.0.0.1:1"], /repair needs the folder of a log.*with the server stopped/],
    [["restore", "grpc://127.0.0.1:1", "x"], /restore needs the folder/],
    [["serve", "grpc://127.0.0.1:1"], /serve needs the folder/],
    [
      ["backup", "grpc://127.0.0.1:1", "backup"],
      /the server writes the backup on its own machine; give the absolute path there/,
    ],
    [["read", "grpc://127.0.0.1", "-b", "b"], /no url of a server; write for example "grpc:\/\/127.0.0.1:7464"/],
  ] as const) {
    it(`boki ${args.join(" ")} is refused at once`, async () => {
      const { code, stderr } = await boki(args, folder.path);
      assert.equal(code, 2);
      assert.match(stderr, message);
    });
  }

  it("writes JSON lines of its doings, none of them for a record", async () => {
    const server = await serve();
    const closed = server.line("session closed");
    {
      await using log = await openLog(server.url);
      await log.book("b").appendAll(Array.from({ length: 50 }, () => record("x")));
    }
    await closed;
    server.child.kill("SIGINT");
    const { code, stderr } = await server.ended;
    assert.equal(code, 0);
    const lines = jsonLines(stderr);
    assert.deepEqual(
      lines.map((line) => line["msg"]),
      ["listening", "session opened", "session closed", "shutting down", "shut down"],
    );
    for (const line of lines) assert.ok(!Number.isNaN(Date.parse(String(line["time"]))) && line["level"] === "info");
  });

  describe("docs/serving.md", () => {
    const text = readFileSync(join(root, "docs/serving.md"), "utf8");

    it("makes certificates in three commands and has a token file, with which a server serves", async function () {
      needsOpenssl(this);
      const commands = text.split("\n").filter((line) => line.startsWith("openssl req "));
      assert.equal(commands.length, 3);
      const made = await shell(commands.join(" && "), folder.path);
      assert.equal(made.code, 0, made.stderr);
      const [, tokens] = /^```json\n(.*?)^```$/ms.exec(text)!;
      const { sha256 } = (JSON.parse(tokens!) as { tokens: { sha256: string }[] }).tokens[1]!;
      const hashed = await shell(`printf %s ${ada} | sha256sum`, folder.path);
      writeFileSync(path("tokens.json"), tokens!.replace(sha256, hashed.stdout.slice(0, 64)));
      const files = ["--tls-cert", "server.pem", "--tls-key", "server.key", "--tls-client-ca", "ca.pem"];
      const server = await serve(...files, "--token-file", "tokens.json");
      const variables = {
        BOKI_TOKEN: ada,
        BOKI_TLS_CA: path("ca.pem"),
        BOKI_TLS_CERT: path("shop.pem"),
        BOKI_TLS_KEY: path("shop.key"),
      };
      const url = server.url.replace("127.0.0.1", "localhost");
      const { code, stderr } = await withEnvironment(variables, () => boki(["stat", url], folder.path));
      assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    });

    it("names every metric that there is, and no other", async () => {
      const server = await serve();
      const metrics = await (await fetch(`${server.http}metrics`)).text();
      const there = new Set([...metrics.matchAll(/^# TYPE (boki_\w+) /gm)].map((match) => match[1]!));
      const named = [...text.matchAll(/\bboki_[a-z_]+[a-z]/g)].map((match) => match[0]);
      assert.deepEqual(
        named.filter((name) => !there.has(name)),
        [],
      );
      for (const name of there) if (!name.startsWith("boki_log_")) assert.ok(named.includes(name), name);
    });

    it("and the examples use options that there are", async () => {
      const help = (await boki(["serve", "--help"], folder.path)).stdout;
      const files = ["boki.service", "Dockerfile", "compose.yaml"].map((name) =>
        readFileSync(join(root, "examples/server", name), "utf8"),
      );
      for (const source of [text, ...files]) {
        const flags = source.replaceAll("\\\n", " ").split("\n").filter((line) => /\bserve\b.*--/.test(line)).flatMap((line) => [...line.matchAll(/(?<=[ `"])--[a-z][a-z-]*/g)].map(([flag]) => flag)); // prettier-ignore
        for (const flag of flags) assert.ok(help.includes(`${flag} `) || help.includes(`${flag}\n`), flag);
        if (source !== files[2]) assert.ok(flags.includes("--token-file"));
      }
    });
  });
});
