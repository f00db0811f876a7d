/** Who may do what on a server: tokens, rights by book, their end and their change. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Log, LogError, type LogBook, openLog } from "../../core/index.js";
import { type Right, serve, type TokenEntry } from "../../core/remote/serve/serve.js";
import { VirtualClock } from "../../core/testing.js";
import { until, useServer } from "./served.js";

const token = (name: string): string => `token-of-${name}-0123456789`;
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

function entry(name: string, rights: Record<string, readonly Right[]>, more: Partial<TokenEntry> = {}): TokenEntry {
  return { name, sha256: sha256(token(name)), rights, ...more };
}

const all: Record<string, readonly Right[]> = { "*": ["read", "append", "trim", "admin"] };
const data = Buffer.from("x");

function append(book: LogBook): Promise<unknown> {
  return book.append(data, { tags: ["t"] });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "done",
    (error: unknown) => (error instanceof LogError ? error.code : String(error)),
  );
}

describe("tokens of a server", () => {
  const { start } = useServer();

  it("lets nobody in without one, with an unknown one or with an expired one, and says what to do", async () => {
    const tokens = [entry("ada", all), entry("old", all, { expires: "2020-01-01T00:00:00Z" })];
    const server = await start({ tokens });
    for (const [given, message] of [
      [undefined, /asks for a token; give openLog one, or the command line in BOKI_TOKEN/],
      ["wrong-but-long-enough", /the token is none that this server knows/],
      [`${token("ada")}x`, /none that this server knows/],
      [token("ada").slice(0, -1), /none that this server knows/],
      [sha256(token("ada")), /none that this server knows/],
      [token("old"), /the token of old has expired at 2020-01-01T00:00:00.000Z/],
    ] as const) {
      await assert.rejects(
        openLog(server.url, { token: given, timeoutMs: 5000 }),
        (error: unknown) =>
          error instanceof LogError && error.code === "LOG_UNAUTHENTICATED" && message.test(error.message),
        String(given),
      );
    }
    const log = await server.client({ token: token("ada") });
    await append(log.book("b"));
    assert.deepEqual(
      server.lines.of("session opened").map(({ fields }) => fields["client"]),
      ["ada"],
    );
  });

  it("says so when there is no token with which anybody could come in", async () => {
    const server = await start({ tokens: [] });
    assert.equal(server.lines.of("there is no token: nobody is let in").length, 1);
    assert.equal(await codeOf(openLog(server.url, { token: token("ada"), timeoutMs: 5000 })), "LOG_UNAUTHENTICATED");
  });

  it("takes a token as it is, in place of its hash", async () => {
    const server = await start({ tokens: [{ name: "ada", token: token("ada"), rights: all }] });
    await append((await server.client({ token: token("ada") })).book("b"));
    assert.equal(await codeOf(openLog(server.url, { token: token("eve") })), "LOG_UNAUTHENTICATED");
  });

  describe("each right", () => {
    const book = (log: Log): LogBook => log.book("b");
    const needs: Record<Right, Record<string, (log: Log) => Promise<unknown>>> = {
      read: {
        readNext: (log) => book(log).readNext(),
        readPrev: (log) => book(log).readPrev(),
        read: (log) => book(log).read().next(),
        follow: (log) => book(log).read({ follow: true }).next(),
        "waiting readNext": (log) => book(log).readNext({ wait: true }),
        tail: (log) => book(log).tail(),
        sync: (log) => book(log).sync(),
        subscribe: async (log) => (await book(log).subscribe({ record: () => undefined, end: () => undefined })).stop(),
      },
      append: {
        append: (log) => append(book(log)),
        "conditional append": (log) => book(log).append(data, { tags: ["t"], unless: [{ tag: "none", after: 0 }] }),
        appendAll: (log) => book(log).appendAll([{ data, tags: ["t"] }]),
      },
      trim: {
        trim: (log) => book(log).trim({ upTo: 1 }),
        drop: (log) => book(log).drop(),
      },
      admin: {
        books: (log) => log.books(),
        stats: (log) => log.stats(),
        checkpoint: (log) => log.checkpoint(),
        verify: (log) => log.verify(),
      },
    };
    const rights = Object.keys(needs) as Right[];

    for (const right of rights) {
      for (const [name, call] of Object.entries(needs[right])) {
        it(`${name} needs ${right}, and no other`, async () => {
          const others = rights.filter((other) => other !== right);
          const server = await start({ tokens: [entry("with", { "*": [right] }), entry("without", { "*": others })] });
          await append(book(server.log));
          const without = await server.client({ token: token("without") });
          await assert.rejects(call(without), (error: unknown) => {
            assert.ok(error instanceof LogError);
            assert.equal(error.code, "LOG_FORBIDDEN");
            assert.match(
              error.message,
              new RegExp(`^without has no right to (${right} in book|administer the log \\(${right}\\))`),
            );
            if (right === "append" || right === "trim") assert.equal(error.outcome, "none");
            return true;
          });
          assert.equal((await book(server.log).readNext())?.text(), "x");
          assert.equal(await book(server.log).tail(), 2);
          // The refusal ends nothing but the call.
          if (right !== "read") await book(without).readNext();
          if (right !== "append") await append(book(without));
          assert.equal(server.lines.of("session closed").length, 0);
          await call(await server.client({ token: token("with") }));
        });
      }
    }

    it("a backup needs admin", async () => {
      const server = await start({ tokens: [entry("without", { "*": ["read", "append", "trim"] })] });
      const log = await server.client({ token: token("without") });
      assert.equal(await codeOf(log.backup("/nowhere/at/all")), "LOG_FORBIDDEN");
    });
  });

  it("gives rights by a book's name, by the beginning of names, and for all", async () => {
    const rights: Record<string, readonly Right[]> = { orders: ["append"], "orders.*": ["read"], "*": ["trim"] };
    const server = await start({ tokens: [entry("ada", rights)] });
    const log = await server.client({ token: token("ada") });
    const may: Record<string, string[]> = {};
    for (const name of ["orders", "orders.eu", "orders.", "order", "ordersX", "Orders.eu"]) {
      const book = log.book(name);
      const found = [];
      if ((await codeOf(append(book))) === "done") found.push("append");
      if ((await codeOf(book.readNext())) === "done") found.push("read");
      if ((await codeOf(book.drop())) === "done") found.push("trim");
      may[name] = found;
    }
    assert.deepEqual(may, {
      orders: ["append", "trim"],
      "orders.eu": ["read", "trim"],
      "orders.": ["read", "trim"],
      order: ["trim"],
      ordersX: ["trim"],
      "Orders.eu": ["trim"],
    });
  });

  it("a refused append refuses those behind it, and the session goes on in other books", async () => {
    const server = await start({ tokens: [entry("ada", { mine: ["append"] })] });
    const log = await server.client({ token: token("ada") });
    const results = await Promise.all([
      codeOf(append(log.book("mine"))),
      codeOf(append(log.book("yours"))),
      codeOf(append(log.book("mine"))),
    ]);
    assert.deepEqual(results, ["done", "LOG_FORBIDDEN", "LOG_FORBIDDEN"]);
    await append(log.book("mine"));
    assert.deepEqual(await server.log.books(), ["mine"]);
  });

  describe("that expire", () => {
    const expires = "2026-01-01T01:00:00Z";
    const hour = 3_600_000;

    it("end sessions at their time: idle ones, and whatever waits", async () => {
      const clock = new VirtualClock();
      const server = await start({ tokens: [entry("ada", all, { expires }), entry("eve", all)] }, { clock });
      const idle = await server.client({ token: token("ada") });
      const waiting = (await server.client({ token: token("ada") })).book("b");
      const ends = [
        codeOf(waiting.readNext({ wait: true })),
        codeOf(waiting.read({ follow: true }).next()),
        new Promise<string>((resolve, reject) => {
          const subscriber = { record: () => undefined, end: (error: Error) => resolve((error as LogError).code) };
          waiting.subscribe(subscriber).catch(reject);
        }),
      ];
      const other = await server.client({ token: token("eve") });
      await waiting.sync();
      clock.advance(hour - 1);
      await idle.book("b").sync();
      assert.equal(server.lines.of("session closed").length, 0);
      clock.advance(1);
      assert.deepEqual(
        await Promise.all(ends),
        ends.map(() => "LOG_UNAUTHENTICATED"),
      );
      await until("the idle session is over", () => server.lines.of("session closed").length === 2);
      for (const { fields } of server.lines.of("session closed"))
        assert.match(String(fields["reason"]), /LOG_UNAUTHENTICATED: the token of ada has expired at 2026-01-01T01/);
      await assert.rejects(append(idle.book("b")), { code: "LOG_UNAUTHENTICATED" });
      await append(other.book("b"));
    });

    it("end also when the wall clock was set, within a minute", async () => {
      const clock = new VirtualClock();
      const server = await start({ tokens: [entry("ada", all, { expires })] }, { clock });
      const log = await server.client({ token: token("ada") });
      const followed = codeOf(log.book("b").read({ follow: true }).next());
      await log.book("b").sync();
      clock.setWall(Date.parse(expires) + 5);
      clock.advance(60_000);
      assert.equal(await followed, "LOG_UNAUTHENTICATED");
    });
  });

  describe("in a file", () => {
    let folder = "";
    let file = "";
    before(() => void (folder = mkdtempSync(join(tmpdir(), "boki-tokens-"))));
    after(() => rmSync(folder, { recursive: true }));
    beforeEach(() => void (file = join(folder, "tokens.json")));
    const write = (...tokens: TokenEntry[]): void => writeFileSync(file, JSON.stringify({ tokens }));

    it("change for those whom the change concerns, and for no others", async () => {
      write(entry("ada", all), entry("eve", all), entry("bob", all));
      const server = await start({ tokens: file });
      const [ada, eve, bob] = await Promise.all(
        ["ada", "eve", "bob"].map((name) => server.client({ token: token(name) })),
      );
      const followed = codeOf(ada!.book("b").read({ follow: true }).next());
      await Promise.all([ada!, eve!, bob!].map((log) => log.book("b").sync()));
      write(entry("eve", { "*": ["read"] }), entry("bob", all));
      await server.reload();
      assert.equal(await followed, "LOG_UNAUTHENTICATED");
      await assert.rejects(append(ada!.book("b")), /LOG_UNAUTHENTICATED|the token of ada was taken away/);
      // Comes again by itself, with what it may do now.
      await eve!.book("b").readNext();
      assert.equal(await codeOf(append(eve!.book("b"))), "LOG_FORBIDDEN");
      await append(bob!.book("b"));
      assert.deepEqual(
        server.lines
          .of("session closed")
          .map(({ fields }) => fields["client"])
          .sort(),
        ["ada", "eve"],
      );
    });

    it("are read again by themselves when the file changes", async () => {
      write(entry("ada", all));
      const server = await start({ tokens: file });
      const log = await server.client({ token: token("ada") });
      const followed = codeOf(log.book("b").read({ follow: true }).next());
      await log.book("b").sync();
      write(entry("eve", all));
      assert.equal(await followed, "LOG_UNAUTHENTICATED");
      await server.client({ token: token("eve") });
    });

    it("stay as they were when the file cannot be used, which is told", async () => {
      write(entry("ada", all));
      const server = await start({ tokens: file });
      const log = await server.client({ token: token("ada") });
      writeFileSync(file, '{ "tokens": [\n  { "name": "ada" },\n] }');
      await until("it is told", () =>
        server.lines.lines.some(({ level, fields }) => level === "error" && /line 3/.test(String(fields["reason"]))),
      );
      await assert.rejects(server.reload(), /tokens\.json, line 3: it is no JSON/);
      await append(log.book("b"));
      await server.client({ token: token("ada") });
    });

    const good = entry("ada", all);
    for (const [what, text, message] of [
      ["no JSON", '{\n "tokens": [}', /tokens\.json, line 2: it is no JSON/],
      ["cut off", '{\n "tokens": [\n', /tokens\.json, line 2: it is no JSON/],
      ["a list", "[]", /must have an object with the array "tokens", not an array/],
      [
        "another key",
        { tokens: [], token: [] },
        /tokens\.json has "token", which means nothing here; there are tokens/,
      ],
      ["no object", { tokens: ["ada"] }, /token 1 must be an object, not "ada"/],
      ["no name", { tokens: [good, { ...good, name: "" }] }, /token 2: name must be a string/],
      ["a name twice", { tokens: [good, { ...good, sha256: sha256("other") }] }, /token 2: "ada" is there already/],
      ["a token twice", { tokens: [good, { ...good, name: "eve" }] }, /token 2 \("eve"\): "ada" has the same token/],
      ["no secret", { tokens: [{ name: "ada", rights: {} }] }, /token 1 \("ada"\) must have either sha256 or token/],
      ["two secrets", { tokens: [{ ...good, token: token("ada") }] }, /must have either sha256 or token/],
      ["a short hash", { tokens: [{ ...good, sha256: "abc" }] }, /sha256 must have 64 hex digits; printf/],
      [
        "a short token",
        { tokens: [{ name: "ada", token: "short", rights: {} }] },
        /at least 16 visible ASCII.*openssl rand/,
      ],
      [
        "a misspelt key",
        { tokens: [{ ...good, expire: "2027-01-01" }] },
        /token 1 \("ada"\) has "expire", which means nothing/,
      ],
      ["a time without zone", { tokens: [{ ...good, expires: "2027-01-01" }] }, /expires must be a time such as/],
      ["no rights", { tokens: [{ name: "ada", sha256: good.sha256 }] }, /rights must be an object such as/],
      [
        "an unknown right",
        { tokens: [entry("ada", { "*": ["write" as Right] })] },
        /"write" is no right; there are read, append, trim, admin/,
      ],
      ["admin of a book", { tokens: [entry("ada", { b: ["admin"] })] }, /admin is a right of the whole log/],
      ["a right without list", { tokens: [{ ...good, rights: { b: "read" } }] }, /the rights of "b" must be an array/],
    ] as const) {
      it(`that has ${what} is refused, with the place`, async () => {
        writeFileSync(file, typeof text === "string" ? text : JSON.stringify(text));
        await using log = await openLog("memory:");
        await assert.rejects(serve(log, { listen: "127.0.0.1:0", tokens: file }), (error: unknown) => {
          assert.ok(error instanceof TypeError);
          assert.match(error.message, message);
          return true;
        });
      });
    }

    it("that is not there is LOG_IO with its path", async () => {
      await using log = await openLog("memory:");
      await assert.rejects(serve(log, { tokens: join(folder, "none.json") }), (error: unknown) => {
        return (
          error instanceof LogError &&
          error.code === "LOG_IO" &&
          /none\.json cannot be read: ENOENT/.test(error.message)
        );
      });
    });
  });

  it("tells a refusal once in a while, not each time", async () => {
    const server = await start({ tokens: [entry("ada", { mine: ["append"] })] });
    const log = await server.client({ token: token("ada") });
    for (let i = 0; i < 50; i++) assert.equal(await codeOf(append(log.book("yours"))), "LOG_FORBIDDEN");
    for (let i = 0; i < 5; i++)
      assert.equal(await codeOf(openLog(server.url, { token: "wrong-wrong-wrong" })), "LOG_UNAUTHENTICATED");
    assert.deepEqual(
      server.lines.of("refused").map(({ level, fields }) => [level, fields["code"], fields["client"]]),
      [
        ["warn", "LOG_FORBIDDEN", "ada"],
        ["warn", "LOG_UNAUTHENTICATED", "somebody"],
      ],
    );
  });
});
