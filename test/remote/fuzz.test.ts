/** Whatever comes on the port: the server lives, answers the next client as before, and the log is what honest clients made it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { openLog } from "../../core/index.js";
import { type ClientFrame, clientFrames, servicePath } from "../../core/remote/wire.js";
import type { Log } from "../../core/types.js";
import { entry, RawSession } from "./raw.js";
import { serve, type Served } from "./serve.js";

const runs = process.env["FULL"] === "1" ? 20 : 1;

const text = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("b", "t", "u") },
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.constantFrom("", "\ud800", "x".repeat(256), "\0"),
);
const number = fc.oneof(
  { weight: 4, arbitrary: fc.nat(40) },
  fc.constantFrom(2 ** 32 - 1, 2 ** 53 - 1, 2 ** 53, 2 ** 64 - 1, 2 ** 63),
  fc.maxSafeNat(),
);
const u32 = fc.oneof({ weight: 4, arbitrary: fc.nat(8) }, fc.constant(2 ** 32 - 1));
const flag = fc.boolean();
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });

/** Fields may be missing, as they may on the wire. */
function message<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> {
  return fc.record(fields, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>;
}

const request: fc.Arbitrary<object> = fc.oneof(
  fc.record({ readNext: message({ book: text, tag: text, from: number, head: flag, wait: flag, timeoutMs: u32 }) }),
  fc.record({ readPrev: message({ book: text, tag: text, upTo: number, head: flag }) }),
  fc.record({
    read: message({
      book: text,
      tag: text,
      from: number,
      to: number,
      reverse: flag,
      follow: flag,
      head: flag,
      credit: u32,
    }),
  }),
  fc.record({ subscribe: message({ book: text, from: number }) }),
  fc.record({ tail: message({ book: text, sync: flag }) }),
  // Of the book that is compared nothing is removed.
  fc.record({ trim: message({ book: text.filter((name) => name !== "b"), tag: text, upTo: number }) }),
  fc.record({ drop: message({ book: text.filter((name) => name !== "b") }) }),
  fc.constantFrom<object>({ books: {} }, { stats: {} }, { checkpoint: {} }, { verify: {} }, {}),
);
const call = fc.tuple(u32, request).map(([id, one]) => ({ id, ...one }));

/** An entry as an honest client has it, and such with some bytes changed, cut or doubled. */
const appends: fc.Arbitrary<Uint8Array> = fc
  .record({
    drafts: fc.array(
      fc.record({
        // What is whole goes to a book that nobody looks at.
        book: fc.constant("fuzz"),
        tags: fc.uniqueArray(fc.constantFrom("t", "u", "v", "ü"), { minLength: 1 }),
        data: fc.uint8Array({ maxLength: 40 }),
        writer: fc.constantFrom(1, 2, 2 ** 53 - 1),
        n: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 6 }) }, fc.constant(2 ** 53 - 1)),
      }),
      { maxLength: 5 },
    ),
    changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
    cut: maybe(fc.nat()),
    isDoubled: fc.boolean(),
  })
  .map(({ drafts, changes, cut, isDoubled }) => {
    let bytes: Buffer = Buffer.concat(drafts.map((draft) => entry(draft)));
    for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
    if (cut !== undefined && bytes.length > 0) bytes = bytes.subarray(0, cut % bytes.length);
    return isDoubled ? Buffer.concat([bytes, bytes]) : bytes;
  });

const hello = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ version: 1 }) },
  message({ version: u32, log: text, seen: number }),
);

const frame: fc.Arbitrary<Uint8Array> = fc.oneof(
  {
    weight: 8,
    arbitrary: message({
      hello,
      appends,
      calls: fc.array(call, { maxLength: 6 }),
      ended: fc.array(u32, { maxLength: 3 }),
      credits: fc.array(fc.record({ id: u32, bytes: u32 }), { maxLength: 3 }),
    }).map((one) => clientFrames.encode(one as ClientFrame)),
  },
  fc.uint8Array({ maxLength: 100 }),
);

/** The bytes of one gRPC message, or what looks like some. */
const grpcFrame = fc
  .tuple(fc.constantFrom(0, 1, 7), maybe(fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1)), fc.uint8Array({ maxLength: 60 }))
  .map(([flag, length, bytes]) => {
    const head = Buffer.alloc(5);
    head[0] = flag;
    head.writeUInt32BE(length ?? bytes.length, 1);
    return Buffer.concat([head, bytes]);
  });

describe("a server that is told anything", function () {
  this.timeout(runs * 60_000);
  const folder = mkdtempSync(join(tmpdir(), "boki-fuzz-"));
  let server: Served;
  let log: Log;
  /** What honest clients appended. */
  const expected: string[] = [];
  let faults: unknown[] = [];
  const note = (error: unknown): void => void faults.push(error);

  before(async () => {
    server = await serve(`file:${folder}`);
    log = await openLog(`file:${folder}`);
    for (let i = 0; i < 20; i++) await honest();
  });

  after(async () => {
    await server.close();
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  });

  // What a process of its own would die of.
  beforeEach(() => {
    faults = [];
    process.on("unhandledRejection", note);
  });
  afterEach(() => process.off("unhandledRejection", note));

  /** A client appends, and reads what all of them did. */
  async function honest(): Promise<void> {
    const client = await openLog(server.url, { timeoutMs: 5000 });
    try {
      expected.push(`honest ${expected.length}`);
      await client.book("b").append(Buffer.from(expected.at(-1)!), { tags: ["t"] });
      const found: string[] = [];
      for await (const record of client.book("b").read()) found.push(record.text());
      assert.deepEqual(found, expected);
      assert.deepEqual(faults, []);
    } finally {
      await client.close();
    }
  }

  async function whole(): Promise<void> {
    const { ok, damage } = await log.verify();
    assert.ok(ok, JSON.stringify(damage));
    assert.equal((await log.stats()).readsWaiting, 0);
    await server.close();
    await log.close();
    server = await serve(`file:${folder}`, server.port);
    log = await openLog(`file:${folder}`);
    await honest();
  }

  async function check<T>(
    arbitrary: fc.Arbitrary<T>,
    numRuns: number,
    tell: (what: T) => Promise<void>,
  ): Promise<void> {
    const seed = process.env["SEED"];
    const path = process.env["FC_PATH"];
    await fc.assert(
      fc.asyncProperty(arbitrary, async (what) => {
        await tell(what);
        await honest();
      }),
      {
        numRuns: numRuns * runs,
        ...(seed === undefined ? {} : { seed: Number(seed) }),
        ...(path === undefined ? {} : { path }),
      },
    );
    await whole();
  }

  it("lives on after bytes that are nothing", async () => {
    const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await check(
      fc.tuple(fc.boolean(), fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 })),
      40,
      async (what) => {
        const [isHttp, chunks] = what;
        const socket = connect(server.port, "127.0.0.1");
        socket.on("error", () => undefined);
        if (isHttp) socket.write(preface);
        for (const chunk of chunks) socket.write(chunk);
        await new Promise<void>((resolve) => socket.end(resolve));
        socket.destroy();
      },
    );
  });

  it("lives on after gRPC messages that are none", async () => {
    const paths = ["Session", "Append", "Read", "ReadNext", "Stats", "Nothing"];
    await check(
      fc.tuple(fc.constantFrom(...paths), fc.array(grpcFrame, { maxLength: 4 })),
      40,
      async ([name, frames]) => {
        const session = connectHttp2(`http://127.0.0.1:${server.port}`);
        session.on("error", () => undefined);
        const stream = session.request({
          ":method": "POST",
          ":path": `/${servicePath}/${name}`,
          "content-type": "application/grpc",
          te: "trailers",
        });
        stream.on("error", () => undefined);
        stream.resume();
        const closed = new Promise((resolve) => stream.on("close", resolve));
        for (const one of frames) stream.write(one);
        stream.end();
        // A message that is announced and does not come is waited for.
        await Promise.race([closed, honest()]);
        session.destroy();
      },
    );
  });

  it("lives on after calls and entries that no client gives", async () => {
    await check(
      fc.tuple(fc.boolean(), fc.array(frame, { minLength: 1, maxLength: 6 })),
      150,
      async ([greets, frames]) => {
        const session = new RawSession(server.port, { greets });
        for (const one of frames) session.say(one);
        await Promise.race([session.ended, honest()]);
        session.close();
      },
    );
  });
});
