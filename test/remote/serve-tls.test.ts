/** Where a server listens, and whom TLS lets in. */
import assert from "node:assert/strict";
import { LogError, openLog, type OpenOptions } from "../../core/index.js";
import { serve, type ServeOptions } from "../../core/remote/serve/serve.js";
import { until, useCertificates, useServer } from "./served.js";

const tokens = [{ name: "ada", token: "token-of-ada-0123456789", rights: { "*": ["read", "append"] as const } }];

describe("a server with TLS", function () {
  this.timeout(30_000);
  const certificates = useCertificates();
  const { start } = useServer();
  const tls = (more: object = {}): NonNullable<ServeOptions["tls"]> => ({
    cert: certificates.text("server.pem"),
    key: certificates.text("server.key"),
    ...more,
  });

  /** Whether a client gets in, else its fault. */
  async function comesIn(url: string, options: OpenOptions): Promise<string> {
    try {
      await using log = await openLog(url, { timeoutMs: 1500, ...options });
      await log.book("b").append(Buffer.from("x"), { tags: ["t"] });
      return "in";
    } catch (error) {
      if (!(error instanceof LogError)) throw error;
      return `${error.code}: ${error.message}`;
    }
  }

  it("lets in who trusts its authority, and says why another one does not get in", async () => {
    const server = await start({ tls: tls() });
    const ca = certificates.text("ca.pem");
    assert.equal(await comesIn(server.url, { tls: { ca } }), "in");
    assert.match(
      await comesIn(server.url, { tls: { ca: certificates.text("other-ca.pem") } }),
      /^LOG_UNAVAILABLE: .*(verify|certificate)/,
    );
    assert.match(await comesIn(server.url, { tls: true }), /^LOG_UNAVAILABLE: .*(verify|certificate)/);
    assert.match(await comesIn(server.url, {}), /^LOG_UNAVAILABLE: /);
  });

  it("is refused by who asks for another host, unless that is the name to look for", async () => {
    const server = await start({
      tls: { cert: certificates.text("client.pem"), key: certificates.text("client.key") },
    });
    const ca = certificates.text("ca.pem");
    assert.match(await comesIn(server.url, { tls: { ca } }), /^LOG_UNAVAILABLE: .*(does not match|altnames)/);
    assert.match(
      await comesIn(server.url, { tls: { ca, serverName: "localhost" } }),
      /^LOG_UNAVAILABLE: .*(does not match|altnames)/,
    );
    assert.equal(await comesIn(server.url, { tls: { ca, serverName: "client" } }), "in");
  });

  it("with authorities of clients, lets in only who shows a certificate of theirs, and knows his name", async () => {
    const server = await start({ tls: tls({ clientCa: certificates.text("ca.pem") }) });
    const of = (name: string): OpenOptions => ({
      tls: {
        ca: certificates.text("ca.pem"),
        cert: certificates.text(`${name}.pem`),
        key: certificates.text(`${name}.key`),
      },
    });
    assert.equal(await comesIn(server.url, of("client")), "in");
    assert.match(await comesIn(server.url, of("stranger")), /^LOG_UNAVAILABLE: /);
    assert.match(await comesIn(server.url, { tls: { ca: certificates.text("ca.pem") } }), /^LOG_UNAVAILABLE: /);
    assert.deepEqual(
      server.lines.of("session opened").map(({ fields }) => fields["client"]),
      ["client"],
    );
  });

  it("asks for a token besides, if there are tokens", async () => {
    const server = await start({ tls: tls({ clientCa: certificates.text("ca.pem") }), tokens });
    const shown = {
      ca: certificates.text("ca.pem"),
      cert: certificates.text("client.pem"),
      key: certificates.text("client.key"),
    };
    assert.match(await comesIn(server.url, { tls: shown }), /^LOG_UNAUTHENTICATED/);
    assert.equal(await comesIn(server.url, { tls: shown, token: tokens[0]!.token }), "in");
  });

  it("listens where others can reach it only with TLS and authentication, or when told so", async () => {
    await using log = await openLog("memory:");
    const others = "0.0.0.0:0";
    for (const [options, message] of [
      [{}, /without TLS and without tokens or certificates of clients; add that, listen at 127.0.0.1, or say/],
      [{ tokens }, /it would be without TLS;/],
      [{ tls: tls() }, /it would be without tokens or certificates of clients;/],
    ] as const) {
      for (const listen of [others, "[::]:0", "example.org:0", "10.0.0.1:0"])
        await assert.rejects(
          serve(log, { listen, ...options }),
          (error: unknown) => error instanceof TypeError && message.test(error.message),
        );
    }
    for (const options of [
      { tls: tls(), tokens },
      { tls: tls({ clientCa: certificates.text("ca.pem") }) },
      { insecure: true },
    ]) {
      const server = await start({ listen: others, ...options });
      assert.equal(server.lines.of("listening").length, 1);
      assert.equal(
        server.lines.lines.some(({ level }) => level === "warn"),
        "insecure" in options,
      );
    }
  });

  it("refuses a certificate without its key, and what is none", async () => {
    await using log = await openLog("memory:");
    for (const [options, message] of [
      [
        { cert: certificates.text("server.pem"), key: certificates.text("client.key") },
        /no certificate with its key: .*mismatch/,
      ],
      [{ cert: "hello", key: certificates.text("server.key") }, /no certificate with its key/],
      [{ cert: certificates.text("server.pem") }, /tls.key must be the text of a PEM file, not undefined/],
      [tls({ clientCa: certificates.text("ca.key") }), /tls.clientCa has no certificate in it/],
      [tls({ ca: "x" }), /tls has no option "ca"; it takes cert, key, clientCa/],
    ] as const)
      await assert.rejects(
        serve(log, { tls: options as never }),
        (error: unknown) => error instanceof TypeError && message.test(error.message),
      );
  });
});

describe("serve", () => {
  const { start } = useServer();

  it("refuses bad arguments by name, and a log that another process has", async () => {
    const server = await start();
    const remote = await server.client();
    await assert.rejects(serve(remote), /^TypeError: serve takes a log that this process has.*not grpc:\/\/127/);
    await assert.rejects(serve({} as never), /^TypeError: serve takes a log/);
    for (const [options, message] of [
      [{ listen: "7464" }, /listen must be HOST:PORT, such as/],
      [{ listen: "127.0.0.1:70000" }, /listen must be HOST:PORT/],
      [{ listen: 7464 }, /listen must be HOST:PORT/],
      [{ http: "localhost" }, /http must be HOST:PORT/],
      [{ tokens: 5 }, /tokens must be the path of a token file, or its entries/],
      [{ tokens: "" }, /tokens must be the path/],
      [{ tls: true }, /tls takes an options object/],
      [{ insecure: "yes" }, /insecure must be true or false/],
      [{ graceMs: -1 }, /graceMs must be from 0/],
      [{ logger: {} }, /logger must have the functions debug, info, warn and error/],
      [{ port: 1 }, /serve has no option "port"; it takes listen,/],
    ] as const)
      await assert.rejects(serve(server.log, options as never), message);
  });

  it("says that a port is taken, and gives everything back", async () => {
    const first = await start({ http: "127.0.0.1:0" });
    const [, httpPort] = /:(\d+)\//.exec(first.httpUrl!)!;
    for (const options of [
      { listen: `127.0.0.1:${first.port}`, http: "127.0.0.1:0" },
      { listen: "127.0.0.1:0", http: `127.0.0.1:${httpPort}` },
    ])
      await assert.rejects(serve(first.log, options), (error: unknown) => {
        return (
          error instanceof LogError &&
          error.code === "LOG_IO" &&
          /cannot listen at 127.*another program does already/.test(error.message)
        );
      });
  });

  it("several servers can serve one log, which stays open when they close", async () => {
    const first = await start();
    await using second = await serve(first.log, { listen: "127.0.0.1:0" });
    const [one, two] = [await first.client(), await openLog(second.url)];
    await one.book("b").append(Buffer.from("x"), { tags: ["t"] });
    assert.equal((await two.book("b").readNext())?.text(), "x");
    await two.close();
    await second.close();
    await one.book("b").append(Buffer.from("y"), { tags: ["t"] });
    await first.close();
    assert.equal((await first.log.book("b").readPrev())?.text(), "y");
  });

  it("close ends followers, waits and calls alone at once, and answers appends first", async () => {
    const server = await start({ graceMs: 60_000 });
    const log = await server.client({ timeoutMs: 2000 });
    await log.book("b").sync();
    const appended: Promise<unknown>[] = [];
    for (let i = 0; i < 1000; i++) appended.push(log.book("b").append(Buffer.from(`${i}`), { tags: ["t"] }));
    const followed = (async () => {
      for await (const record of log.book("b").read({ follow: true })) if (record.text() === "after") return "after";
      return "ended";
    })();
    await until("some are there", async () => (await server.log.stats()).records > 0);
    await server.close();
    const { records } = await server.log.stats();
    // Its follower and its unanswered appends come again to the next server, at the same place.
    await using _next = await serve(server.log, { listen: `127.0.0.1:${server.port}` });
    assert.ok(records > 0);
    await Promise.all(appended);
    await log.book("b").append(Buffer.from("after"), { tags: ["t"] });
    assert.equal(await followed, "after");
    assert.equal((await server.log.stats()).records, 1001);
  });
});
