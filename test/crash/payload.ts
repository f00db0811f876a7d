/** Payloads that carry their identity and a checksum: what is read back is whole, and is what was appended. */
import { createHash } from "node:crypto";

export function payload(id: string): Buffer {
  const filler = id.repeat(1 + ((id.length * 37) % 60));
  return Buffer.from(JSON.stringify({ id, filler, sum: sum(id, filler) }));
}

/** The id in a payload; throws if it is not whole. */
export function identify(bytes: Uint8Array): string {
  const {
    id,
    filler,
    sum: expected,
  } = JSON.parse(Buffer.from(bytes).toString()) as { id: string; filler: string; sum: string };
  if (sum(id, filler) !== expected) throw new Error(`the record of ${id} is damaged`);
  return id;
}

function sum(id: string, filler: string): string {
  return createHash("sha1").update(id).update(filler).digest("base64");
}
