/** What a suite is to the harness. */
import type { RatioOf, Sample, Task } from "./measure.js";

export interface Suite {
  readonly name: string;
  /** Of the rates that the picture shows, such as "records/s". */
  readonly unit: string;
  /** What is measured, in a line under the table. */
  readonly about: string;
  run(run: SuiteRun): Promise<Plan>;
}

export interface SuiteRun {
  /** All within 60 s, on less. */
  readonly quick: boolean;
  /** On the disk that is measured; emptied before and after. */
  readonly folder: string;
  readonly random: () => number;
  readonly say: (line: string) => void;
  /** A system that is not to be had here. */
  readonly skip: (system: string, why: string) => void;
}

export interface Plan {
  readonly tasks: readonly Task[];
  readonly ratios: readonly RatioOf[];
  readonly rounds: number;
  /** After all rounds: stops what was started, measures what needs no rounds. */
  end(): Promise<readonly Sample[]>;
}
