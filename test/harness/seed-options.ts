import type { Command } from 'commander';
import { integer } from '../../src/cli/options.ts';

/** Seeds, and whatever is counted with them, are whole numbers up to here (chosen). */
export const SEED_MAX = 2 ** 31;

export interface SeedOptions {
  readonly seeds: number;
  readonly from: number;
}

/** `--seeds` and `--from`: of every script that runs one seed after another. */
export function withSeeds(command: Command, seeds: number): Command {
  return command
    .allowExcessArguments(false)
    .option('--seeds <n>', 'how many seeds', integer(1, SEED_MAX), seeds)
    .option('--from <seed>', 'the first of them', integer(0, SEED_MAX), 1);
}
