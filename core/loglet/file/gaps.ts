/** Positions that are in no file: their room was given back, or they are lost. */
import type { Damage } from "../../types.js";
import type { Follower, Position } from "../loglet.js";
import type { Gap, Report } from "./findings.js";
import type { Hole } from "./salvage.js";

export class Gaps {
  readonly all: Gap[] = [];
  /** The position that comes next. */
  next: Position = 1;
  /** Something behind the first state is missing: what follows cannot be compared. */
  broken = false;
  /** The position of the first state. */
  readonly #start: Position;
  readonly #follower: Follower;
  readonly #report: Report;

  constructor(start: Position, follower: Follower, report: Report) {
    this.#start = start;
    this.#follower = follower;
    this.#report = report;
  }

  /** Positions from the next one to below `position` are not there. `told`: their damage is reported already. */
  upTo(position: Position, path: string, offset: number, told = false): void {
    if (position <= this.next) return;
    const from = this.next;
    this.all.push({ from, to: position - 1, path, offset });
    this.next = position;
    if (position - 1 <= this.#start) return;
    if (!told && !this.broken)
      this.#report(path, offset, Math.max(from, this.#start + 1), "positions that no checkpoint covers are missing");
    this.broken = true;
    this.#follower.gap();
  }

  /** Bytes that are no record. */
  hole(path: string, { offset, to, position, next }: Hole, sparse: boolean): void {
    const last = next === undefined ? undefined : next - 1;
    const range = last === undefined ? `position ${position} and what follows it` : `positions ${position} to ${last}`;
    const what =
      last === position
        ? `position ${position} does not match its checksum`
        : last !== undefined && last < position
          ? `${to - offset} bytes before position ${next} are no record`
          : to === offset
            ? `${range} are missing`
            : `${sparse ? "some of " : ""}${range} do not match their checksum`;
    this.#report(path, offset, position, what);
    if (next !== undefined) this.upTo(next, path, offset, true);
    else this.#follower.gap();
    this.broken ||= position > this.#start;
  }

  /** Positions that the state needs and no file has. */
  lookForMissing(damage: readonly Damage[]): number {
    let missing = 0;
    for (const { from, to, path, offset } of this.all) {
      for (let position = from; position <= Math.min(to, this.#start); position++) {
        if (!this.#follower.isNeeded(position)) continue;
        const first = position;
        while (position < Math.min(to, this.#start) && this.#follower.isNeeded(position + 1)) position++;
        missing += position - first + 1;
        const told = damage.some((one) => one.file === path && one.offset === offset);
        if (told) continue;
        const range = first === position ? `position ${first} is` : `positions ${first} to ${position} are`;
        this.#report(path, offset, first, `${range} missing, and not trimmed`);
      }
    }
    return missing;
  }
}
