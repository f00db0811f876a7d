/** A client whose way to the server is held up, cut, or closed to it: nothing is lost, left behind, or said wrongly. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { createServer } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import { type LogError, openLog } from "../../core/index.js";
import type { Session } from "../../core/log.js";
import { LogServer } from "../../core/remote/index.js";
import { forbiddenError, type Rights } from "../../core/remote/rights.js";
import { VirtualClock } from "../../core/testing.js";
import type { Log, LogBook, LogRecord } from "../../core/types.js";
import { until } from "./served.js";
import { type Way, wayTo } from "./way.js";

const text = (data: string): Buffer => Buffer.from(data);

describe("a client", () => {
  let folder = "";
  /** The log as the process has it that serves it. */
  let owner: Log;
  let server: LogServer;
  let way: Way;
  let log: Log;
  let book: LogBook;
  /** Books to which nobody may append. */
  const forbidden = new Set<string>();
  const rights: Rights = {
    name: "ada",
    check: (right, book) => {
      if (right === "append" && forbidden.has(book!)) throw forbiddenError("ada", right, book);
    },
  };

  beforeEach(async () => {
    forbidden.clear();
    folder = mkdtempSync(join(tmpdir(), "boki-client-"));
    owner = await openLog(`file:${folder}`);
    server = new LogServer(owner as Session, () => rights);
    way = await wayTo(await server.listen("127.0.0.1:0", grpc.ServerCredentials.createInsecure()));
  });
  afterEach(async () => {
    await log.close();
    await way.close();
    await server.close(100);
    await owner.close();
    rmSync(folder, { recursive: true });
  });

  async function open(options: Parameters<typeof openLog>[1] = {}): Promise<void> {
    log = await openLog(way.url, options);
    book = log.book("b");
    await book.append(text("first"), { tags: ["t"] });
  }

  describe("outcomes (L7)", () => {
    it("an append that was sent before, and is refused when it is sent again, may be there", async () => {
      await open();
      way.hold();
      const sent = ["second", "third"].map((data) => book.append(text(data), { tags: [data] }));
      await owner.book("b").readNext({ tag: "third", wait: true });
      forbidden.add("b");
      way.cut();
      const [second, third] = await Promise.allSettled(sent);
      for (const one of [second, third]) {
        assert.equal(one!.status, "rejected");
        const { code, outcome } = (one as PromiseRejectedResult).reason as LogError;
        assert.deepEqual([code, outcome], ["LOG_FORBIDDEN", "unknown"]);
      }
    });

    it("a trim that was never sent has not happened", async () => {
      await open();
      const stop = new AbortController();
      const trimmed = book.trim({ upTo: 1, signal: stop.signal });
      stop.abort();
      await assert.rejects(trimmed, { code: "LOG_ABORTED", outcome: "none" });
      assert.equal((await book.readNext())?.text(), "first");
    });
  });

  describe("closing and opening", () => {
    it("close does not wait for answers to appends that were given up", async () => {
      await open({ timeoutMs: 300 });
      way.hold();
      await assert.rejects(book.append(text("second"), { tags: ["t"] }), { code: "LOG_TIMEOUT", outcome: "unknown" });
      await log.close();
    });

    it("an opening can be aborted at any time", async () => {
      await open();
      const stop = new AbortController();
      const opening = openLog(way.url, { signal: stop.signal });
      stop.abort();
      await assert.rejects(opening, { code: "LOG_ABORTED" });
    });

    it("beforeFlush is called where there is no connection, so that what it appends has a deadline", async () => {
      await open({ timeoutMs: 300 });
      await way.close();
      await assert.rejects(book.tail(), { code: "LOG_TIMEOUT" });
      const appended = new Promise((resolve, reject) => {
        log.beforeFlush(() => {
          book.append(text("second"), { tags: ["t"] }).then(resolve, reject);
        });
      });
      await assert.rejects(appended, { code: "LOG_TIMEOUT", outcome: "none" });
    });
  });

  it("looks for a server that has been away for long so often that no call misses its return", async () => {
    const clock = new VirtualClock();
    const timeoutMs = 500;
    await open({ clock, timeoutMs });
    await way.close();
    let attempts = 0;
    const nobody = createServer((socket) => {
      attempts++;
      socket.destroy();
    });
    nobody.listen(Number(new URL(way.url).port), "127.0.0.1");
    try {
      for (let attempt = 1; attempt <= 20; attempt++) {
        const since = clock.monotonic();
        await until("an attempt", () => {
          clock.advance(10);
          return attempts >= attempt;
        });
        const waited = clock.monotonic() - since;
        assert.ok(waited < timeoutMs / 2, `${waited} ms until attempt ${attempt}`);
      }
    } finally {
      nobody.close();
    }
  });

  describe("waiting", () => {
    it("leaves nothing on a signal", async () => {
      await open();
      const { signal } = new AbortController();
      await book.append(text("second"), { tags: ["t"], signal });
      await book.appendAll([{ data: text("third"), tags: ["t"] }], { signal });
      await book.readNext({ tag: "t", wait: true, timeoutMs: 1000, signal });
      await book.readNext({ tag: "none", wait: true, timeoutMs: 1, signal });
      await book.sync({ signal });
      await book.trim({ upTo: 1, signal });
      for await (const _ of book.read({ signal }));
      for await (const _ of book.read({ follow: true, signal })) break;
      await log.stats({ signal });
      await log.verify({ signal });
      await book.drop({ signal });
      assert.equal(getEventListeners(signal, "abort").length, 0);
    });

    it("timeoutMs 0 looks whether there is a record", async () => {
      await open({ cacheBytes: 0 });
      assert.equal((await book.readNext({ wait: true, timeoutMs: 0 }))?.text(), "first");
      assert.equal(await book.readNext({ tag: "none", wait: true, timeoutMs: 0 }), undefined);
    });

    it("a reading that is asked for again can be aborted", async () => {
      await open();
      await book.appendAll(["second", "third"].map((data) => ({ data: text(data), tags: ["t"] })));
      const stop = new AbortController();
      const records = book.read({ tag: "t", signal: stop.signal });
      assert.equal(((await records.next()).value as LogRecord).text(), "first");
      await book.append(text("other"), { tags: ["other"] });
      await book.trim({ upTo: 4, tag: "other" });
      way.hold();
      const next = records.next();
      stop.abort();
      await assert.rejects(next, { code: "LOG_ABORTED" });
    });

    it("what onProgress throws is what the call rejects with", async () => {
      await open();
      const error = new Error("enough");
      const onProgress = (): void => {
        throw error;
      };
      await assert.rejects(log.verify({ onProgress }), error);
      await book.append(text("second"), { tags: ["t"] });
    });
  });

  describe("much at once", () => {
    it("70,000 books can be read, and what is remembered of the first is not taken for good then", async () => {
      await open();
      assert.equal((await book.readNext())?.text(), "first");
      for (let i = 0; i < 70_000; i += 10_000)
        await Promise.all(Array.from({ length: 10_000 }, (_, j) => log.book(`book-${i + j}`).readNext()));
      await owner.book("b").trim({ upTo: 1 });
      await assert.rejects(book.readNext({ from: 1 }), { code: "LOG_TRIMMED" });
    });
  });
});

describe("the tls of a client", () => {
  const pem = "-----BEGIN CERTIFICATE-----";
  for (const [tls, message] of [
    [{ ca: "ca.pem" }, /tls.ca has nothing of a PEM file in it; give the text of the file, not its path/],
    [{ cert: pem, key: Buffer.from("client.key") }, /tls.key has nothing of a PEM file in it/],
    [{ ca: 7 }, /tls.ca must be the text of a PEM file, not 7/],
    [{ cert: pem }, /tls.cert and tls.key belong together/],
    [{ serverName: 7 }, /tls.serverName must be a string, not 7/],
  ] as const)
    it(`is refused at once: ${message.source}`, async () => {
      await assert.rejects(
        openLog("grpc://127.0.0.1:1", { tls: tls as never }),
        (error: unknown) => error instanceof TypeError && message.test(error.message),
      );
    });
});
