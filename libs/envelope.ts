/** The data of a record that a library wrote: a commit of parts, as in proto/envelope.proto. */
import { LogError } from "../core/index.js";
import { beginMessage, endMessage, mark, MessageReader, writeMessage, writeUint } from "./protobuf.js";

const commitVersion = 1;

/** What a commit does to one thing. Each library has kinds of its own. */
export interface Part {
  readonly kind: number;
  readonly version: number;
  /** Writes the fields of the body, last first. */
  write(): void;
}

/** A part as it was read; its library decodes the body. */
export class StoredPart implements Part {
  constructor(
    readonly kind: number,
    readonly version: number,
    readonly body: Uint8Array,
  ) {}

  write(): void {
    throw new Error("a part that was read is not written again");
  }
}

/** What could not be read of a record. */
export class BrokenPart implements Part {
  readonly kind = 0;
  readonly version = 0;

  constructor(readonly fault: Error) {}

  write(): void {
    throw new Error("a part that was read is not written again");
  }
}

export function encodeCommit(parts: readonly Part[]): Uint8Array {
  beginMessage();
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i]!;
    const before = mark();
    part.write();
    writeMessage(3, before);
    writeUint(2, part.version);
    writeUint(1, part.kind);
    writeMessage(2, before);
  }
  writeUint(1, commitVersion);
  return endMessage();
}

/** Bytes that are no commit give a broken part. Throws `LOG_VERSION` for a version that it does not know. */
export function decodeCommit(data: Uint8Array): Part[] {
  const parts: Part[] = [];
  let version = 0;
  try {
    const reader = new MessageReader(data);
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1) version = reader.uint();
      else if (field === 2) parts.push(decodePart(reader.bytes()));
      else reader.skip();
    }
    if (version === 0) throw new Error("a record is no commit");
  } catch (error) {
    return [...parts, new BrokenPart(error as Error)];
  }
  if (version !== commitVersion) {
    throw new LogError(
      "LOG_VERSION",
      `a commit has version ${version}; this version of boki knows ${commitVersion}. Use a newer one`,
    );
  }
  return parts;
}

const noBytes = new Uint8Array(0);

function decodePart(bytes: Uint8Array): StoredPart {
  const reader = new MessageReader(bytes);
  let kind = 0;
  let version = 0;
  let body = noBytes;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) kind = reader.uint();
    else if (field === 2) version = reader.uint();
    else if (field === 3) body = reader.bytes() as Uint8Array<ArrayBuffer>;
    else reader.skip();
  }
  return new StoredPart(kind, version, body);
}
