/**
 * Makes a log of a backup, or of the folder of a closed log, up to a position or a time. It is another log from then on, with an id
 * of its own: what one of them says later, the other does not know. The id is in every checksum, so each frame is checked
 * and sealed again on the way.
 */
import { randomBytes } from "node:crypto";
import { corruptError, LogError } from "../../errors.js";
import { Pace } from "../../pace.js";
import type { Restored, RestoreOptions } from "../../types.js";
import type { Follower } from "../loglet.js";
import { type BackupFacts, readBackup } from "./backup.js";
import { Checkpoints, readCheckpoint } from "./checkpoints.js";
import { CopyFolder } from "./copy.js";
import type { Disk } from "./disk.js";
import { examine } from "./examine.js";
import type { Findings, SegmentFound } from "./findings.js";
import { frameHead, sealFrame, frameSeed } from "./frame.js";
import { headerBytes, type SegmentHeader } from "./header.js";
import { walk } from "./salvage.js";
import { createSegment, SegmentDraft } from "./segment.js";
import { closeSource, openSource, sourceBytes } from "./source.js";
import { EntryTable } from "./table.js";

const writeBytes = 1 << 20;

export async function restoreLog(
  disk: Disk,
  from: string,
  to: string,
  follower: Follower,
  { at, ...options }: RestoreOptions,
): Promise<Restored> {
  const source = openSource(disk, from);
  try {
    const facts = readBackup(disk, from, disk.list(from));
    const pace = new Pace(sourceBytes(disk, source), options);
    const folder = CopyFolder.begin(disk, to);
    try {
      const id = randomBytes(16).toString("hex");
      const writer = new SegmentWriter(disk, to, id, pace);
      const keep =
        at === undefined
          ? () => true
          : "seqnum" in at
            ? (position: number) => position <= at.seqnum
            : (_position: number, time: number) => time <= at.time;
      const found = await examine(disk, source, follower, pace, { keep, each: (segment) => writer.write(segment) });
      refuse(from, found, facts, at);
      writer.end();
      const checkpoints = new Checkpoints(disk, to, id);
      for (const { path, position, file } of found.whole) {
        const state = position <= found.position ? readCheckpoint(disk, file, path, found.logId, position) : undefined;
        if (state !== undefined) await checkpoints.write(position, [state]);
      }
      pace.check();
      folder.finish();
      pace.end();
      return { records: follower.records, id, position: found.position };
    } catch (error) {
      folder.discard();
      throw error;
    }
  } finally {
    closeSource(disk, source);
  }
}

/** Throws where what was found is not what was asked for. */
function refuse(from: string, found: Findings, facts: BackupFacts | undefined, at: RestoreOptions["at"]): void {
  const { start, startTime, position, damage, cut, missing } = found;
  const wanted = at === undefined ? "" : "seqnum" in at ? `position ${at.seqnum}` : `time ${at.time}`;
  const unknown = (why: string): LogError =>
    new LogError("LOG_TRIMMED", `how the log in ${from} was at ${wanted} is not known any more: ${why}`, {
      trimPoint: start,
    });
  if (at !== undefined && start > 0) {
    const isBefore = "seqnum" in at ? at.seqnum < start : at.time < startTime;
    if (isBefore)
      throw unknown(
        `the oldest state that is kept is that at position ${start}, at time ${startTime}; restore at that or later`,
      );
    if (cut && missing > 0)
      throw unknown(`records of then were trimmed later, and their room was given back; restore at a later position`);
  }
  // Tables are made anew.
  const [first, ...others] = damage.filter(({ harmless }) => !harmless);
  if (first !== undefined) {
    const more = others.length > 0 ? ` (and ${others.length} more)` : "";
    throw corruptError(first.file, first.offset, `${first.what}${more}`);
  }
  if (facts !== undefined && found.logId !== facts.id)
    throw corruptError(from, 0, `its files are of log ${found.logId}, and its backup.json says log ${facts.id}`);
  if (facts !== undefined && !cut && position !== facts.position)
    throw corruptError(from, 0, `it ends at position ${position}, and its backup.json says ${facts.position}`);
  if (at !== undefined && "seqnum" in at && at.seqnum > position)
    throw new RangeError(`the log in ${from} ends at position ${position}; it cannot be restored at ${at.seqnum}`);
}

/** Writes segments again as those of another log. */
class SegmentWriter {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #id: string;
  readonly #pace: Pace;
  /** The last segment is one that takes no appends: positions in it have gaps. */
  #sealed: { readonly header: SegmentHeader; readonly next: number } | undefined;

  constructor(disk: Disk, folder: string, id: string, pace: Pace) {
    this.#disk = disk;
    this.#folder = folder;
    this.#id = id;
    this.#pace = pace;
  }

  async write(segment: SegmentFound): Promise<void> {
    const { bytes, end, next, isLast, isCut } = segment;
    const header = { ...segment.header, logId: this.#id };
    const seed = frameSeed(header.logId, header.number);
    const table = new EntryTable(header.sparse);
    for (const part of walk({ ...segment, to: end })) {
      if (part.kind === "hole") return;
      const { kind, offset, size, position, time, batch, left } = part;
      sealFrame(bytes, offset, size - frameHead, position, time, batch, left, seed);
      if (kind === "entry") table.add(position - header.base, offset);
    }
    const draft = new SegmentDraft(this.#disk, this.#folder, header);
    for (let at = headerBytes; at < end; at += writeBytes) {
      draft.write(bytes.subarray(at, Math.min(end, at + writeBytes)));
      try {
        await this.#pace.turn();
      } catch (error) {
        draft.discard();
        throw error;
      }
    }
    const written = draft.finish();
    written.found(table, end, next);
    if (!isLast && !isCut) written.seal(this.#disk);
    written.close(this.#disk);
    this.#sealed = header.sparse ? { header, next } : undefined;
  }

  end(): void {
    if (this.#sealed === undefined) return;
    const { header, next } = this.#sealed;
    const last = createSegment(this.#disk, this.#folder, {
      ...header,
      number: header.number + 1,
      base: next,
      sparse: false,
    });
    last.close(this.#disk);
  }
}
