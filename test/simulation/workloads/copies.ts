import type { Random } from '../../harness/random.ts';
import { nameOf, type Transaction, type Violation } from '../checkers/history.ts';
import { checkLinearizable, type RegisterStep } from '../checkers/linearizable.ts';
import { checkVisits, type VisitStep } from '../checkers/visits.ts';
import type { Operation, Statement } from '../client.ts';
import { rebuild } from './rebuild.ts';
import { SCHEMA_PAUSES_MS, type Workload } from './workload.ts';

/** Until the register is another one: as in registers.ts, and fewer, for the outcome of many a write is not known. */
const OPERATIONS = 30;
const PLACES = Array.from({ length: 4 }, (_, index) => `place ${index}`);

type Step = RegisterStep | VisitStep;

/** Rows of a reference table, each a register, that are read where the copies are: beside rows of some partition. */
export function copies(): Workload<Step> {
  let operations = 0;
  return {
    name: 'copies',
    interactive: true,
    decisive: ['freeze', 'freezes', 'feed', 'feed', 'thaw', 'prepare', 'prepare', 'prepare'],
    setUp: [
      [{ sql: 'CREATE TABLE codes (k TEXT PRIMARY KEY, v INTEGER NOT NULL) REFERENCE' }],
      [{ sql: 'CREATE TABLE places (p TEXT PRIMARY KEY, n INTEGER NOT NULL)' }],
      PLACES.map((place) => ({ sql: 'INSERT INTO places VALUES (?, 0)', args: [place] })),
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: [
      rebuild('codes', 'k TEXT PRIMARY KEY, v INTEGER NOT NULL', 'k, v'),
      rebuild('places', 'p TEXT PRIMARY KEY, n INTEGER NOT NULL', 'p, n'),
      'ALTER TABLE places ADD COLUMN note TEXT',
      'ALTER TABLE codes ADD COLUMN note TEXT',
    ],
    next: (random) => {
      const number = ++operations;
      const key = `k${Math.floor(number / OPERATIONS)}`;
      const what = random.next();
      if (what < 0.1) return write(key, number);
      if (what < 0.2) return writeBeside(key, number, random);
      if (what < 0.75) return readAt(key, random);
      if (what < 0.9) return readWithWrites(key, random);
      return readAll(random.chance(0.5), key);
    },
    final: () => readAll(true, null),
    check: (history) => checkCopies(history),
  };
}

function checkCopies(history: readonly Transaction<Step>[]): Violation<string>[] {
  const single = history.flatMap((each) =>
    each.steps.flatMap((step) => (step.kind === 'visit' ? [] : [{ ...each, steps: [step] }])),
  );
  const { outcome, messages } = checkLinearizable(single);
  const visits = history.map((each) => ({ ...each, steps: each.steps.filter(isOfVisits) }));
  return [
    ...(outcome === 'linearizable' ? [] : messages.map((message) => ({ anomaly: outcome, message }))),
    ...checkVisits(visits),
    ...history.flatMap(checkOwn),
  ];
}

/** Whoever has written a register reads that afterwards. */
function checkOwn(by: Transaction<Step>): Violation<string>[] {
  const written = by.steps.find((step) => step.kind === 'write');
  if (written === undefined || by.outcome !== 'ok') return [];
  return by.steps.flatMap((step) =>
    step.kind !== 'read' || step.value === written.value
      ? []
      : [{ anomaly: 'own', message: `${nameOf(by)} wrote ${written.value} and read ${step.value}` }],
  );
}

function isOfVisits(step: Step): step is VisitStep {
  return step.kind === 'visit' || step.kind === 'write';
}

const WRITE = 'INSERT INTO codes (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v';

function write(key: string, value: number): Operation<Step> {
  return {
    path: '/v1/query',
    body: { sql: WRITE, args: [key, value] },
    steps: () => [{ kind: 'write', key, value }],
  };
}

const AT = 'SELECT c.v, p.n FROM places AS p LEFT JOIN codes AS c ON c.k = ? WHERE p.p = ?';

function readAt(key: string, random: Random): Operation<Step> {
  const place = random.pick(PLACES);
  return {
    path: '/v1/query',
    body: { sql: AT, args: [key, place] },
    steps: (results) => seenAt(key, place, results?.[0]?.[0]),
  };
}

/** Beside rows of some partitions, of which those that come after are joined with it. */
function writeBeside(key: string, value: number, random: Random): Operation<Step> {
  const place = random.pick(PLACES);
  const statements: Statement[] = [
    { sql: WRITE, args: [key, value] },
    { sql: 'UPDATE places SET n = n + 1 WHERE p = ? RETURNING n', args: [place] },
    ...(random.chance(0.5) ? [{ sql: AT, args: [key, random.pick(PLACES)] }] : []),
    ...(random.chance(0.3)
      ? [{ sql: 'UPDATE places SET n = n + 1 WHERE p = ?', args: [random.pick(PLACES)] }]
      : []),
  ];
  return {
    path: '/v1/batch',
    body: { statements },
    steps: (results) => [
      { kind: 'write', key, value },
      ...visitOf(results?.[1]?.[0], { place, key, value }),
      ...statements.flatMap((statement, at) =>
        statement.sql === AT ? seenAt(key, String(statement.args?.[1]), results?.[at]?.[0]) : [],
      ),
    ],
  };
}

/** `row`: the count of the place, with the visitor itself. */
function visitOf(
  row: readonly unknown[] | undefined,
  seen: { readonly place: string; readonly key: string; readonly value: number },
): Step[] {
  return row === undefined ? [] : [{ kind: 'visit', ...seen, count: Number(row[0]), counts: true }];
}

/** In a transaction over partitions: it must not have read a copy that was old when it committed. */
function readWithWrites(key: string, random: Random): Operation<Step> {
  const [one, other] = [random.pick(PLACES), random.pick(PLACES)];
  const statements = [
    { sql: 'UPDATE places SET n = n + 1 WHERE p = ? RETURNING n', args: [one] },
    { sql: AT, args: [key, other] },
  ];
  return {
    path: '/v1/batch',
    body: { statements },
    steps: (results) => {
      const there = results?.[1]?.[0];
      const visit = { place: one, count: Number(results?.[0]?.[0]?.[0]), counts: true };
      return [
        ...seenAt(key, other, there),
        ...(there === undefined
          ? []
          : [{ kind: 'visit', key, value: numberOf(there[0]), ...visit } as const]),
      ];
    },
  };
}

/** `row`: of {@link AT}. */
function seenAt(key: string, place: string, row: readonly unknown[] | undefined): Step[] {
  const value = numberOf(row?.[0]);
  if (row === undefined) return [{ kind: 'read', key, value }];
  return [
    { kind: 'read', key, value },
    { kind: 'visit', place, count: Number(row[1]), counts: false, key, value },
  ];
}

/** Where the table itself is; or beside all places. */
function readAll(alone: boolean, key: string | null): Operation<Step> {
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
