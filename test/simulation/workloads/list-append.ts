import type { Random } from '../../harness/random.ts';
import { checkListAppend } from '../checkers/list-append.ts';
import type { ListStep } from '../checkers/list-history.ts';
import { checkSessions } from '../checkers/session.ts';
import type { Operation, Statement } from '../client.ts';
import { type RequestWorkload, SCHEMA_PAUSES_MS } from './workload.ts';

const KEYS = Array.from({ length: 6 }, (_, index) => `k${index}`);

/** `weak`: by a read that need only see what its session has seen. */
type Step = ListStep & { readonly weak?: true };

/** Transactions that append to lists and read them; some of one key alone, which take the path without coordination. */
export function listAppend(): RequestWorkload<Step> {
  let values = 0;
  return {
    name: 'list-append',
    interactive: true,
    setUp: [
      [{ sql: "CREATE TABLE lists (k TEXT PRIMARY KEY, v TEXT NOT NULL DEFAULT '')" }],
      KEYS.map((key) => ({ sql: 'INSERT INTO lists (k) VALUES (?)', args: [key] })),
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: ['ALTER TABLE lists ADD COLUMN w INTEGER', 'CREATE INDEX lists_v ON lists (v)'],
    next: (random) => {
      const keys = random.chance(0.4)
        ? [random.pick(KEYS)]
        : [random.pick(KEYS), random.pick(KEYS), random.pick(KEYS)];
      if (random.chance(0.35)) return { ...weakRead(keys[0] as string), session: true };
      return operation(keys.map((key) => step(random, key, () => ++values)));
    },
    final: () => operation(KEYS.map((key) => ({ kind: 'read', key, values: null }))),
    check: (history) => {
      const isStrong = ({ steps }: (typeof history)[number]) => !steps.some(({ weak }) => weak);
      return [...checkListAppend(history.filter(isStrong)), ...checkSessions(history)];
    },
  };
}

function step(random: Random, key: string, value: () => number): ListStep {
  return random.chance(0.5) ? { kind: 'append', key, value: value() } : { kind: 'read', key, values: null };
}

function weakRead(key: string): Operation<Step> {
  const { steps, ...rest } = operation([{ kind: 'read', key, values: null }]);
  return { ...rest, steps: (results) => steps(results).map((each) => ({ ...each, weak: true })) };
}

function operation(steps: readonly ListStep[]): Operation<Step> {
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
