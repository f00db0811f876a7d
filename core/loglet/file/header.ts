/**
 * The first page of a segment's file (JSON would do, but a reader in another language should need no parser).
 *
 *       0 magic "BOKILOG\n"     32 u32 segment number          64 u32 key id        (room for encryption, 0 now)
 *       8 u32 format version    36 u32 durability: 1 disk, 2 os  68 u32 key algorithm (0 now)
 *      12 u32 1: rewritten      40 u64 base position           72 u32 CRC-32 of bytes 0 to 71
 *      16 log id (16 bytes)     48 u64 created, ms; 56 u64 size
 */
import { crc32 } from "node:zlib";
import { LogError } from "../../errors.js";
import type { Position } from "../loglet.js";

export const headerBytes = 4096;
export const formatVersion = 1;
const magic = Buffer.from("BOKILOG\n");
const checksumAt = 72;

export interface SegmentHeader {
  readonly logId: string;
  readonly number: number;
  readonly base: Position;
  readonly size: number;
  readonly durability: "disk" | "os";
  readonly created: number;
  /** It was rewritten without its dead entries: positions have gaps. */
  readonly sparse: boolean;
}

export function segmentName(number: number): string {
  return `${String(number).padStart(10, "0")}.log`;
}

/** The number in a segment's name, or undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  return /^\d{10}\.log$/.test(name) ? Number.parseInt(name, 10) : undefined;
}

export function encodeHeader(header: SegmentHeader): Buffer {
  const page = Buffer.alloc(headerBytes);
  magic.copy(page, 0);
  page.writeUInt32LE(formatVersion, 8);
  page.writeUInt32LE(header.sparse ? 1 : 0, 12);
  Buffer.from(header.logId, "hex").copy(page, 16);
  page.writeUInt32LE(header.number, 32);
  page.writeUInt32LE(header.durability === "disk" ? 1 : 2, 36);
  page.writeBigUInt64LE(BigInt(header.base), 40);
  page.writeBigUInt64LE(BigInt(header.created), 48);
  page.writeBigUInt64LE(BigInt(header.size), 56);
  page.writeUInt32LE(crc32(page.subarray(0, checksumAt)), checksumAt);
  return page;
}

/** The header, or undefined where there is none that holds. Throws `LOG_VERSION` for a newer format. */
export function decodeHeader(page: Buffer, path: string): SegmentHeader | undefined {
  if (page.length < headerBytes || !page.subarray(0, magic.length).equals(magic)) return undefined;
  const version = page.readUInt32LE(8);
  if (version > formatVersion) {
    throw new LogError(
      "LOG_VERSION",
      `${path} has format ${version}; this version of boki reads up to ${formatVersion}. Open it with a newer boki`,
    );
  }
  if (crc32(page.subarray(0, checksumAt)) !== page.readUInt32LE(checksumAt)) return undefined;
  return {
    logId: page.toString("hex", 16, 32),
    number: page.readUInt32LE(32),
    durability: page.readUInt32LE(36) === 1 ? "disk" : "os",
    base: Number(page.readBigUInt64LE(40)),
    created: Number(page.readBigUInt64LE(48)),
    size: Number(page.readBigUInt64LE(56)),
    sparse: page.readUInt32LE(12) === 1,
  };
}
