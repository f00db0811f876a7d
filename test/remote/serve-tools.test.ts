/** What other languages and tools use: every call alone with the .proto file, health, reflection. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protobuf from "protobufjs";
import { type Running, until, useServer } from "./served.js";

const protoOf = (name: string): string => fileURLToPath(new URL(`../../../proto/${name}`, import.meta.url));

/** A client that knows nothing but a .proto file. */
class Plain {
  readonly #service: protobuf.Service;
  readonly #path: string;
  readonly #client: grpc.Client;
  readonly #metadata = new grpc.Metadata();

  constructor(port: number, file: string, service: string, token?: string, path = service) {
    const root = new protobuf.Root();
    this.#service = root.loadSync(protoOf(file), { keepCase: true }).lookupService(service);
    this.#service.resolveAll();
    this.#path = path;
    this.#client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    if (token !== undefined) this.#metadata.set("authorization", `Bearer ${token}`);
  }

  #of(name: string) {
    const method = this.#service.methods[name]!;
    const { resolvedRequestType: request, resolvedResponseType: response } = method;
    return {
      path: `/${this.#path}/${name}`,
      encode: (message: object) => request!.encode(request!.create(message)).finish() as Buffer,
      decode: (bytes: Buffer) => response!.toObject(response!.decode(bytes), { longs: Number, bytes: String }),
    };
  }

  call(name: string, message: object): Promise<Record<string, unknown>> {
    const { path, encode, decode } = this.#of(name);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(path, encode, decode, message, this.#metadata, (error, reply) =>
        error === null ? resolve(reply!) : reject(error),
      );
    });
  }

  stream(name: string, message: object): grpc.ClientReadableStream<Record<string, unknown>> {
    const { path, encode, decode } = this.#of(name);
    return this.#client.makeServerStreamRequest(path, encode, decode, message, this.#metadata);
  }

  async all(name: string, message: object): Promise<Record<string, unknown>[]> {
    const found: Record<string, unknown>[] = [];
    for await (const one of this.stream(name, message)) found.push(one as Record<string, unknown>);
    return found;
  }

  bidi(name: string): grpc.ClientDuplexStream<object, Record<string, unknown>> {
    const { path, encode, decode } = this.#of(name);
    return this.#client.makeBidiStreamRequest(path, encode, decode, this.#metadata);
  }

  get methods(): string[] {
    return Object.keys(this.#service.methods);
  }

  close(): void {
    this.#client.close();
  }
}

describe("a server, for other languages and tools", () => {
  const { start } = useServer();
  let clients: Plain[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  function plain(server: Running, file: string, service: string, token?: string, path?: string): Plain {
    const made = new Plain(server.port, file, service, token, path);
    clients.push(made);
    return made;
  }

  it("answers every call alone, from a client that has only proto/log.proto", async () => {
    const folder = mkdtempSync(join(tmpdir(), "boki-plain-"));
    try {
      const server = await start({}, { url: `file:${join(folder, "data")}` });
      const log = plain(server, "log.proto", "boki.log.v1.Log");
      const base64 = (text: string): string => Buffer.from(text).toString("base64");
      const book = "b";

      const calls: Record<string, () => Promise<unknown>> = {
        Info: async () => assert.equal((await log.call("Info", {}))["log"], server.log.id),
        Append: async () => {
          const first = await log.call("Append", { book, data: Buffer.from("one"), tags: ["a", "b"] });
          assert.equal((first["accepted"] as { seqnum: number }).seqnum, 1);
          const refused = await log.call("Append", {
            book,
            data: Buffer.from("no"),
            tags: ["a"],
            unless: [{ tag: "a", after: 0 }],
          });
          assert.deepEqual(refused["refused"], { tag: "a", seqnum: 1 });
          await log.call("Append", { book, data: Buffer.from("two"), tags: ["a"] });
        },
        ReadNext: async () => {
          const { record } = await log.call("ReadNext", { book, tag: "b" });
          const { seqnum, tags, data } = record as { seqnum: number; tags: string[]; data: string };
          assert.deepEqual({ seqnum, tags, data }, { seqnum: 1, tags: ["a", "b"], data: base64("one") });
          assert.deepEqual(await log.call("ReadNext", { book, from: 100 }), {});
        },
        ReadPrev: async () => {
          const { record } = await log.call("ReadPrev", { book, head: true });
          assert.deepEqual([(record as { seqnum: number }).seqnum, (record as { size: number }).size], [3, 3]);
          assert.equal("data" in (record as object), false);
        },
        Read: async () => {
          const records = await log.all("Read", { book });
          assert.deepEqual(
            records.map(({ data }) => data),
            [base64("one"), base64("two")],
          );
        },
        Tail: async () => assert.deepEqual(await log.call("Tail", { book, sync: true }), { tail: 4 }),
        Books: async () => assert.deepEqual(await log.call("Books", {}), { books: ["b"] }),
        Stats: async () => assert.equal((await log.call("Stats", {}))["records"], 2),
        Checkpoint: async () => assert.deepEqual(await log.call("Checkpoint", {}), {}),
        Verify: async () => {
          const { verified } = (await log.all("Verify", {})).at(-1)!;
          assert.equal((verified as { ok: boolean }).ok, true);
        },
        Backup: async () => {
          const { backed_up } = (await log.all("Backup", { directory: join(folder, "backup") })).at(-1)!;
          assert.equal((backed_up as { records: number }).records, 2);
        },
        Trim: async () => {
          assert.deepEqual(await log.call("Trim", { book, up_to: 1 }), {});
          assert.equal((await server.log.book(book).readNext())?.text(), "two");
        },
        Drop: async () => {
          assert.deepEqual(await log.call("Drop", { book }), {});
          assert.deepEqual(await server.log.books(), []);
        },
      };
      assert.deepEqual(Object.keys(calls).sort(), log.methods.filter((name) => name !== "Session").sort());
      for (const call of Object.values(calls)) await call();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("follows in a plain Read, which ends with its token, and refuses with the status that gRPC has for it", async () => {
    const rights = { b: ["read"] as const };
    const file = [{ name: "ada", token: "token-of-ada-0123456789", rights, expires: "2026-01-01T01:00:00Z" }];
    const { VirtualClock } = await import("../../core/testing.js");
    const clock = new VirtualClock();
    const server = await start({ tokens: file }, { clock });
    const log = plain(server, "log.proto", "boki.log.v1.Log", file[0]!.token);
    const stream = log.stream("Read", { book: "b", follow: true });
    const ended = new Promise<grpc.ServiceError>((resolve) => stream.on("error", resolve));
    const came = new Promise((resolve) => stream.once("data", resolve));
    await server.log.book("b").append(Buffer.from("x"), { tags: ["t"] });
    await came;
    for (const [name, request, code] of [
      ["Append", { book: "b", tags: ["t"] }, grpc.status.PERMISSION_DENIED],
      ["ReadNext", { book: "c" }, grpc.status.PERMISSION_DENIED],
      ["Trim", { book: "b", up_to: 1 }, grpc.status.PERMISSION_DENIED],
      ["Stats", {}, grpc.status.PERMISSION_DENIED],
      ["ReadNext", { book: "" }, grpc.status.PERMISSION_DENIED],
    ] as const)
      await assert.rejects(log.call(name, request), { code }, name);
    clock.advance(3_600_000);
    assert.equal((await ended).code, grpc.status.UNAUTHENTICATED);
    await assert.rejects(log.call("Tail", { book: "b" }), { code: grpc.status.UNAUTHENTICATED });
    await assert.rejects(plain(server, "log.proto", "boki.log.v1.Log").call("Info", {}), {
      code: grpc.status.UNAUTHENTICATED,
    });
  });

  it("says whether it is healthy, also to those who have no token, and to those who watch", async () => {
    const server = await start({ tokens: [], graceMs: 60_000 });
    const health = plain(server, "grpc/health.proto", "grpc.health.v1.Health");
    for (const service of ["", "boki.log.v1.Log"])
      assert.deepEqual(await health.call("Check", { service }), { status: 1 });
    await assert.rejects(health.call("Check", { service: "other" }), { code: grpc.status.NOT_FOUND });
    const seen: unknown[] = [];
    const watched = health.stream("Watch", {});
    const ended = new Promise<void>((resolve) => watched.on("end", resolve));
    watched.on("data", ({ status }: { status: number }) => seen.push(status));
    const unknown = health.stream("Watch", { service: "other" });
    unknown.on("error", () => undefined);
    assert.deepEqual(await new Promise((resolve) => unknown.once("data", resolve)), { status: 3 });
    await until("it is told", () => seen.length === 1);
    // A watch does not hold a server that shuts down.
    await server.close();
    await ended;
    assert.deepEqual(seen, [1, 2]);
  });

  for (const version of ["v1", "v1alpha"]) {
    it(`describes its services by reflection ${version}`, async () => {
      const server = await start();
      const path = `grpc.reflection.${version}.ServerReflection`;
      const reflection = plain(server, "grpc/reflection.proto", "grpc.reflection.v1.ServerReflection", undefined, path);
      const stream = reflection.bidi("ServerReflectionInfo");
      stream.on("error", () => undefined);
      const ask = async (request: object): Promise<Record<string, unknown>> => {
        const answer = new Promise((resolve) => stream.once("data", resolve));
        stream.write(request);
        return (await answer) as Record<string, unknown>;
      };
      const listed = await ask({ list_services: "" });
      assert.deepEqual(
        (listed["list_services_response"] as { service: { name: string }[] }).service.map(({ name }) => name),
        ["boki.log.v1.Log", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"],
      );
      for (const symbol of ["boki.log.v1.Log", "boki.log.v1.Log.Append", "boki.log.v1.ReadPrevRequest"]) {
        const { file_descriptor_response: found } = await ask({ file_containing_symbol: symbol });
        const [bytes] = (found as { file_descriptor_proto: string[] }).file_descriptor_proto;
        checkDescriptor(Buffer.from(bytes!, "base64"));
      }
      assert.ok("file_descriptor_response" in (await ask({ file_by_filename: "log.proto" })));
      for (const request of [
        { file_containing_symbol: "boki.None" },
        { file_by_filename: "none.proto" },
        { all_extension_numbers_of_type: "x" },
      ])
        assert.equal(
          ((await ask(request))["error_response"] as { error_code: number }).error_code,
          grpc.status.NOT_FOUND,
        );
      stream.end();
    });
  }

  /** What the file says of itself is what it says: read with the descriptors of protobufjs itself. */
  function checkDescriptor(bytes: Buffer): void {
    const own = protobuf.loadSync(protoOf("grpc/descriptor.proto")).lookupType("google.protobuf.FileDescriptorProto");
    const file = own.toObject(own.decode(bytes)) as {
      messageType: { name: string; field?: Record<string, unknown>[]; oneofDecl?: { name: string }[] }[];
      service: { method: { name: string; inputType: string; serverStreaming?: boolean }[] }[];
    };
    const written = new protobuf.Root().loadSync(protoOf("log.proto"), { keepCase: true });
    written.resolveAll();
    for (const { name, field = [] } of file.messageType) {
      const type = written.lookupType(`boki.log.v1.${name}`);
      assert.deepEqual(
        field.map((one) => [one["name"], one["number"]]),
        type.fieldsArray.map((one) => [one.name, one.id]),
      );
    }
    const previous = file.messageType.find(({ name }) => name === "ReadPrevRequest")!;
    assert.deepEqual(previous.field![2], {
      name: "up_to",
      number: 3,
      label: 1,
      type: 4,
      oneofIndex: 0,
      jsonName: "upTo",
      proto3Optional: true,
    });
    assert.deepEqual(previous.oneofDecl, [{ name: "_up_to" }]);
    const read = file.service[0]!.method.find(({ name }) => name === "Read")!;
    assert.deepEqual([read.inputType, read.serverStreaming], [".boki.log.v1.ReadRequest", true]);
  }
});
