import type { Transaction, Violation } from '../checkers/history.ts';
import { checkLinearizable, type RegisterStep } from '../checkers/linearizable.ts';
import type { Operation } from '../client.ts';
import { AGO_MS, SCHEMA_PAUSES_MS, type Workload } from './workload.ts';

/** Keys at a time; and operations until they are others: whoever checks them must try all orders of what is unknown. */
const KEYS = 3;
const OPERATIONS = 60;

/** Registers, each of one partition, that are read, written, and written where they have a certain value. */
export function registers(): Workload<RegisterStep> {
  let operations = 0;
  /** What a key was last known to have: what is compared with should often be there. */
  const known = new Map<string, number>();
  return {
    name: 'registers',
    interactive: true,
    decisive: ['execute'],
    setUp: [[{ sql: 'CREATE TABLE registers (k TEXT PRIMARY KEY, v INTEGER NOT NULL)' }]],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: [
      'ALTER TABLE registers ADD COLUMN note TEXT',
      'CREATE INDEX registers_v ON registers (v)',
    ],
    next: (random) => {
      const number = ++operations;
      const key = `k${Math.floor(number / OPERATIONS) * KEYS + random.below(KEYS)}`;
      const what = random.next();
      if (what < 0.35) return read(key, known);
      if (what < 0.4) return readAll();
      if (what < 0.5) return readPast(random.pick(AGO_MS));
      if (what < 0.65) return write(key, number, known);
      return compareAndSet(key, random.chance(0.8) ? known.get(key) : number - 1, number, known);
    },
    final: readAll,
    check: (history) => checkRegisters(history),
  };
}

/** A read of several is strong: each of its registers was so at one moment of it, and by itself at any. */
function checkRegisters(history: readonly Transaction<RegisterStep>[]): Violation<string>[] {
  const single = history.flatMap((each) => each.steps.map((step) => ({ ...each, steps: [step] })));
  const { outcome, messages } = checkLinearizable(single);
  return outcome === 'linearizable' ? [] : messages.map((message) => ({ anomaly: outcome, message }));
}

type Known = Map<string, number>;

function read(key: string, known: Known): Operation<RegisterStep> {
  return {
    path: '/v1/query',
    body: { sql: 'SELECT v FROM registers WHERE k = ?', args: [key] },
    steps: (results) => {
      const value = numberOf(results?.[0]?.[0]?.[0]);
      if (value !== null) known.set(key, value);
      return [{ kind: 'read', key, value }];
    },
  };
}

/** Keys that are not there are not shown, and so not judged. */
function readAll(): Operation<RegisterStep> {
  return {
    path: '/v1/query',
    body: { sql: 'SELECT k, v FROM registers' },
    steps: (results) =>
      (results?.[0] ?? []).map(([k, v]) => ({ kind: 'read', key: String(k), value: numberOf(v) })),
  };
}

/** Judged when it is read again. */
function readPast(agoMs: number): Operation<RegisterStep> {
  return { ...readAll(), agoMs, steps: () => [] };
}

function write(key: string, value: number, known: Known): Operation<RegisterStep> {
  return {
    path: '/v1/query',
    body: {
      sql: 'INSERT INTO registers (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v',
      args: [key, value],
    },
    steps: (results) => {
      if (results !== null) known.set(key, value);
      return [{ kind: 'write', key, value }];
    },
  };
}

/** `expected` undefined: nothing. */
function compareAndSet(
  key: string,
  expected: number | undefined,
  value: number,
  known: Known,
): Operation<RegisterStep> {
  const [sql, args] =
    expected === undefined
      ? ['INSERT INTO registers (k, v) VALUES (?, ?) ON CONFLICT (k) DO NOTHING RETURNING v', [key, value]]
      : ['UPDATE registers SET v = ? WHERE k = ? AND v = ? RETURNING v', [value, key, expected]];
  return {
    path: '/v1/query',
    body: { sql, args },
    steps: (results) => {
      const swapped = (results?.[0] ?? []).length > 0;
      if (swapped) known.set(key, value);
      return [{ kind: 'compare-and-set', key, expected: expected ?? null, value, swapped }];
    },
  };
}

function numberOf(value: unknown): number | null {
  return value === undefined || value === null ? null : Number(value);
}
