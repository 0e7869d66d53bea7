import type { Random } from '../../harness/random.ts';
import { checkListAppend } from '../checkers/list-append.ts';
import type { ListStep } from '../checkers/list-history.ts';
import { checkSessions } from '../checkers/session.ts';
import type { Operation, Statement } from '../client.ts';
import type { RequestWorkload } from './workload.ts';

const KEYS = Array.from({ length: 6 }, (_, index) => `k${index}`);

/** Transactions that append to lists and read them; some of one key alone, which take the path without coordination. */
export function listAppend(): RequestWorkload<ListStep> {
  let values = 0;
  return {
    name: 'list-append',
    interactive: true,
    setUp: [
      [{ sql: "CREATE TABLE lists (k TEXT PRIMARY KEY, v TEXT NOT NULL DEFAULT '')" }],
      KEYS.map((key) => ({ sql: 'INSERT INTO lists (k) VALUES (?)', args: [key] })),
    ],
    schemaChanges: ['ALTER TABLE lists ADD COLUMN w INTEGER', 'CREATE INDEX lists_v ON lists (v)'],
    next: (random) => {
      const keys = random.chance(0.4)
        ? [random.pick(KEYS)]
        : [random.pick(KEYS), random.pick(KEYS), random.pick(KEYS)];
      return operation(keys.map((key) => step(random, key, () => ++values)));
    },
    final: () => operation(KEYS.map((key) => ({ kind: 'read', key, values: null }))),
    check: (history) => [...checkListAppend(history), ...checkSessions(history)],
  };
}

function step(random: Random, key: string, value: () => number): ListStep {
  return random.chance(0.5) ? { kind: 'append', key, value: value() } : { kind: 'read', key, values: null };
}

function operation(steps: readonly ListStep[]): Operation<ListStep> {
  const statements = steps.map(
    (each): Statement =>
      each.kind === 'append'
        ? { sql: "UPDATE lists SET v = v || ',' || ? WHERE k = ?", args: [String(each.value), each.key] }
        : { sql: 'SELECT v FROM lists WHERE k = ?', args: [each.key] },
  );
  const [only] = statements;
  const alone = statements.length === 1 && only !== undefined;
  return {
    path: alone ? '/v1/query' : '/v1/batch',
    body: alone ? { ...only } : { statements },
    steps: (results) =>
      steps.map((each, index) =>
        each.kind === 'append' || results === null ? each : { ...each, values: listOf(results[index]) },
      ),
  };
}

function listOf(rows: unknown[][] | undefined): number[] {
  return String(rows?.[0]?.[0] ?? '')
    .split(',')
    .filter((text) => text !== '')
    .map(Number);
}
