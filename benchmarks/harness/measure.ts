/** What suites measure, and how rounds become medians and ratios. */

/** One figure of one system in one round. */
export interface Sample {
  readonly case: string;
  readonly system: string;
  readonly metric: string;
  readonly unit: string;
  readonly value: number;
}

export interface Result {
  readonly case: string;
  readonly system: string;
  readonly metric: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

export interface Ratio {
  readonly value: number;
  readonly min: number;
  readonly max: number;
}

/** One thing to run once a round. */
export interface Task {
  readonly name: string;
  run(round: number): Promise<readonly Sample[]>;
}

/** A ratio of two figures, taken within each round. */
export interface RatioOf {
  readonly name: string;
  readonly of: Key;
  readonly to: Key;
  /** What is taken of the two where it is no ratio. */
  readonly by?: (of: number, to: number) => number;
}

export type Key = readonly [caseName: string, system: string, metric: string];

/** All samples, by round. */
export class Measurements {
  readonly #rounds: Map<string, Sample>[] = [];

  add(round: number, samples: readonly Sample[]): void {
    const found = (this.#rounds[round] ??= new Map());
    for (const sample of samples) found.set(keyOf([sample.case, sample.system, sample.metric]), sample);
  }

  results(): Result[] {
    const groups = new Map<string, Sample[]>();
    for (const round of this.#rounds) {
      for (const [key, sample] of round) groups.set(key, [...(groups.get(key) ?? []), sample]);
    }
    return [...groups.values()].map((samples) => {
      const { case: name, system, metric, unit } = samples[0]!;
      const values = samples.map((sample) => sample.value);
      return { case: name, system, metric, unit, ...spread(values), runs: values.length };
    });
  }

  /** Pairs within a round, so that a change of the machine's speed between rounds does not count. */
  ratios(wanted: readonly RatioOf[]): Record<string, Ratio> {
    const ratios: Record<string, Ratio> = {};
    for (const { name, of, to, by = quotient } of wanted) {
      const values = this.#rounds.flatMap((round) => {
        const [above, below] = [round.get(keyOf(of)), round.get(keyOf(to))];
        return above === undefined || below === undefined || below.value === 0 ? [] : [by(above.value, below.value)];
      });
      if (values.length === 0) continue;
      const { median, min, max } = spread(values);
      ratios[name] = { value: median, min, max };
    }
    return ratios;
  }
}

const quotient = (of: number, to: number): number => of / to;

function keyOf(key: Key): string {
  return key.join("|");
}

export function spread(values: readonly number[]): { median: number; min: number; max: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Runs every task once a round, beginning with another one each time, so that none always runs first. */
export async function alternate(
  tasks: readonly Task[],
  rounds: number,
  into: Measurements,
  say: (line: string) => void,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < tasks.length; i++) {
      const task = tasks[(i + round) % tasks.length]!;
      say(`round ${round + 1} of ${rounds}: ${task.name}`);
      into.add(round, await task.run(round));
    }
  }
}
