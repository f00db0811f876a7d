/** A record as users see it, decoded from an entry's bytes. */
import type { LogRecord, RecordHead } from "../types.js";
import type { Pending } from "./append.js";
import { readTags, readU32 } from "./entry.js";

/** Reading the data as text. */
abstract class Readable {
  abstract readonly data: Uint8Array;

  text(): string {
    return Buffer.from(this.data.buffer, this.data.byteOffset, this.data.length).toString("utf8");
  }

  json<T>(): T {
    return JSON.parse(this.text()) as T;
  }
}

class StoredRecord extends Readable implements LogRecord {
  readonly seqnum: number;
  readonly time: number;
  readonly tags: readonly string[];
  readonly size: number;
  readonly data: Uint8Array;
  declare readonly aux?: Uint8Array;

  constructor(head: RecordHead, data: Uint8Array, aux: Uint8Array | undefined) {
    super();
    this.seqnum = head.seqnum;
    this.time = head.time;
    this.tags = head.tags;
    this.size = head.size;
    this.data = data;
    if (aux !== undefined) this.aux = aux;
    Object.freeze(this);
  }
}

/** `bytes` holds one entry from 0 on and stays as it is. */
export function decodeRecord(bytes: Buffer, seqnum: number, time: number): LogRecord {
  const size = readU32(bytes, 8);
  const from = bytes.byteOffset + bytes.length - size;
  const data = new Uint8Array(bytes.buffer, from, size);
  return new StoredRecord({ seqnum, time, tags: readTags(bytes, 0), size }, data, undefined);
}

/** `data` stays as it is. */
export function makeRecord(head: RecordHead, data: Uint8Array): LogRecord {
  return new StoredRecord(head, data, undefined);
}

/** A record as the append that made it gave it: its data is that of the caller, good until the append resolves. */
export class GivenRecord extends Readable implements LogRecord {
  readonly append: Pending;
  readonly seqnum: number;
  readonly time: number;

  constructor(append: Pending, seqnum: number, time: number) {
    super();
    this.append = append;
    this.seqnum = seqnum;
    this.time = time;
  }

  get tags(): readonly string[] {
    return this.append.tags();
  }

  get size(): number {
    return this.append.data.length;
  }

  get data(): Uint8Array {
    return this.append.data;
  }
}

export function withAux(record: LogRecord, aux: Uint8Array): LogRecord {
  return new StoredRecord(record, record.data, aux);
}

export function headOf(record: LogRecord): RecordHead {
  const { seqnum, time, tags, size, aux } = record;
  return Object.freeze(aux === undefined ? { seqnum, time, tags, size } : { seqnum, time, tags, size, aux });
}
