import { present } from '../../../src/base/assert.ts';
import { bank } from './bank.ts';
import { barrier } from './barrier.ts';
import { copies } from './copies.ts';
import { cycle } from './cycle.ts';
import { foreign } from './foreign.ts';
import { givenIds } from './given-ids.ts';
import { imports } from './imports.ts';
import { listAppend } from './list-append.ts';
import { people } from './people.ts';
import { registers } from './registers.ts';
import { sets } from './sets.ts';
import { unique } from './unique.ts';
import type { Workload } from './workload.ts';
import { writeSkew } from './write-skew.ts';

// biome-ignore lint/suspicious/noExplicitAny: each workload has steps of its own, which only its checker reads.
export const WORKLOADS: readonly (() => Workload<any>)[] = [
  bank,
  listAppend,
  unique,
  people,
  cycle,
  writeSkew,
  registers,
  sets,
  imports,
  copies,
  () => foreign('cascade', 'index'),
  () => foreign('restrict', 'row'),
  () => foreign('cascade', 'copy'),
  () => foreign('restrict', 'copy'),
  givenIds,
  barrier,
];

/** From `from` on, those of a workload; `name` null: all. */
export function* seedsOf(from: number, name: string | null): Generator<number> {
  for (let seed = from; ; seed++) if (name === null || workloadOf(seed).name === name) yield seed;
}

/** Seeds take one after another. */
// biome-ignore lint/suspicious/noExplicitAny: as above.
export function workloadOf(seed: number): Workload<any> {
  return present(WORKLOADS[seed % WORKLOADS.length], 'a seed is a number')();
}
