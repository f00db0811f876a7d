/**
 * MessagePack, as any library for it reads it (https://github.com/msgpack/msgpack/blob/master/spec.md).
 *
 *   number      int and uint of 8 to 32 bits, float 64; so it is told from
 *   bigint      int 64, uint 64; beyond these extension 3: a byte 1 if negative or 0, then the magnitude, big-endian
 *   object      map with strings as keys
 *   Date        timestamp extension (-1) of 32, 64 or 96 bits; an invalid one extension 4: a byte 0
 *   undefined   extension 0: a byte 0
 *   Map         extension 1: a MessagePack map
 *   Set         extension 2: a MessagePack array
 *
 * Our own, because extensions of the libraries for it are set for the whole process, where another user of the library
 * could change what our bytes mean, and because they lose a byte order mark that a string begins with.
 */
import { describe } from "./value.js";

export const extension = { undefined: 0, map: 1, set: 2, bigint: 3, invalidDate: 4, timestamp: 0xff } as const;
const chunkBytes = 16 * 1024;

/** Writes one value after the other into a chunk, and takes a new chunk when there is no more room. */
class Writer {
  #chunk = Buffer.allocUnsafeSlow(chunkBytes);
  #at = 0;
  #start = 0;

  encode(value: unknown, before?: number): Uint8Array {
    this.#start = this.#at;
    if (before !== undefined) {
      this.#room(1);
      this.#chunk[this.#at++] = before;
    }
    try {
      this.#any(value);
      return this.#chunk.subarray(this.#start, this.#at);
    } catch (error) {
      this.#at = this.#start;
      throw error;
    } finally {
      // A large value leaves no large chunk behind.
      if (this.#chunk.length > chunkBytes) {
        this.#chunk = Buffer.allocUnsafeSlow(chunkBytes);
        this.#at = 0;
      }
    }
  }

  /** Makes room for `bytes` more. What is begun moves to the new chunk; what was given out keeps the old one. */
  #room(bytes: number): void {
    const end = this.#at + bytes;
    if (end <= this.#chunk.length) return;
    const begun = this.#at - this.#start;
    const chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, 2 * (begun + bytes)));
    this.#chunk.copy(chunk, 0, this.#start, this.#at);
    this.#chunk = chunk;
    this.#start = 0;
    this.#at = begun;
  }

  #any(value: unknown): void {
    this.#room(16);
    switch (typeof value) {
      case "string":
        return this.#string(value);
      case "number":
        return this.#number(value);
      case "boolean":
        this.#chunk[this.#at++] = value ? 0xc3 : 0xc2;
        return;
      case "undefined":
        return this.#byteExtension(extension.undefined);
      case "bigint":
        return this.#bigint(value);
      case "object":
        if (value !== null) return this.#object(value);
        this.#chunk[this.#at++] = 0xc0;
        return;
      default:
        throw new TypeError(`${describe(value)} cannot be stored`);
    }
  }

  #object(value: object): void {
    if (Array.isArray(value)) this.#array(value);
    else if (value instanceof Map) this.#map(value);
    else if (value instanceof Set) this.#set(value);
    else if (value instanceof Date) this.#date(value);
    else if (value instanceof Uint8Array) this.#bytes(value);
    else this.#plain(value as Readonly<Record<string, unknown>>);
  }

  #string(value: string): void {
    const length = value.length;
    if (length >= 32) return this.#longString(value);
    this.#room(32);
    const chunk = this.#chunk;
    let at = this.#at + 1;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) return this.#longString(value);
      chunk[at++] = code;
    }
    chunk[this.#at] = 0xa0 | length;
    this.#at = at;
  }

  #longString(value: string): void {
    const bytes = Buffer.byteLength(value);
    this.#room(bytes + 5);
    if (bytes < 32) this.#chunk[this.#at++] = 0xa0 | bytes;
    else this.#length(bytes, 0xd9, 0xda);
    this.#at += this.#chunk.write(value, this.#at);
  }

  #number(value: number): void {
    const chunk = this.#chunk;
    if (value >> 0 !== value || Object.is(value, -0)) {
      if (value >>> 0 === value && value !== 0) this.#uint32(0xce, value);
      else {
        chunk[this.#at] = 0xcb;
        chunk.writeDoubleBE(value, this.#at + 1);
        this.#at += 9;
      }
    } else if (value >= -0x20 && value < 0x80) chunk[this.#at++] = value & 0xff;
    else if (value >= 0) this.#length(value, 0xcc, 0xcd);
    else if (value >= -0x80) {
      chunk[this.#at++] = 0xd0;
      chunk[this.#at++] = value & 0xff;
    } else if (value >= -0x8000) this.#uint16(0xd1, value & 0xffff);
    else this.#uint32(0xd2, value >>> 0);
  }

  #bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) === value) {
      this.#chunk[this.#at] = 0xd3;
      this.#chunk.writeBigInt64BE(value, this.#at + 1);
      this.#at += 9;
    } else if (BigInt.asUintN(64, value) === value) {
      this.#chunk[this.#at] = 0xcf;
      this.#chunk.writeBigUInt64BE(value, this.#at + 1);
      this.#at += 9;
    } else {
      const hex = (value < 0n ? -value : value).toString(16);
      const magnitude = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
      this.#room(magnitude.length + 7);
      this.#uint32(0xc9, magnitude.length + 1);
      this.#chunk[this.#at++] = extension.bigint;
      this.#chunk[this.#at++] = value < 0n ? 1 : 0;
      this.#at += magnitude.copy(this.#chunk, this.#at);
    }
  }

  #date(value: Date): void {
    const time = value.getTime();
    if (Number.isNaN(time)) return this.#byteExtension(extension.invalidDate);
    const seconds = Math.floor(time / 1000);
    const nanos = (time - seconds * 1000) * 1_000_000;
    if (nanos === 0 && seconds >= 0 && seconds < 2 ** 32) {
      this.#chunk[this.#at++] = 0xd6;
      this.#uint32(extension.timestamp, seconds);
    } else if (seconds >= 0 && seconds < 2 ** 34) {
      this.#chunk[this.#at++] = 0xd7;
      this.#uint32(extension.timestamp, nanos * 4 + Math.floor(seconds / 2 ** 32));
      this.#at = this.#chunk.writeUInt32BE(seconds % 2 ** 32, this.#at);
    } else {
      this.#chunk[this.#at++] = 0xc7;
      this.#chunk[this.#at++] = 12;
      this.#uint32(extension.timestamp, nanos);
      this.#at = this.#chunk.writeBigInt64BE(BigInt(seconds), this.#at);
    }
  }

  #bytes(value: Uint8Array): void {
    this.#room(value.length + 5);
    this.#length(value.length, 0xc4, 0xc5);
    this.#chunk.set(value, this.#at);
    this.#at += value.length;
  }

  #array(value: readonly unknown[]): void {
    this.#count(value.length, 0x90, 0xdc);
    for (let i = 0; i < value.length; i++) this.#any(value[i]);
  }

  #plain(value: Readonly<Record<string, unknown>>): void {
    let count = 0;
    for (const key in value) if (hasOwn.call(value, key)) count++;
    this.#count(count, 0x80, 0xde);
    for (const key in value) {
      if (!hasOwn.call(value, key)) continue;
      this.#room(16);
      this.#string(key);
      this.#any(value[key]);
    }
  }

  #map(value: ReadonlyMap<unknown, unknown>): void {
    const begin = this.#beginExtension(extension.map);
    this.#count(value.size, 0x80, 0xde);
    for (const [key, part] of value) {
      this.#any(key);
      this.#any(part);
    }
    this.#endExtension(begin);
  }

  #set(value: ReadonlySet<unknown>): void {
    const begin = this.#beginExtension(extension.set);
    this.#count(value.size, 0x90, 0xdc);
    for (const part of value) this.#any(part);
    this.#endExtension(begin);
  }

  /** The length of an extension is known at its end. Gives where it begins, counted from the start of the value. */
  #beginExtension(type: number): number {
    const begin = this.#at - this.#start;
    this.#uint32(0xc9, 0);
    this.#chunk[this.#at++] = type;
    return begin;
  }

  #endExtension(begin: number): void {
    const at = this.#start + begin;
    this.#chunk.writeUInt32BE(this.#at - at - 6, at + 1);
  }

  #byteExtension(type: number): void {
    this.#chunk[this.#at++] = 0xd4;
    this.#chunk[this.#at++] = type;
    this.#chunk[this.#at++] = 0;
  }

  /** How many are in an array or a map: up to 15 in the byte itself. */
  #count(count: number, fix: number, code16: number): void {
    if (count < 16) this.#chunk[this.#at++] = fix | count;
    else if (count < 0x10000) this.#uint16(code16, count);
    else this.#uint32(code16 + 1, count);
  }

  /** A number in 8, 16 or 32 bits; the codes follow each other. */
  #length(value: number, code8: number, code16: number): void {
    if (value < 0x100) {
      this.#chunk[this.#at++] = code8;
      this.#chunk[this.#at++] = value;
    } else if (value < 0x10000) this.#uint16(code16, value);
    else this.#uint32(code16 + 1, value);
  }

  #uint16(code: number, value: number): void {
    const chunk = this.#chunk;
    chunk[this.#at++] = code;
    chunk[this.#at++] = value >>> 8;
    chunk[this.#at++] = value & 0xff;
  }

  #uint32(code: number, value: number): void {
    const chunk = this.#chunk;
    chunk[this.#at++] = code;
    chunk[this.#at++] = value >>> 24;
    chunk[this.#at++] = (value >>> 16) & 0xff;
    chunk[this.#at++] = (value >>> 8) & 0xff;
    chunk[this.#at++] = value & 0xff;
  }
}

/** In a loop over keys this costs nothing; Object.hasOwn does. */
const { hasOwnProperty: hasOwn } = Object.prototype as {
  readonly hasOwnProperty: (this: object, key: string) => boolean;
};
const writer = new Writer();

/** The bytes of an accepted value, behind the byte `before` if that is given. */
export function encodeMessagePack(value: unknown, before?: number): Uint8Array {
  return writer.encode(value, before);
}
