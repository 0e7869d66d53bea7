import { COVERAGE, type Coverage } from './coverage.ts';
import type { Mutant } from './mutants.ts';
import { Simulation } from './simulation.ts';

/** Events in one run at the edge (chosen: tenths of a second, several schema changes); others come between. */
export const STEPS = 120;

export interface Report {
  readonly hash: string;
  readonly coverage: Coverage;
}

export interface RunOptions {
  readonly steps?: number;
  /** A planted defect. */
  readonly mutant?: Mutant | null;
  /** How many of the last events a failure tells. */
  readonly events?: number;
}

/** One seed. @throws with the seed, how to run it again, and what led there */
export function runSeed(
  seed: number,
  { steps = STEPS, mutant = null, events = 60 }: RunOptions = {},
): Report {
  const simulation = new Simulation(seed, mutant);
  try {
    const hash = simulation.run(steps);
    return { hash, coverage: simulation.coverage };
  } catch (error) {
    const story = simulation.lastEvents(events).join('\n  ');
    throw new Error(
      `seed ${seed}: ${error instanceof Error ? error.message : String(error)}\n  again: npm run simulate -- --seeds 1 --from ${seed}\n  ${story}`,
      { cause: error },
    );
  }
}

export function add(total: Coverage, one: Coverage): void {
  for (const name of COVERAGE) total[name] += one[name];
}

export function noCoverage(): Coverage {
  return Object.fromEntries(COVERAGE.map((name) => [name, 0])) as Coverage;
}

/** What no seed has met: then the run has shown less than it claims. */
export function missing(total: Coverage): string[] {
  return COVERAGE.filter((name) => total[name] === 0);
}

/** What the first of these seeds says that fails with the planted defect; null: none does. */
export function findMutant(mutant: Mutant, from: number, count: number): string | null {
  for (let seed = from; seed < from + count; seed++) {
    try {
      runSeed(seed, { mutant });
    } catch (error) {
      return (error as Error).message.split('\n')[0] ?? '';
    }
  }
  return null;
}
