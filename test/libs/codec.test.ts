/** Values to bytes and back: what is read is what was written, to other languages too. */
import assert from "node:assert/strict";
import { decode as peerDecode, encode as peerEncode, ExtensionCodec } from "@msgpack/msgpack";
import fc from "fast-check";
import { jsonCodec, messagePackCodec, Values, type Codec } from "../../libs/codec.js";
import { copyValue } from "../../libs/value.js";
import { anyValue } from "./values.js";

const runs = process.env["FULL"] === "1" ? 20_000 : 300;

/** A codec of a user: MessagePack with each bit turned over. */
const turned: Codec = {
  id: 200,
  encode: (value) => messagePackCodec.encode(value).map((byte) => byte ^ 0xff),
  decode: (bytes) => messagePackCodec.decode(bytes.map((byte) => byte ^ 0xff)),
};

const codecs = { MessagePack: messagePackCodec, JSON: jsonCodec, "a codec of a user": turned };

/** Another library, told of our extensions as its documentation says. */
const extensions = new ExtensionCodec();
const read = (bytes: Uint8Array): unknown =>
  peerDecode(new Uint8Array(bytes), { extensionCodec: extensions, useBigInt64: true, mapKeyConverter: String });
extensions.register({ type: 0, encode: () => null, decode: () => undefined });
extensions.register({
  type: 2,
  encode: () => null,
  decode: (data) => new Set(read(data) as unknown[]),
});

describe("values and codecs", () => {
  for (const [name, codec] of Object.entries(codecs)) {
    it(`any accepted value survives ${name}`, function () {
      this.timeout(120_000);
      const values = new Values(codec);
      fc.assert(
        fc.property(anyValue, (value) => {
          const bytes = values.encode(copyValue(value));
          const size = bytes.length;
          const back = values.decode(bytes);
          // What was read keeps nothing of the bytes.
          bytes.fill(0xff);
          assert.deepEqual(back, value);
          assert.equal(values.encode(back).length, size);
        }),
        { numRuns: runs },
      );
    });

    it(`a key __proto__ among bytes of others changes no prototype: ${name}`, () => {
      const evil = JSON.parse('{"a":{"__proto__":{"admin":true}}}') as unknown;
      assert.throws(() => codec.decode(codec.encode(evil)), /a key __proto__/);
      assert.equal(({} as { admin?: boolean }).admin, undefined);
    });
  }

  it("what is large survives, with small values before and after it", function () {
    this.timeout(120_000);
    const many = Array.from({ length: 2 ** 16 }, (_, i) => i * 1000);
    const large = {
      many,
      keys: Object.fromEntries(many.map((i) => [`k${i}`, i])),
      map: new Map(many.map((i) => [i, `${i}`])),
      set: new Set(many),
      text: "é".repeat(70_000),
      bytes: new Uint8Array(70_000).fill(7),
      bigint: 3n ** 9000n,
    };
    for (const codec of [messagePackCodec, jsonCodec]) {
      const before = codec.encode([1]);
      assert.deepEqual(codec.decode(codec.encode(large)), large);
      assert.deepEqual([codec.decode(before), codec.decode(codec.encode([2]))], [[1], [2]]);
    }
  });

  it("bytes given out stay as they are while more is encoded", () => {
    const values = Array.from({ length: 3000 }, (_, i) => ({ i, text: "x".repeat(i % 700), set: new Set([i]) }));
    const all = values.map((value) => messagePackCodec.encode(value));
    all.forEach((bytes, i) => assert.deepEqual(messagePackCodec.decode(bytes), values[i]));
  });

  it("a value that cannot be encoded leaves nothing for the next one", () => {
    assert.throws(() => messagePackCodec.encode([1, "a", () => 1]), /a function cannot be stored/);
    assert.deepEqual(messagePackCodec.decode(messagePackCodec.encode([2])), [2]);
  });

  it("1 and 1n stay apart, a Buffer comes back as a Uint8Array, a hole as undefined, what is shared as copies", () => {
    for (const codec of Object.values(codecs)) {
      const shared = { a: 1 };
      // eslint-disable-next-line no-sparse-arrays
      const value = copyValue([1, 1n, Buffer.from("b"), [, 2], shared, shared, Object.create(null)]);
      const back = codec.decode(codec.encode(value)) as unknown[];
      assert.deepEqual(back, [1, 1n, new Uint8Array([98]), [undefined, 2], { a: 1 }, { a: 1 }, {}]);
      assert.notEqual(back[4], back[5]);
    }
  });

  it("MessagePack is what other libraries read and write", () => {
    const value = {
      "": null,
      numbers: [0, -1, 127, 128, -33, 70_000, -70_000, 2 ** 31, 2 ** 40, 1.5, NaN],
      bigints: [1n, -1n, 2n ** 63n],
      text: ["é", "\u{1F600}", "x".repeat(300), "y".repeat(300)],
      dates: [new Date(0), new Date(1_700_000_000_123), new Date(-5), new Date(2 ** 35 * 1000 + 7)],
      bytes: new Uint8Array([1, 2, 3]),
      nested: { many: Array.from({ length: 20 }, (_, i) => ({ i })) },
      undefined: undefined,
      set: new Set([1, { two: 2 }]),
    };
    assert.deepEqual(read(messagePackCodec.encode(value)), value);
    assert.deepEqual(read(messagePackCodec.encode(-0)), -0);
    const { set: _, undefined: __, ...plain } = value;
    assert.deepEqual(messagePackCodec.decode(peerEncode(plain, { useBigInt64: true })), plain);
    assert.equal(messagePackCodec.decode(peerEncode(1.5, { forceFloat32: true })), 1.5);
  });

  it("MessagePack of a Map, a large bigint and an invalid Date are the extensions that are documented", () => {
    const hex = (value: unknown): string => Buffer.from(messagePackCodec.encode(value)).toString("hex");
    assert.equal(hex(undefined), "d40000");
    assert.equal(hex(new Map([[1, "a"]])), "c900000004018101a161");
    assert.equal(hex(new Set([1])), "c900000002029101");
    assert.equal(hex(-(2n ** 64n)), "c90000000a0301010000000000000000");
    assert.equal(hex(new Date(NaN)), "d40400");
  });

  for (const [name, codec] of Object.entries({ messagePackCodec, jsonCodec })) {
    it(`an invalid Date comes back as one from ${name}`, () => {
      const { at } = codec.decode(codec.encode({ at: new Date(NaN) })) as { at: Date };
      assert.ok(at instanceof Date && Number.isNaN(at.getTime()));
    });
  }

  it("JSON is plain where JSON has a form", () => {
    const text = (value: unknown): string => Buffer.from(jsonCodec.encode(value)).toString();
    assert.equal(text({ a: [1, "x", null, true] }), '{"a":[1,"x",null,true]}');
    assert.equal(text(new Map([[1n, NaN]])), '{"$map":[[{"$bigint":"1"},{"$number":"NaN"}]]}');
    assert.equal(text({ $map: 1 }), '{"$$map":1}');
    assert.equal(text({ $map: 1, b: 2 }), '{"$map":1,"b":2}');
    assert.throws(() => jsonCodec.decode(Buffer.from('{"$class":"X"}')), /"\$class" is in this JSON/);
  });

  it("bytes that are cut short, too long or of something else are refused", () => {
    const whole = messagePackCodec.encode([
      "abc",
      { key: 1.5 },
      new Map([[1n, new Date(5)]]),
      2n ** 70n,
      new Uint8Array(9),
    ]);
    for (let length = 0; length < whole.length; length++)
      assert.throws(() => messagePackCodec.decode(whole.slice(0, length)), /are not MessagePack of one value/);
    for (const hex of ["0101", "c1", "d40900", "8101c0", "ddffffffff", "c70201c0c0", "c70102c0", "dfffffffff"])
      assert.throws(() => messagePackCodec.decode(Buffer.from(hex, "hex")), /are not MessagePack of one value/, hex);
  });

  it("what an earlier codec wrote is read; an unknown codec is named", () => {
    const user = new Values(turned);
    for (const codec of Object.values(codecs))
      assert.deepEqual(user.decode(new Values(codec).encode({ a: 1n })), { a: 1n });
    assert.equal(user.encode(1)[0], 200);
    assert.throws(() => new Values().decode(user.encode(1)), /codec 200, which is not known here; open with the codec/);
    assert.throws(() => new Values().decode(new Uint8Array()), /the first byte of a value is the id of its codec/);
  });

  it("a codec that is none is refused, and one that gives no bytes", () => {
    const bad = (codec: unknown): Values => new Values(codec as Codec);
    const refused = (codec: unknown, error: object): void => assert.throws(() => bad(codec), error);
    refused(null, { name: "TypeError", message: "a codec must be { id, encode, decode }, not null" });
    refused({ ...turned, id: "x" }, { name: "TypeError", message: 'the id of a codec must be a number, not "x"' });
    for (const id of [0, 1, 2, 127, 256, 128.5, NaN])
      refused({ ...turned, id }, { name: "RangeError", message: /128 to 255/ });
    refused({ ...turned, encode: 1 }, { name: "TypeError", message: "codec 200 must have a function encode, not 1" });
    refused({ ...turned, decode: undefined }, { message: "codec 200 must have a function decode, not undefined" });
    assert.throws(() => bad({ ...turned, encode: () => "text" }).encode(1), /codec 200 encoded to "text"/);
  });
});
