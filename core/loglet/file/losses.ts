/** What a repair cannot bring back: it is taken out of the state, and said in sentences. */
import { basename } from "node:path";
import type { Follower, Position } from "../loglet.js";
import type { Findings } from "./findings.js";

/** A follower whose state can be made to fit what is left. */
export interface RepairFollower extends Follower {
  /** The record at a position is gone: reads pass over it, conditions still see it. */
  lose(position: Position): void;
  /** Conditions that ask about tags of which nobody knows whether they were at or below a position are refused. */
  raiseHorizons(position: Position): void;
  /** The state, as one of `position`. */
  dump(position: Position): Iterable<Uint8Array>;
}

/** `last`: the last position that was given out; `lastPath`: the file that ends before it. `isLess`: something is gone. */
export function takeLosses(
  found: Findings,
  last: Position,
  lastPath: string,
  follower: RepairFollower,
): { readonly lost: readonly string[]; readonly isLess: boolean } {
  const { start, released, position } = found;
  const lost: string[] = [];
  const ranges = new Map<string, string[]>();
  const tell = (path: string, from: Position, to: Position): void => {
    const known = ranges.get(path) ?? [];
    if (known.length === 0) ranges.set(path, known);
    known.push(from === to ? String(from) : `${from} to ${to}`);
  };
  const blind = released && start === 0;
  let unseen = 0;
  let unknown = 0;
  for (const { from, to, path } of found.gaps) {
    for (let at = from; at <= Math.min(to, start); at++) {
      if (!follower.isNeeded(at)) continue;
      const first = at;
      for (; at <= Math.min(to, start) && follower.isNeeded(at); at++) follower.lose(at);
      tell(path, first, at - 1);
      unseen = at - 1;
    }
    if (to <= start) continue;
    unknown = to;
    if (!blind) tell(path, Math.max(from, start + 1), to);
  }
  if (last > position) {
    tell(lastPath, position + 1, last);
    if (last > start) unknown = last;
  }
  for (const [path, positions] of ranges) {
    const what = positions.length === 1 && !positions[0]!.includes(" ") ? "position" : "positions";
    lost.push(`${basename(path)}: what was at ${what} ${positions.join(", ")} is lost.`);
  }
  if (blind && unknown > 0) {
    lost.push(
      `No checkpoint holds, so of the positions up to ${unknown} that are not there nobody knows which were trimmed away and which are lost; records that were trimmed may be there again.`,
    );
  }
  if (unseen > 0)
    lost.push("Conditions still see the lost records that a checkpoint covers: they are decided as before.");
  if (unknown > 0) {
    follower.raiseHorizons(unknown);
    lost.push(
      `Which tags were at the positions up to ${unknown} that are not there cannot be known. A condition on a tag that is not known now is refused when its "after" is from 1 to ${unknown - 1}; with 0 it passes. A condition on a tag of which a record is left is decided by the newest one that is left, and an append that was refused because of a lost record may be there now.`,
    );
  }
  if (found.isCutOff)
    lost.push(
      `${basename(lastPath)} was followed by others, which are missing; nobody knows how much was in them, and positions from ${last + 1} on are given out again.`,
    );
  return { lost, isLess: ranges.size > 0 || unknown > 0 };
}
