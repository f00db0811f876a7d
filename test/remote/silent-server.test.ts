/** A client of a server that takes what it says and never answers. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import grpc from "@grpc/grpc-js";
import { openLog } from "../../core/index.js";
import { type ClientFrame, clientFrames, type ServerFrame, serverFrames, servicePath } from "../../core/remote/wire.js";

describe("a client whose server does not answer", () => {
  let server: grpc.Server;
  let url = "";
  let appends = 0;

  beforeEach(async () => {
    server = new grpc.Server();
    appends = 0;
    const session = {
      path: `/${servicePath}/Session`,
      requestStream: true,
      responseStream: true,
      requestSerialize: clientFrames.encode,
      requestDeserialize: clientFrames.decode,
      responseSerialize: serverFrames.encode,
      responseDeserialize: serverFrames.decode,
    } as const;
    server.addService(
      { Session: session },
      {
        Session: (call: grpc.ServerDuplexStream<ClientFrame, ServerFrame>) => {
          call.on("data", (frame: ClientFrame) => {
            if (frame.hello !== undefined)
              call.write({ welcome: { version: 1, log: "0".repeat(31) + "1", durability: "memory" } });
            if (frame.appends !== undefined) appends++;
          });
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    url = `grpc://127.0.0.1:${port}`;
  });
  afterEach(() => server.forceShutdown());

  it("gives up its appends after timeoutMs, and can be closed then", async () => {
    const log = await openLog(url, { timeoutMs: 300 });
    const append = log.book("b").append(Buffer.from("x"), { tags: ["t"] });
    await assert.rejects(append, { code: "LOG_TIMEOUT", outcome: "unknown" });
    assert.equal(appends, 1);
    await log.close();
  });

  it("waits for them when it is closed, but no longer", async () => {
    const log = await openLog(url, { timeoutMs: 300 });
    const append = log.book("b").append(Buffer.from("x"), { tags: ["t"] });
    append.catch(() => undefined);
    await log.close();
    await assert.rejects(append, { code: "LOG_TIMEOUT", outcome: "unknown" });
  });

  it("gives up what is asked of it after timeoutMs, but not what waits for what is to come", async () => {
    const log = await openLog(url, { timeoutMs: 300 });
    const book = log.book("b");
    const following = book.read({ follow: true }).next();
    const waiting = book.readNext({ wait: true });
    const subscriber = { record: () => undefined, end: () => undefined };
    await assert.rejects(book.subscribe(subscriber), { code: "LOG_TIMEOUT" });
    for (const long of [log.checkpoint(), log.verify(), log.backup("/nowhere")])
      await assert.rejects(long, { code: "LOG_TIMEOUT" });
    await assert.rejects(book.readNext(), { code: "LOG_TIMEOUT" });
    await assert.rejects(book.read().next(), { code: "LOG_TIMEOUT" });
    await assert.rejects(book.tail(), { code: "LOG_TIMEOUT" });
    await log.close();
    await assert.rejects(following, { code: "LOG_CLOSED" });
    await assert.rejects(waiting, { code: "LOG_CLOSED" });
  });

  it("names the url and the time when it was not even greeted", async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    try {
      await once(silent, "listening");
      const address = `grpc://127.0.0.1:${(silent.address() as AddressInfo).port}`;
      await assert.rejects(openLog(address, { timeoutMs: 100 }), (error: Error & { code: string }) => {
        assert.equal(error.code, "LOG_UNAVAILABLE");
        assert.ok(error.message.startsWith(`${address} gave no answer within 100 ms; `), error.message);
        return true;
      });
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });
});
