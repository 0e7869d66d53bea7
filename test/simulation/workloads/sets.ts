import type { Random } from '../../harness/random.ts';
import { checkFractured, FIRST, type FracturedStep } from '../checkers/fractured.ts';
import type { Operation } from '../client.ts';
import { AGO_MS, type RequestWorkload, SCHEMA_PAUSES_MS } from './workload.ts';

/** Each a table of its own: what others write hides nothing. */
const SETS = ['one', 'two', 'three'];
const ROWS = Array.from({ length: 2 }, (_, index) => index);

/** Rows of all partitions that are always written together: a read finds all of one write. */
export function sets(): RequestWorkload<FracturedStep> {
  let writes = 0;
  /** What a set was last known to have: what is compared with should often be there. */
  const known = new Map<string, number>();
  /** What was just acknowledged: to be looked for at once, while partitions are still told. */
  let fresh: string | null = null;
  const acknowledged = (set: string, value: number): void => {
    known.set(set, value);
    fresh = set;
  };
  return {
    name: 'sets',
    interactive: true,
    decisive: ['execute', 'transaction-ends', 'transaction-ends'],
    setUp: [
      ...SETS.map((set) => [{ sql: `CREATE TABLE ${set} (k TEXT PRIMARY KEY, v INTEGER NOT NULL)` }]),
      SETS.flatMap((set) =>
        ROWS.map((row) => ({ sql: `INSERT INTO ${set} VALUES (?, ?)`, args: [keyOf(set, row), FIRST] })),
      ),
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: ['ALTER TABLE one ADD COLUMN note TEXT', 'CREATE INDEX two_v ON two (v)'],
    next: (random) => {
      const look = (set: string) =>
        random.chance(0.5)
          ? readRow(set, random.pick(ROWS))
          : compare(set, random.pick(ROWS), known.get(set) ?? FIRST);
      if (fresh !== null && random.chance(0.8)) {
        const set = fresh;
        if (random.chance(0.5)) fresh = null;
        return look(set);
      }
      const set = random.pick(SETS);
      const what = random.next();
      if (what < 0.35) return write(random, set, ++writes, acknowledged);
      if (what < 0.4) return read([set]);
      if (what < 0.5) return look(set);
      return readAlone(set, random.chance(0.2) ? random.pick(AGO_MS) : null);
    },
    final: () => read(SETS),
    check: checkFractured,
  };
}

function keyOf(set: string, row: number): string {
  return `${set} ${row}`;
}

/** Row by row, or wherever rows are: by locks of keys, or of the table. */
function write(
  random: Random,
  set: string,
  value: number,
  acknowledged: (set: string, value: number) => void,
): Operation<FracturedStep> {
  const steps: Operation<FracturedStep>['steps'] = (results) => {
    if (results !== null) acknowledged(set, value);
    return [{ kind: 'write', set, value }];
  };
  if (random.chance(0.25))
    return { path: '/v1/query', body: { sql: `UPDATE ${set} SET v = ?`, args: [value] }, steps };
  const sql = `UPDATE ${set} SET v = ? WHERE k = ?`;
  const statements = ROWS.map((row) => ({ sql, args: [value, keyOf(set, row)] }));
  return { path: '/v1/batch', body: { statements }, steps };
}

/** Certified; or of the past. */
function readAlone(set: string, agoMs: number | null): Operation<FracturedStep> {
  return {
    path: '/v1/query',
    body: { sql: `SELECT v FROM ${set}` },
    ...(agoMs !== null && { agoMs }),
    steps: (results) => (results === null ? [] : [seen(set, results[0], agoMs === null)]),
  };
}

/** Where the row is, which may not know yet what was decided. */
function readRow(set: string, row: number): Operation<FracturedStep> {
  return {
    path: '/v1/query',
    body: { sql: `SELECT v FROM ${set} WHERE k = ?`, args: [keyOf(set, row)] },
    steps: (results) => (results === null ? [] : [seen(set, results[0], true, 1)]),
  };
}

/** By a write that changes nothing, and finds its row or not. */
function compare(set: string, row: number, value: number): Operation<FracturedStep> {
  const sql = `UPDATE ${set} SET v = v WHERE k = ? AND v = ? RETURNING v`;
  return {
    path: '/v1/query',
    body: { sql, args: [keyOf(set, row), value] },
    steps: (results) => {
      if (results === null) return [];
      const [rows = []] = results;
      return [rows.length > 0 ? seen(set, rows, true, 1) : { kind: 'other', set, value }];
    },
  };
}

/** Under locks. */
function read(sets: readonly string[]): Operation<FracturedStep> {
  return {
    path: '/v1/batch',
    body: { statements: sets.map((set) => ({ sql: `SELECT v FROM ${set}` })) },
    steps: (results) => (results === null ? [] : sets.map((set, index) => seen(set, results[index], true))),
  };
}

function seen(
  set: string,
  found: readonly unknown[][] = [],
  isStrong: boolean,
  rows = ROWS.length,
): FracturedStep {
  return { kind: 'read', set, rows, values: found.map(([value]) => Number(value)), isStrong };
}
