import type { Random } from '../../harness/random.ts';
import { checkFractured, FIRST, type FracturedStep } from '../checkers/fractured.ts';
import type { Operation } from '../client.ts';
import type { RequestWorkload } from './workload.ts';

/** Rows of several partitions, which are written together; and one, which its partition writes by itself. */
const SETS: Readonly<Record<string, readonly string[]>> = { three: ['a', 'b', 'c'], one: ['d'] };
/** Its partition decides, and would find all others' odd value in its own row. */
const WITHOUT_RIVAL = 'a';

/**
 * An index comes and goes that allows even values only, since beside each row there is one that counts as odd: it may not be made while there
 * is an odd value, on its way in what is prepared, or to come before the index is everywhere.
 */
export function barrier(): RequestWorkload<FracturedStep> {
  let writes = 0;
  const odd = new Set<string>();
  const sets = Object.keys(SETS);
  return {
    name: 'barrier',
    interactive: true,
    decisive: ['schema-check', 'schema-check', 'feed', 'transaction-ends'],
    // Faults keep schema changes from being made.
    calm: 0.6,
    mayBeTold: ['stale'],
    setUp: Object.entries(SETS).flatMap(([set, keys]) => [
      [
        {
          sql: `CREATE TABLE ${set} (k TEXT, n INTEGER, v INTEGER, odd INTEGER, PRIMARY KEY (k, n)) PARTITION BY (k)`,
        },
      ],
      keys.map((key) => ({ sql: `INSERT INTO ${set} VALUES (?, 1, ?, 0)`, args: [key, FIRST] })),
      keys
        .filter((key) => key !== WITHOUT_RIVAL)
        .map((key) => ({ sql: `INSERT INTO ${set} VALUES (?, 2, NULL, 1)`, args: [key] })),
    ]),
    schemaPausesMs: [15, 50],
    schemaChanges: Array.from({ length: 20 }, () => [
      sets.map((set) => `CREATE UNIQUE INDEX ${set}_odd ON ${set} (k, odd)`),
      sets.map((set) => `DROP INDEX ${set}_odd`),
    ]).flat(),
    next: (random) => {
      const set = random.pick(sets);
      if (random.chance(0.1)) return read(set);
      // An odd value is followed by an even one soon: else no index would ever be made.
      const isOdd = !odd.delete(set) && random.chance(0.7);
      if (isOdd) odd.add(set);
      return write(random, set, 2 * ++writes + (isOdd ? 1 : 0));
    },
    final: () => read('three'),
    check: checkFractured,
  };
}

function write(random: Random, set: string, value: number): Operation<FracturedStep> {
  const keys = SETS[set] ?? [];
  const steps: Operation<FracturedStep>['steps'] = () => [{ kind: 'write', set, value }];
  const sql = `UPDATE ${set} SET v = ?1, odd = ?1 % 2 WHERE n = 1`;
  if (random.chance(0.2)) return { path: '/v1/query', body: { sql, args: [value] }, steps };
  const statements = keys.map((key) => ({ sql: `${sql} AND k = ?2`, args: [value, key] }));
  return { path: '/v1/batch', body: { statements }, steps };
}

function read(set: string): Operation<FracturedStep> {
  const rows = SETS[set]?.length ?? 0;
  return {
    path: '/v1/query',
    body: { sql: `SELECT v FROM ${set} WHERE n = 1` },
    steps: (results) => {
      if (results === null) return [];
      const values = (results[0] ?? []).map(([value]) => Number(value));
      return [{ kind: 'read', set, rows, values, isStrong: true }];
    },
  };
}
