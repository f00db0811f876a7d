/**
 * User values to bytes and back. The first byte says which codec wrote the rest, so that a codec can be changed while what an
 * earlier one wrote can still be read: 1 is MessagePack (`msgpack.ts` lists its extensions), 2 is JSON, 128 to 255 are codecs
 * of users, which encrypt or compress, say.
 */
import { decodeJson, encodeJson } from "./json.js";
import { decodeMessagePack } from "./msgpack-reader.js";
import { encodeMessagePack } from "./msgpack.js";
import { describe } from "./value.js";

export interface Codec {
  /** The first byte of all that it writes: 1 is MessagePack, 2 is JSON, 128 to 255 are those of users. */
  readonly id: number;
  /** The bytes of a value, without the id. */
  encode(value: unknown): Uint8Array;
  /** The value of bytes that `encode` gave. It must share nothing with them. */
  decode(bytes: Uint8Array): unknown;
}

/** The default: small, fast, and read by the MessagePack libraries of other languages. */
export const messagePackCodec: Codec = Object.freeze({
  id: 1,
  encode: (value: unknown) => encodeMessagePack(value),
  decode: decodeMessagePack,
});

/** For who wants to read the log with the eye. */
export const jsonCodec: Codec = Object.freeze({
  id: 2,
  encode: (value: unknown) => Buffer.from(encodeJson(value)),
  decode: (bytes: Uint8Array) => decodeJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")),
});

/** A codec to write with, and all that can be read. */
export class Values {
  readonly #codec: Codec;
  readonly #known: Map<number, Codec>;

  constructor(codec: Codec = messagePackCodec) {
    checkCodec(codec);
    this.#codec = codec;
    this.#known = new Map([messagePackCodec, jsonCodec, codec].map((one) => [one.id, one]));
  }

  /** Reads also what another codec wrote. Throws TypeError where its id is that of a third one. */
  accept(other: Values): void {
    const codec = other.#codec;
    const known = this.#known.get(codec.id);
    if (known !== undefined && known !== codec)
      throw new TypeError(`two codecs have the id ${codec.id}; stores on one book use one and the same object for it`);
    this.#known.set(codec.id, codec);
  }

  /** The id of the codec and the bytes of a value that `copyValue` or `checkValue` took. */
  encode(value: unknown): Uint8Array {
    if (this.#codec === messagePackCodec) return encodeMessagePack(value, messagePackCodec.id);
    const bytes: unknown = this.#codec.encode(value);
    if (!(bytes instanceof Uint8Array))
      throw new TypeError(`codec ${this.#codec.id} encoded to ${describe(bytes)}; encode must give a Uint8Array`);
    const all = Buffer.allocUnsafe(bytes.length + 1);
    all[0] = this.#codec.id;
    all.set(bytes, 1);
    return all;
  }

  /** The value, not frozen. */
  decode(bytes: Uint8Array): unknown {
    const id = bytes[0];
    const codec = id === undefined ? undefined : this.#known.get(id);
    if (codec === undefined) {
      throw new Error(
        id === undefined
          ? "no bytes are no value; the first byte of a value is the id of its codec"
          : `a value was written with codec ${id}, which is not known here; open with the codec that has this id`,
      );
    }
    return codec.decode(bytes.subarray(1));
  }
}

function checkCodec(codec: unknown): void {
  if (codec === messagePackCodec || codec === jsonCodec) return;
  if (typeof codec !== "object" || codec === null)
    throw new TypeError(`a codec must be { id, encode, decode }, not ${describe(codec)}`);
  const { id, encode, decode } = codec as Partial<Record<keyof Codec, unknown>>;
  if (typeof id !== "number") throw new TypeError(`the id of a codec must be a number, not ${describe(id)}`);
  if (!Number.isInteger(id) || id < 128 || id > 255)
    throw new RangeError(`the id of a codec must be an integer from 128 to 255, not ${id}`);
  if (typeof encode !== "function")
    throw new TypeError(`codec ${id} must have a function encode, not ${describe(encode)}`);
  if (typeof decode !== "function")
    throw new TypeError(`codec ${id} must have a function decode, not ${describe(decode)}`);
}
