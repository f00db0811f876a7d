/** What a server does with clients that say strange things, or ordinary ones in an order that is rare. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { openLog } from "../../core/index.js";
import type { Session } from "../../core/log.js";
import type { Answer } from "../../core/remote/wire.js";
import type { Disk } from "../../core/loglet/file/disk.js";
import { realDisk } from "../../core/loglet/file/real-disk.js";
import type { Log } from "../../core/types.js";
import { diskWith, scratch } from "../loglet/on-disk.js";
import { entries, entry, RawSession } from "./raw.js";
import { serve, type Served } from "./serve.js";

let names = 0;

describe("a server of a log", () => {
  let url: string;
  let server: Served;
  /** The log as the process of the server has it. */
  let log: Log;
  const open: { close(): unknown }[] = [];

  beforeEach(async () => {
    url = `memory:serving-${++names}`;
    log = await openLog(url);
    server = await serve(url);
  });

  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    await server.close();
    await log.close();
  });

  function raw(): RawSession {
    const session = new RawSession(server.port);
    open.push(session);
    return session;
  }

  async function client(options: Parameters<typeof openLog>[1] = {}): Promise<Log> {
    const log = await openLog(server.url, options);
    open.push(log);
    return log;
  }

  /** Answers in the order they came. */
  function answers(session: RawSession, count: number): Promise<Answer[]> {
    return session.until((frames) => {
      const all = frames.flatMap((frame) => frame.answers ?? []);
      return all.reduce((sum, answer) => sum + answer.count, 0) >= count ? all : undefined;
    });
  }

  it("L8 answers appends in the order they came, also copies of such that it has applied before", async () => {
    const before = raw();
    before.say({ appends: entries(7, 1, 0, "1", "2", "3") });
    await answers(before, 3);
    const after = raw();
    after.say({ appends: entries(7, 1, 0, "1", "2", "3", "4", "5") });
    const found = await answers(after, 5);
    assert.deepEqual(
      found.flatMap(({ n, count }) => Array.from({ length: count }, (_, i) => n + i)),
      [1, 2, 3, 4, 5],
    );
    const seqnums = found.flatMap(({ count, accepted }) =>
      Array.from({ length: count }, (_, i) => accepted!.seqnum + i),
    );
    assert.deepEqual(seqnums.slice(0, 3), [1, 2, 3]);
    assert.equal((await log.stats()).records, 5);
  });

  const twice = {
    read: { read: { book: "b", follow: true, credit: 1000 } },
    subscribe: { subscribe: { book: "b" } },
    wait: { readNext: { book: "b", wait: true } },
    verify: { verify: {} },
  };
  for (const [name, request] of Object.entries(twice)) {
    it(`ends the session of who gives two calls one id (${name}), and forgets both`, async () => {
      const session = raw();
      session.say({ calls: [{ id: 1, ...request }] });
      session.say({
        calls: [
          { id: 1, ...request },
          { id: 1, tail: { book: "b" } },
        ],
      });
      assert.match((await session.ended)!.details, /there is a call 1 already/);
      await (await client()).book("b").append(Buffer.from("1"), { tags: ["t"] });
      assert.equal((await log.stats()).readsWaiting, 0);
      assert.ok((log as Session).engine.subscribers.isEmpty);
    });
  }

  it("sends in several messages what is too large for one", async function () {
    this.timeout(30_000);
    const book = (await client({ cacheBytes: 0 })).book("b");
    const large = Buffer.alloc(12 << 20, "x");
    const [first, second] = await Promise.all(["a", "b"].map((tag) => log.book("b").append(large, { tags: [tag] })));
    // Waits that end together, reads, and subscriptions beside them.
    const waits = Array.from({ length: 4 }, () => book.readNext({ tag: "c", wait: true }));
    const reads = ["a", "b", "a"].map((tag) => book.readNext({ tag }));
    const follows = Array.from({ length: 2 }, () => book.read({ from: first!.seqnum, follow: true }));
    const fed: number[] = [];
    for (let i = 0; i < 2; i++) await book.subscribe({ record: ({ size }) => fed.push(size), end: () => undefined });
    const followed = follows.map(async (follow) => {
      const seqnums: number[] = [];
      for await (const { seqnum, data } of follow) if (seqnums.push(seqnum) === 3) return [...seqnums, data.length];
      return seqnums;
    });
    await book.sync();
    const { seqnum } = await log.book("b").append(large, { tags: ["c"] });
    for (const record of await Promise.all(reads)) assert.equal(record!.data.length, large.length);
    for (const record of await Promise.all(waits)) assert.equal(record!.data.length, large.length);
    for (const one of await Promise.all(followed))
      assert.deepEqual(one, [first!.seqnum, second!.seqnum, seqnum, large.length]);
    await book.append(Buffer.from("end"), { tags: ["c"] });
    assert.deepEqual(fed, [large.length, large.length, 3, 3]);
  });

  it("takes many calls in one turn, however long their names are", async function () {
    this.timeout(60_000);
    const book = (await client({ timeoutMs: 50_000 })).book("b".repeat(255));
    const waits = Array.from({ length: 60_000 }, (_, i) => book.readNext({ tag: `${i}`.padEnd(255, "t"), wait: true }));
    const ended = Promise.allSettled(waits);
    await book.sync();
    assert.equal((await log.stats()).readsWaiting, 60_000);
    await (open.pop() as Log).close();
    for (const { status } of await ended) assert.equal(status, "rejected");
  });

  it("refuses one call more than it takes, and goes on with the others", async function () {
    this.timeout(30_000);
    const book = (await client()).book("b");
    const stop = new AbortController();
    const waits = Array.from({ length: 65_536 }, (_, i) =>
      book.readNext(i === 0 ? { wait: true, signal: stop.signal } : { wait: true }),
    );
    const ended = Promise.allSettled(waits);
    await assert.rejects(book.readNext({ wait: true }), { code: "LOG_UNAVAILABLE", retryable: true });
    stop.abort();
    // It is taken once the server has heard that the first one ended.
    const isTaken = (): Promise<boolean> =>
      book.tail().then(
        () => true,
        () => false,
      );
    while (!(await isTaken()));
    await log.book("b").append(Buffer.from("1"), { tags: ["t"] });
    const found = (await ended).filter(({ status }) => status === "fulfilled");
    assert.equal(found.length, 65_535);
  });

  it("gives a subscriber the bytes as appended, though the appending process uses them again", async () => {
    const seen: string[] = [];
    const book = (await client()).book("b");
    await book.subscribe({ record: (record) => seen.push(record.text()), end: () => undefined });
    const append = async (digit: number): Promise<void> => {
      const data = Buffer.alloc(100_000, `${digit}`);
      await log.book("b").append(data, { tags: ["t"] });
      data.fill("?");
    };
    for (let i = 0; i < 100; i++) await Promise.all([append(0), append(1), append(2)]);
    await book.append(Buffer.from("end"), { tags: ["t"] });
    assert.equal(seen.length, 301);
    assert.equal(seen.pop(), "end");
    assert.ok(seen.every((text, i) => text === `${i % 3}`.repeat(100_000)));
  });

  it("refuses a subscription from nowhere, and takes one from the beginning", async () => {
    await log.book("b").append(Buffer.from("1"), { tags: ["t"] });
    const session = raw();
    session.say({
      calls: [
        { id: 1, subscribe: { book: "b", from: 2 ** 63 } },
        { id: 2, subscribe: { book: "b", from: 0 } },
      ],
    });
    const fault = await session.until((frames) =>
      frames.flatMap(({ replies = [] }) => replies).find(({ id }) => id === 1),
    );
    assert.equal(fault.fault!.code, "RangeError");
    const fed = await session.until((frames) => frames.flatMap(({ fed = [] }) => fed).find(({ id }) => id === 2));
    assert.equal(fed.record.seqnum, 1);
  });

  it("gives up many appends at once when their time is over", async function () {
    const book = (await client({ timeoutMs: 500 })).book("b");
    await server.close();
    const appends = Array.from({ length: 60_000 }, () => book.append(Buffer.from("1"), { tags: ["t"] }));
    for (const ended of await Promise.allSettled(appends)) {
      assert.equal(ended.status, "rejected");
      assert.equal((ended.reason as { code: string }).code, "LOG_TIMEOUT");
    }
    server = await serve(url, server.port);
  });

  it("refuses an entry that is none, and keeps those before it", async () => {
    const session = raw();
    const good = entry({ writer: 9, n: 1, data: "good" });
    session.say({ appends: Buffer.concat([good, entry({ writer: 9, n: 2, tags: ["t", "t"], data: "bad" })]) });
    assert.match((await session.ended)!.details, /it has a tag twice/);
    await log.book("b").sync();
    assert.deepEqual((await log.book("b").readPrev())!.text(), "good");
  });
});

describe("a server of a log on a slow disk", () => {
  const folder = join(scratch(), "log");
  let hold: Promise<void> | undefined;
  let release: () => void;
  let syncing: () => void;
  let syncBegins: Promise<void>;
  const disk: Disk = diskWith({
    syncLater: async (file) => {
      syncing();
      await hold;
      return realDisk.syncLater(file);
    },
  });

  beforeEach(() => {
    syncBegins = new Promise((resolve) => (syncing = resolve));
    hold = new Promise((resolve) => (release = resolve));
  });

  it("says that it is at it, and a client waits longer for a checkpoint than it does for a silent server", async () => {
    const server = await serve(`file:${folder}`, 0, { disk, io: "main" });
    const log = await openLog(server.url, { timeoutMs: 600 });
    const started = performance.now();
    const checkpoint = log.checkpoint();
    await syncBegins;
    setTimeout(release, 1500);
    await checkpoint;
    assert.ok(performance.now() - started > 1400, "the disk held it up");
    await log.close();
    await server.close();
  });

  it("says how far it is with a backup, and nothing that is not so while it waits for the disk", async () => {
    const server = await serve(`file:${folder}-saved`, 0, { disk, io: "main" });
    const log = await openLog(server.url);
    await log.book("b").append(Buffer.from("one"), { tags: ["t"] });
    const heard: number[] = [];
    const backup = log.backup(`${folder}-backup`, { onProgress: ({ total }) => heard.push(total) });
    await syncBegins;
    // Longer than it says nothing.
    setTimeout(release, 800);
    await backup;
    assert.ok(!heard.includes(0), `of ${heard.join(", ")} bytes`);
    await log.close();
    await server.close();
  });

  it("close answers what was accepted, however long that takes, and takes nothing more", async () => {
    const server = await serve(`file:${folder}`, 0, { disk, io: "worker" });
    const session = new RawSession(server.port);
    session.say({ appends: entries(9, 1, 0, "1", "2") });
    await syncBegins;
    const closed = server.close();
    session.say({ appends: entries(9, 3, 0, "3") });
    // It comes over within a few turns of the event loop, which is that of the server too.
    for (let turns = 0; turns < 100; turns++) await new Promise((resolve) => setImmediate(resolve));
    release();
    const [answer] = await session.until((frames) => frames.find(({ answers }) => answers !== undefined)?.answers);
    assert.deepEqual([answer!.n, answer!.count, answer!.accepted?.seqnum], [1, 2, 1]);
    assert.match((await session.ended)!.details, /shuts down/);
    await closed;
    const log = await openLog(`file:${folder}`);
    assert.equal((await log.stats()).records, 2);
    await log.close();
  });
});
