/**
 * The states in checkpoints, against the one that the entries lead to: with which of them to begin, and whether the others say the
 * same when their positions come.
 */
import type { Pace } from "../../pace.js";
import type { Follower, Position } from "../loglet.js";
import { readCheckpoint } from "./checkpoints.js";
import type { Disk } from "./disk.js";
import type { ExamineOptions, Report } from "./findings.js";
import type { CheckpointSource, LogSource } from "./source.js";

interface State {
  readonly what: string;
  readonly path: string;
  readonly position: Position;
  read(): Buffer | undefined;
}

export class StoredStates {
  /** Checkpoints that hold. */
  readonly whole: CheckpointSource[] = [];
  /** Still to compare with, ascending. */
  #left: State[] = [];
  readonly #disk: Disk;
  readonly #source: LogSource;
  readonly #follower: Follower;
  readonly #report: Report;

  constructor(disk: Disk, source: LogSource, follower: Follower, report: Report) {
    this.#disk = disk;
    this.#source = source;
    this.#follower = follower;
    this.#report = report;
  }

  /**
   * Finds out which checkpoints hold, and loads the state to begin with: the oldest if entries were given back, the newest if asked
   * for. Gives its position, or 0 for none.
   */
  async begin(logId: string, released: boolean, pace: Pace, options: ExamineOptions): Promise<Position> {
    const states = await this.#readAll(logId, pace);
    const newest = options.start === "newest";
    let start = 0;
    while ((released || newest) && start === 0 && states.length > 0) {
      const first = newest ? states.pop()! : states.shift()!;
      try {
        this.#follower.load(first.read()!, first.position);
        start = first.position;
      } catch (error) {
        this.#report(first.path, 0, first.position, `its state cannot be read: ${(error as Error).message}`);
      }
    }
    const path = this.#source.folder;
    const others = (options.states ?? []).map(({ what, position, state }) => ({
      what,
      position,
      path,
      read: () => state,
    }));
    this.#left = newest ? [] : [...states, ...others].filter(({ position }) => position > start);
    return start;
  }

  async #readAll(logId: string, pace: Pace): Promise<State[]> {
    const states: State[] = [];
    for (const checkpoint of this.#source.checkpoints) {
      const { path, position, file } = checkpoint;
      const read = (): Buffer | undefined => readCheckpoint(this.#disk, file, path, logId, position);
      try {
        if (read() === undefined) this.#report(path, 0, position, "the checkpoint does not match its checksum");
        else {
          states.push({ what: "the checkpoint", path, position, read });
          this.whole.push(checkpoint);
        }
      } catch (error) {
        this.#report(path, 0, position, (error as Error).message);
      }
      await pace.add(this.#disk.size(file));
    }
    return states;
  }

  /** Those that lie before a position, which is applied next. */
  before(position: Position): State[] {
    const end = this.#left.findIndex((state) => state.position >= position);
    return this.#left.splice(0, end < 0 ? this.#left.length : end);
  }

  /** Says in what a state differs from the follower's, which is of the same position. */
  compare(state: State): void {
    try {
      for (const what of this.#follower.compare(state.read()!, state.position))
        this.#report(state.path, 0, state.position, `${state.what} says something else than the records: ${what}`);
    } catch (error) {
      this.#report(state.path, 0, state.position, `its state cannot be read: ${(error as Error).message}`);
    }
  }
}
