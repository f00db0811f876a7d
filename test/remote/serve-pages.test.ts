/** Metrics, health and the status page over HTTP. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { FaultDisk } from "../../core/testing.js";
import { type Running, useServer } from "./served.js";

describe("the HTTP port of a server", () => {
  const { start } = useServer();
  const http = "127.0.0.1:0";

  /** A figure by its name and labels. */
  async function figure(server: Running, name: string): Promise<number> {
    const text = await (await fetch(`${server.httpUrl}metrics`)).text();
    const line = text.split("\n").find((one) => one.startsWith(`${name} `));
    assert.ok(line !== undefined, `${name} is missing`);
    return Number(line.slice(name.length + 1));
  }

  it("is there only when asked for", async () => {
    assert.equal((await start()).httpUrl, undefined);
  });

  it("has figures of what clients do, of the log and of the process", async () => {
    const rights = { "*": ["read", "append"] as const };
    const server = await start({ http, tokens: [{ name: "ada", token: "token-of-ada-0123456789", rights }] });
    const log = await server.client({ token: "token-of-ada-0123456789" });
    const book = log.book("b");
    const tags = ["t"];
    await book.appendAll(Array.from({ length: 100 }, () => ({ data: Buffer.alloc(1000), tags })));
    await book.append(Buffer.from("x"), { tags, unless: [{ tag: "t", after: 0 }] });
    await assert.rejects(book.trim({ upTo: 1 }));
    await book.readNext({ from: 1 });
    const records = [];
    for await (const record of server.log.book("b").read()) records.push(record);
    for await (const record of log.book("b").read()) records.push(record);
    assert.equal(records.length, 200);
    assert.deepEqual(
      {
        accepted: await figure(server, 'boki_appends_total{outcome="accepted"}'),
        refused: await figure(server, 'boki_appends_total{outcome="refused"}'),
        failed: await figure(server, 'boki_appends_total{outcome="failed"}'),
        latencies: await figure(server, "boki_append_seconds_count"),
        within: await figure(server, 'boki_append_seconds_bucket{le="+Inf"}'),
        read: await figure(server, "boki_records_read_total"),
        forbidden: await figure(server, 'boki_faults_total{code="LOG_FORBIDDEN"}'),
        sessions: await figure(server, "boki_sessions"),
        records: await figure(server, "boki_log_records"),
        writable: await figure(server, "boki_log_writable"),
        tags: await figure(server, "boki_log_tags"),
        checkpointFault: await figure(server, "boki_log_checkpoint_fault"),
      },
      { accepted: 100, refused: 1, failed: 0, latencies: 101, within: 101, read: 101, forbidden: 1, sessions: 1, records: 100, writable: 1, tags: 1, checkpointFault: 0 }, // prettier-ignore
    );
    assert.ok((await figure(server, "boki_received_bytes_total")) > 100_000);
    assert.ok((await figure(server, "boki_sent_bytes_total")) > 100_000);
    assert.ok((await figure(server, "process_resident_memory_bytes")) > 1e6);
    await log.close();
  });

  it("counts what a subscriber is given", async () => {
    const server = await start({ http });
    const book = (await server.client()).book("b");
    let seen = 0;
    const done = new Promise<void>((resolve, reject) => {
      book.subscribe({ record: () => ++seen === 10 && resolve(), end: reject }).catch(reject);
    });
    await book.sync();
    for (let i = 0; i < 10; i++) await server.log.book("b").append(Buffer.from("x"), { tags: ["t"] });
    await done;
    assert.equal(await figure(server, "boki_records_read_total"), 10);
  });

  it("shows a page for people, on which nothing from outside is taken for HTML", async () => {
    const name = `<script>alert("x")</script>`;
    const server = await start({
      http,
      tokens: [{ name, token: "token-of-ada-0123456789", rights: { "*": ["read", "append"] } }],
    });
    const log = await server.client({ token: "token-of-ada-0123456789" });
    await log.book("secret-book").append(Buffer.from("secret-data"), { tags: ["secret-tag"] });
    const answer = await fetch(server.httpUrl!);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-type")!, /^text\/html; charset=utf-8/);
    assert.match(answer.headers.get("content-security-policy")!, /default-src 'none'/);
    const page = await answer.text();
    assert.ok(page.includes("&#60;script&#62;alert(&#34;x&#34;)&#60;/script&#62;"));
    assert.doesNotMatch(page, /<script|secret-/);
    assert.ok(page.includes(server.log.id));
    assert.match(page, /<h3>Sessions<\/h3><p>1<\/p>/);
    assert.match(page, /<h3>Appends<\/h3><p>1<\/p>/);
  });

  it("answers /healthz with 503 and the reason while the log takes no appends, as the health check does", async () => {
    const disk = new FaultDisk({ seed: 1 });
    const server = await start({ http }, { url: "file:/log", disk });
    const health = async (): Promise<[number, string]> => {
      const answer = await fetch(`${server.httpUrl}healthz`);
      return [answer.status, await answer.text()];
    };
    assert.deepEqual(await health(), [200, "serving\n"]);
    const log = await server.client();
    await log.book("b").append(Buffer.from("x"), { tags: ["t"] });
    disk.failNext("sync", "EIO");
    await assert.rejects(log.book("b").append(Buffer.from("y"), { tags: ["t"] }), { code: "LOG_IO" });
    const [status, text] = await health();
    assert.equal(status, 503);
    assert.match(text, /the log takes no appends: /);
    assert.match(await (await fetch(server.httpUrl!)).text(), /class="state bad"/);
    assert.equal(await figure(server, "boki_log_writable"), 0);
    assert.equal(server.lines.of("fault")[0]?.level, "error");
  });

  it("takes GET and HEAD only, knows no other paths, and survives nonsense", async () => {
    const server = await start({ http });
    const { httpUrl } = server;
    assert.equal((await fetch(`${httpUrl}none`)).status, 404);
    assert.equal((await fetch(`${httpUrl}constructor`)).status, 404);
    assert.equal((await fetch(httpUrl!, { method: "POST", body: "x" })).status, 405);
    const head = await fetch(`${httpUrl}metrics?x=1`, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    const port = Number(new URL(httpUrl!).port);
    await new Promise<void>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.end("\0\0 nonsense\r\n\r\n"));
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
      socket.resume();
    });
    assert.equal((await fetch(`${httpUrl}healthz`)).status, 200);
  });
});
