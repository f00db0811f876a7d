/** What is written by hand is, byte for byte, what protobufjs makes of proto/envelope.proto; and each reads the other's. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import protobuf from "protobufjs";
import { openLog } from "../../../core/index.js";
import { BokiStore } from "../../../libs/index.js";
import { decodeCommit, encodeCommit, type Part, type StoredPart } from "../../../libs/envelope.js";
import { IndexDefinition, ObjectChange, storeParts } from "../../../libs/store/change.js";

const proto = readFileSync(fileURLToPath(new URL("../../../../proto/envelope.proto", import.meta.url)), "utf8");
const { root } = protobuf.parse(proto);
const type = (name: string): protobuf.Type => root.lookupType(`boki.${name}`);

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const bytes = fc.uint8Array({ minLength: 1 });
const uint = fc.oneof(fc.nat(300), fc.maxSafeNat());
const entries = fc.record({ index: text, entries: fc.array(text, { maxLength: 3 }) }, { noNullPrototype: true });

const change: fc.Arbitrary<ObjectChange> = fc
  .record({
    collection: text,
    key: text,
    what: fc.constantFrom("value", "patches", "deleted", "same"),
    bytes,
    valueVersion: fc.nat(),
    expiresAt: uint,
    expiresIn: uint,
    neverExpires: fc.boolean(),
    indexes: fc.array(entries, { maxLength: 3 }),
    unknownIndexes: fc.array(text, { maxLength: 3 }),
    isFirst: fc.boolean(),
  })
  .map(({ collection, key, ...rest }) => {
    const made = new ObjectChange(collection, key);
    const hasBytes = rest.what === "value" || rest.what === "patches";
    return Object.assign(made, rest, { bytes: hasBytes ? rest.bytes : undefined });
  });

const definition: fc.Arbitrary<IndexDefinition> = fc
  .tuple(text, text, fc.boolean())
  .map(([collection, index, dropped]) => new IndexDefinition(collection, index, dropped));

/** In the words of the .proto file. What is not there is left away. */
function bodyOf(part: ObjectChange | IndexDefinition): protobuf.Message {
  if (part instanceof IndexDefinition) {
    const { collection, index, dropped } = part;
    return type("IndexDefinition").fromObject({ collection, index, ...(dropped ? { dropped } : {}) });
  }
  const { what, bytes } = part;
  return type("ObjectChange").fromObject({
    collection: part.collection,
    key: part.key,
    ...(part.valueVersion > 0 ? { valueVersion: part.valueVersion } : {}),
    ...(what === "value" ? { value: bytes } : {}),
    ...(what === "patches" ? { patches: bytes } : {}),
    ...(what === "deleted" ? { deleted: true } : {}),
    ...(part.expiresAt > 0 ? { expiresAt: part.expiresAt } : {}),
    ...(part.expiresIn > 0 ? { expiresIn: part.expiresIn } : {}),
    indexes: part.indexes,
    unknownIndexes: part.unknownIndexes,
    ...(part.neverExpires ? { neverExpires: true } : {}),
    ...(part.isFirst ? { isFirst: true } : {}),
  });
}

function commitOf(parts: readonly (ObjectChange | IndexDefinition)[]): Uint8Array {
  const encoded = parts.map((part) => {
    const name = part instanceof IndexDefinition ? "IndexDefinition" : "ObjectChange";
    return { kind: part.kind, version: part.version, body: type(name).encode(bodyOf(part)).finish() };
  });
  return type("Commit")
    .encode(type("Commit").fromObject({ version: 1, parts: encoded }))
    .finish();
}

const plain = (part: Part): unknown => ({ ...part, next: undefined, hasNext: false });

describe("L10 the envelope", () => {
  const commits = fc.array(fc.oneof(change, definition), { maxLength: 4 });

  it("is what protobufjs writes, byte for byte, and is read back", () => {
    fc.assert(
      fc.property(commits, (parts) => {
        const mine = encodeCommit(parts);
        assert.deepEqual(Buffer.from(mine), Buffer.from(commitOf(parts)));
        assert.deepEqual(storeParts(decodeCommit(mine), { tags: [] }).map(plain), parts.map(plain));
      }),
    );
  });

  it("may have its fields in any order, and fields of later versions", () => {
    fc.assert(
      fc.property(change, fc.nat(), (part, extra) => {
        // A later version adds fields of all wire types to every message.
        const { Writer } = protobuf;
        const later = (bytes: Uint8Array): Uint8Array => {
          const writer = Writer.create()
            .uint32((100 << 3) | 0)
            .uint32(extra);
          writer.uint32((101 << 3) | 2).bytes(bytes.subarray(0, 5));
          writer
            .uint32((102 << 3) | 1)
            .double(extra)
            .uint32((103 << 3) | 5)
            .fixed32(extra);
          return Buffer.concat([writer.finish(), bytes]);
        };
        const body = later(type("ObjectChange").encode(bodyOf(part)).finish());
        const inner = Writer.create();
        inner
          .uint32((3 << 3) | 2)
          .bytes(body)
          .uint32((2 << 3) | 0)
          .uint32(1)
          .uint32((1 << 3) | 0)
          .uint32(1);
        const outer = Writer.create();
        outer
          .uint32((2 << 3) | 2)
          .bytes(later(inner.finish()))
          .uint32((1 << 3) | 0)
          .uint32(1);
        assert.deepEqual(storeParts(decodeCommit(later(outer.finish())), { tags: [] }).map(plain), [plain(part)]);
      }),
    );
  });

  it("of all that a store writes is read by protobufjs", async () => {
    await using log = await openLog("memory:");
    const book = log.book("b");
    await using store = new BokiStore(book);
    const items = store.collection<{ n: number; text: string }>("items", { indexes: { n: ({ n }) => n } });
    await items.put("x", { n: 1, text: "t".repeat(200) }, { expiresIn: "1d" });
    await items.update("x", (draft) => void draft.n++, { expiresIn: null });
    await items.delete("x");
    for (let i = 0; i < 10; i++) await items.put(`k${i}`, { n: i, text: "" });
    await items.checkpoint();
    const kinds = new Set<number>();
    const names = ["", "ObjectChange", "IndexDefinition", "CheckpointHead", "CheckpointPart"];
    for await (const { data } of book.read()) {
      const commit = type("Commit").decode(data) as unknown as {
        version: number;
        parts: { kind: number; version: number; body: Uint8Array }[];
      };
      assert.equal(commit.version, 1);
      for (const { kind, version, body } of commit.parts) {
        kinds.add(kind);
        assert.equal(version, 1);
        const message = type(names[kind]!).decode(body);
        assert.deepEqual(Buffer.from(type(names[kind]!).encode(message).finish()), Buffer.from(body), names[kind]);
      }
      // And by hand: the same parts.
      const parts = decodeCommit(data).map((part) => (part as StoredPart).body);
      assert.deepEqual(
        parts.map((body) => Buffer.from(body)),
        commit.parts.map(({ body }) => Buffer.from(body)),
      );
    }
    assert.deepEqual([...kinds].sort(), [1, 2, 3, 4]);
  });

  it("that is cut short or changed anywhere is read or is broken, and nothing else", () => {
    fc.assert(
      fc.property(commits, fc.nat(), fc.nat(255), (parts, at, byte) => {
        const mine = encodeCommit(parts);
        const read = (data: Uint8Array): void => {
          try {
            storeParts(decodeCommit(data), { tags: ["$o/c/k"] });
          } catch (error) {
            assert.equal((error as { code?: string }).code, "LOG_VERSION");
          }
        };
        read(mine.subarray(0, at % (mine.length + 1)));
        const other = Uint8Array.from(mine);
        other[at % mine.length] = byte;
        read(other);
      }),
      { numRuns: 1000 },
    );
  });
});
