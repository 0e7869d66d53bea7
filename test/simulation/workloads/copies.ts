import type { Random } from '../../harness/random.ts';
import type { Transaction, Violation } from '../checkers/history.ts';
import { checkLinearizable, type RegisterStep } from '../checkers/linearizable.ts';
import type { Operation } from '../client.ts';
import { SCHEMA_PAUSES_MS, type Workload } from './workload.ts';

/** Until the register is another one: as in registers.ts, and fewer, for the outcome of many a write is not known. */
const OPERATIONS = 30;
const PLACES = Array.from({ length: 8 }, (_, index) => `place ${index}`);

/** Rows of a reference table, each a register, that are read where the copies are: beside rows of some partition. */
export function copies(): Workload<RegisterStep> {
  let operations = 0;
  return {
    name: 'copies',
    interactive: false,
    setUp: [
      [{ sql: 'CREATE TABLE codes (k TEXT PRIMARY KEY, v INTEGER NOT NULL) REFERENCE' }],
      [{ sql: 'CREATE TABLE places (p TEXT PRIMARY KEY, n INTEGER NOT NULL)' }],
      PLACES.map((place) => ({ sql: 'INSERT INTO places VALUES (?, 0)', args: [place] })),
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: ['ALTER TABLE places ADD COLUMN note TEXT', 'ALTER TABLE codes ADD COLUMN note TEXT'],
    next: (random) => {
      const number = ++operations;
      const key = `k${Math.floor(number / OPERATIONS)}`;
      const what = random.next();
      if (what < 0.15) return write(key, number);
      if (what < 0.75) return readAt(key, random);
      if (what < 0.9) return readWithWrites(key, random);
      return readAll(random.chance(0.5), key);
    },
    final: () => readAll(true, null),
    check: (history) => checkCopies(history),
  };
}

function checkCopies(history: readonly Transaction<RegisterStep>[]): Violation<string>[] {
  const single = history.flatMap((each) => each.steps.map((step) => ({ ...each, steps: [step] })));
  const { outcome, messages } = checkLinearizable(single);
  return outcome === 'linearizable' ? [] : messages.map((message) => ({ anomaly: outcome, message }));
}

function write(key: string, value: number): Operation<RegisterStep> {
  return {
    path: '/v1/query',
    body: {
      sql: 'INSERT INTO codes (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v',
      args: [key, value],
    },
    steps: () => [{ kind: 'write', key, value }],
  };
}

const AT = 'SELECT c.v FROM places AS p LEFT JOIN codes AS c ON c.k = ? WHERE p.p = ?';

function readAt(key: string, random: Random): Operation<RegisterStep> {
  return {
    path: '/v1/query',
    body: { sql: AT, args: [key, random.pick(PLACES)] },
    steps: (results) => [{ kind: 'read', key, value: numberOf(results?.[0]?.[0]?.[0]) }],
  };
}

/** In a transaction over partitions: it must not have read a copy that was old when it committed. */
function readWithWrites(key: string, random: Random): Operation<RegisterStep> {
  const [one, other] = [random.pick(PLACES), random.pick(PLACES)];
  const statements = [
    { sql: 'UPDATE places SET n = n + 1 WHERE p = ?', args: [one] },
    { sql: AT, args: [key, other] },
  ];
  return {
    path: '/v1/batch',
    body: { statements },
    steps: (results) => [{ kind: 'read', key, value: numberOf(results?.[1]?.[0]?.[0]) }],
  };
}

/** Where the table itself is; or beside all places. */
function readAll(alone: boolean, key: string | null): Operation<RegisterStep> {
  const sql = `SELECT c.k, c.v FROM codes AS c ${alone ? '' : ', places AS p'} WHERE c.k = coalesce(?, c.k)`;
  return {
    path: '/v1/query',
    body: { sql, args: [key] },
    steps: (results) =>
      (results?.[0] ?? []).map(([k, v]) => ({ kind: 'read', key: String(k), value: numberOf(v) })),
  };
}

function numberOf(value: unknown): number | null {
  return value === undefined || value === null ? null : Number(value);
}
