import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Report } from './run.ts';

export type SeedResult =
  | { readonly seed: number; readonly report: Report }
  | { readonly seed: number; readonly error: string };

export interface Workers {
  readonly jobs: number;
  /** Of a planted defect; empty: none. */
  readonly mutant: string;
  /** Called for each seed as it ends; false: no more are begun. */
  readonly ended: (result: SeedResult) => boolean;
}

/** Runs seeds in processes of their own, each taking the next one when it has done its last. */
export async function runSeeds(seeds: readonly number[], { jobs, mutant, ended }: Workers): Promise<void> {
  const left = seeds.values();
  let going = true;
  const script = fileURLToPath(new URL('./worker-main.ts', import.meta.url));
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = fork(script, mutant === '' ? [] : [mutant]);
      const more = (): void => {
        const { value } = going ? left.next() : { value: undefined };
        if (value !== undefined) worker.send(value);
        else worker.disconnect();
      };
      worker.on('message', (result: SeedResult) => {
        if (!ended(result)) going = false;
        more();
      });
      worker.on('error', reject);
      worker.on('exit', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`a worker ended with ${code}`));
      });
      more();
    });
  await Promise.all(Array.from({ length: Math.min(jobs, seeds.length) }, work));
}
