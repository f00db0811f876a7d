/** Reads MessagePack, with the extensions that `msgpack.ts` lists. What it gives shares nothing with the bytes. */
import { extension } from "./msgpack.js";

/** The value that the bytes hold. Throws an Error that names the place for anything else than one whole value. */
export function decodeMessagePack(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.any();
  reader.end();
  return value;
}

/** Keys come again and again: the last one with the same look, so that it need not be made again. */
const keys: string[] = new Array<string>(1024).fill("");

class Reader {
  readonly #bytes: Buffer;
  readonly #size: number;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#size = bytes.length;
  }

  end(): void {
    if (this.#at !== this.#size) throw this.#fault(`one value ends at byte ${this.#at} of ${this.#size}`);
  }

  any(): unknown {
    const code = this.#byte();
    if (code < 0x80) return code;
    if (code < 0x90) return this.#plain(code & 0x0f);
    if (code < 0xa0) return this.#array(code & 0x0f);
    if (code < 0xc0) return this.#string(code & 0x1f);
    if (code >= 0xe0) return code - 0x100;
    switch (code) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return new Uint8Array(this.#take(this.#uint(code - 0xc4)));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#extension(this.#uint(code - 0xc7));
      case 0xca:
        return this.#bytes.readFloatBE(this.#skip(4));
      case 0xcb:
        return this.#bytes.readDoubleBE(this.#skip(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#uint(code - 0xcc);
      case 0xcf:
        return this.#bytes.readBigUInt64BE(this.#skip(8));
      case 0xd0:
        return this.#bytes.readInt8(this.#skip(1));
      case 0xd1:
        return this.#bytes.readInt16BE(this.#skip(2));
      case 0xd2:
        return this.#bytes.readInt32BE(this.#skip(4));
      case 0xd3:
        return this.#bytes.readBigInt64BE(this.#skip(8));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (code - 0xd4));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#string(this.#uint(code - 0xd9));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#uint(code - 0xdb));
      case 0xde:
      case 0xdf:
        return this.#plain(this.#uint(code - 0xdd));
      default:
        throw this.#fault(`byte ${code} at ${this.#at - 1} begins no value`);
    }
  }

  #plain(count: number): unknown {
    this.#expect(count);
    const object: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.#key();
      if (key === "__proto__") throw this.#fault(`a key __proto__ before byte ${this.#at}`);
      object[key] = this.any();
    }
    return object;
  }

  #array(count: number): unknown[] {
    this.#expect(count);
    const array: unknown[] = [];
    for (let i = 0; i < count; i++) array.push(this.any());
    return array;
  }

  #string(length: number): string {
    const at = this.#skip(length);
    return this.#bytes.toString("utf8", at, at + length);
  }

  #key(): string {
    const code = this.#bytes[this.#at];
    if (code === undefined || code <= 0xa0 || code >= 0xc0) {
      const key = this.any();
      if (typeof key !== "string") throw this.#fault(`a key that is no string before byte ${this.#at}`);
      return key;
    }
    const bytes = this.#bytes;
    const length = code & 0x1f;
    this.#at++;
    const at = this.#skip(length);
    const slot =
      (length * 37 + bytes[at]! * 5 + bytes[at + (length >> 1)]! * 131 + bytes[at + length - 1]! * 17) & 1023;
    const known = keys[slot]!;
    if (known.length === length) {
      let i = 0;
      while (i < length && known.charCodeAt(i) === bytes[at + i]) i++;
      if (i === length) return known;
    }
    const key = bytes.toString("utf8", at, at + length);
    // As long as its bytes: ASCII, for which the comparison above holds.
    if (key.length === length) keys[slot] = key;
    return key;
  }

  #extension(length: number): unknown {
    const type = this.#byte();
    const end = this.#at + length;
    if (end > this.#size) throw this.#cutShort();
    const value = this.#extended(type, length);
    if (this.#at !== end) throw this.#fault(`extension ${type} ends at byte ${this.#at} instead of ${end}`);
    return value;
  }

  #extended(type: number, length: number): unknown {
    switch (type) {
      case extension.undefined:
        this.#skip(length);
        return undefined;
      case extension.map:
        return this.#map();
      case extension.set:
        return this.#set();
      case extension.bigint: {
        const negative = this.#byte() === 1;
        const magnitude = BigInt(`0x0${this.#take(length - 1).toString("hex")}`);
        return negative ? -magnitude : magnitude;
      }
      case extension.invalidDate:
        this.#skip(length);
        return new Date(NaN);
      case extension.timestamp:
        return this.#timestamp(length);
      default:
        throw this.#fault(`extension ${type} is not known`);
    }
  }

  #map(): Map<unknown, unknown> {
    const code = this.#byte();
    const count = code >= 0x80 && code < 0x90 ? code & 0x0f : this.#uint(code - 0xdd);
    this.#expect(count);
    const map = new Map<unknown, unknown>();
    for (let i = 0; i < count; i++) map.set(this.any(), this.any());
    return map;
  }

  #set(): Set<unknown> {
    const parts = this.any();
    if (!Array.isArray(parts)) throw this.#fault(`a set that is no array before byte ${this.#at}`);
    return new Set<unknown>(parts);
  }

  #timestamp(length: number): Date {
    if (length === 4) return new Date(this.#uint(2) * 1000);
    const first = this.#uint(2);
    if (length === 12) return new Date(Number(this.#bytes.readBigInt64BE(this.#skip(8))) * 1000 + first / 1_000_000);
    return new Date(((first & 3) * 2 ** 32 + this.#uint(2)) * 1000 + Math.floor(first / 4) / 1_000_000);
  }

  #byte(): number {
    return this.#bytes[this.#skip(1)]!;
  }

  /** An unsigned integer of 1, 2 or 4 bytes, by the power of two. */
  #uint(power: number): number {
    if (power === 0) return this.#byte();
    if (power === 1) return this.#bytes.readUInt16BE(this.#skip(2));
    if (power === 2) return this.#bytes.readUInt32BE(this.#skip(4));
    throw this.#fault(`no number before byte ${this.#at}`);
  }

  #take(length: number): Buffer {
    const at = this.#skip(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Goes on by `count` bytes, which must be there; gives where they begin. */
  #skip(count: number): number {
    const at = this.#at;
    this.#at += count;
    if (this.#at > this.#size || count < 0) throw this.#cutShort();
    return at;
  }

  /** Each part takes a byte at least: a damaged count asks for no memory. */
  #expect(count: number): void {
    if (count > this.#size - this.#at) throw this.#cutShort();
  }

  #cutShort(): Error {
    return this.#fault(`it ends at byte ${this.#size}, within a value`);
  }

  #fault(what: string): Error {
    return new Error(`these bytes are not MessagePack of one value: ${what}`);
  }
}
