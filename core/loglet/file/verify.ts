/** Looks at every byte of a log that means something, and lists all that is not as it was written. */
import { Pace } from "../../pace.js";
import type { LongOptions, Verified } from "../../types.js";
import type { Follower } from "../loglet.js";
import type { Disk } from "./disk.js";
import { examine } from "./examine.js";
import type { ExamineOptions } from "./findings.js";
import { type LogSource, sourceBytes } from "./source.js";

export async function verifySource(
  disk: Disk,
  source: LogSource,
  follower: Follower,
  options: LongOptions,
  examineOptions: ExamineOptions = {},
): Promise<Verified> {
  const bytes = sourceBytes(disk, source);
  const pace = new Pace(bytes, options);
  const { damage, torn, missing } = await examine(disk, source, follower, pace, examineOptions);
  pace.end();
  return { ok: damage.every(({ harmless }) => harmless), records: follower.records - missing, bytes, damage, torn };
}
