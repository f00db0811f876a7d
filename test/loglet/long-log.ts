/** A log of many small segments, with and without entries given back, and everything that a reader can see of it. */
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Session } from "../../core/log.js";
import type { Disk } from "../../core/loglet/file/disk.js";
import { realDisk } from "../../core/loglet/file/real-disk.js";
import type { LogBook } from "../../core/types.js";
import { openOn } from "./on-disk.js";

export const smallSegments = { min: 8192, max: 8192 };
export const payload = (i: number): string => `record ${i} ${"#".repeat(100 + (i % 7))}`;

/** Appends records `from` to `from + count - 1`, numbered by their payload, ten at a time; some are refused. Gives their seqnums. */
export async function append(book: LogBook, from: number, count: number): Promise<number[]> {
  const seqnums: number[] = [];
  for (let i = from; i < from + count; i += 10) {
    const results = await book.appendAll(
      Array.from({ length: Math.min(10, from + count - i) }, (_, n) => ({
        data: Buffer.from(payload(i + n)),
        tags: ["all", `nr-${i + n}`, `mod-${(i + n) % 5}`],
      })),
    );
    for (const result of results) if (result.ok) seqnums.push(result.seqnum);
    await book.append(Buffer.from("refused"), { tags: ["all"], unless: [{ tag: "all", after: 0 }] });
  }
  return seqnums;
}

/** Of 1,000 records in two books; `released`: half of one is trimmed and its room given back. */
export async function longLog(
  folder: string,
  options: { readonly released?: boolean; readonly closed?: boolean; readonly disk?: Disk } = {},
): Promise<Session> {
  const { released = false, closed = true, disk = realDisk } = options;
  const log = await openOn(folder, { segmentSizes: smallSegments, disk });
  const a = log.book("a");
  const b = log.book("b");
  await append(a, 0, 400);
  await append(b, 0, 100);
  if (released) {
    await a.trim({ upTo: 200 });
    // Every other record of a stretch, so that it is written again with gaps.
    for (let i = 200; i < 260; i++) {
      if (i % 4 === 0) continue;
      const record = (await a.readNext({ tag: `nr-${i}` }))!;
      for (const tag of [`nr-${i}`]) await a.trim({ tag, upTo: record.seqnum });
    }
  }
  await log.engine.checkpoint();
  await append(a, 400, 300);
  if (released) await a.trim({ upTo: 300 });
  await log.engine.checkpoint();
  await append(b, 100, 200);
  if (closed) await log.close();
  return log;
}

/** All that reads give, of both books and by every tag. */
export async function contents(log: Session): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const name of ["a", "b"]) {
    const book = log.book(name);
    for (const tag of [undefined, "all", "mod-0", "mod-1", "mod-2", "mod-3", "mod-4"])
      for await (const { seqnum, time, tags, data } of book.read({ tag }))
        found.push([name, tag, seqnum, time, tags.join(" "), Buffer.from(data).toString()]);
  }
  return found;
}

/** Every file with its bytes, without the lock. */
export function files(folder: string): Map<string, string> {
  const names = readdirSync(folder).filter((name) => !name.startsWith(".lock"));
  return new Map(names.map((name) => [name, readFileSync(join(folder, name)).toString("base64")]));
}

export function flip(path: string, at: number): void {
  const file = openSync(path, "r+");
  const byte = readFileSync(path)[at]! ^ 4;
  writeSync(file, Buffer.from([byte]), 0, 1, at);
  closeSync(file);
}

export function checkpointFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".ckpt"))
    .sort()
    .map((name) => join(folder, name));
}
