/** Decoded records and aux data, each bounded in bytes, least recently used first out. */
import { LRUCache } from "lru-cache";
import type { LogRecord } from "../types.js";

/** Bytes of the objects around a record's data. */
const recordOverhead = 200;

export class ByteCache<V extends object> {
  readonly #entries: LRUCache<number, V> | undefined;

  /** With 0 bytes nothing is kept. */
  constructor(bytes: number) {
    this.#entries = bytes > 0 ? new LRUCache<number, V>({ maxSize: bytes }) : undefined;
  }

  get size(): number {
    return this.#entries?.size ?? 0;
  }

  get(key: number): V | undefined {
    return this.#entries?.get(key);
  }

  set(key: number, value: V, bytes: number): void {
    this.#entries?.set(key, value, { size: bytes });
  }

  delete(key: number): void {
    this.#entries?.delete(key);
  }

  stats(): { bytes: number; entries: number } {
    return { bytes: this.#entries?.calculatedSize ?? 0, entries: this.size };
  }
}

export function recordBytes(record: LogRecord): number {
  let bytes = recordOverhead + record.size;
  for (const tag of record.tags) bytes += 2 * tag.length;
  return bytes;
}
