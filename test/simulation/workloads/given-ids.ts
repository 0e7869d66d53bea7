import type { Random } from '../../harness/random.ts';
import type { History } from '../checkers/history.ts';
import { checkUnique, type UniqueStep } from '../checkers/unique.ts';
import type { Operation } from '../client.ts';
import { rebuild } from './rebuild.ts';
import { type RequestWorkload, SCHEMA_PAUSES_MS } from './workload.ts';

const TENANTS = Array.from({ length: 6 }, (_, index) => `tenant ${index}`);
/** Ids that are given without looking at what others have. */
const FEW = 6;
/** Generated or given lately: partitions generate beside them. */
const RECENT = 8;
/** Above a recent id (chosen: within what a partition sets aside, and a little beyond). */
const ABOVE = [0, 0, 1, 1, 2, 3, 64, 66];

/** Posts whose ids are generated, or given: out of few, and of those that others have or are about to generate. They move between tenants, and go. */
export function givenIds(): RequestWorkload<UniqueStep> {
  let posts = 0;
  const recent: number[] = [];
  const seen = (id: number): void => {
    recent.unshift(id);
    recent.length = Math.min(recent.length, RECENT);
  };
  const anId = (random: Random): number => {
    if (recent.length === 0 || random.chance(0.3)) return 1 + random.below(FEW);
    return random.pick(recent) + random.pick(ABOVE);
  };
  const more = () => ++posts;
  return {
    name: 'given-ids',
    interactive: true,
    setUp: [
      [
        {
          sql: 'CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, post INTEGER NOT NULL) PARTITION BY (tenant)',
        },
      ],
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: [
      rebuild(
        'posts',
        'tenant TEXT NOT NULL, id INTEGER PRIMARY KEY, post INTEGER NOT NULL',
        'id, tenant, post',
      ),
      'CREATE INDEX posts_post ON posts (post)',
      'ALTER TABLE posts ADD COLUMN note TEXT',
    ],
    next: (random) => {
      const what = random.next();
      if (what < 0.3 || posts === 0) return generate(random, more, seen);
      if (what < 0.5) return give(random, more, anId, seen);
      if (what < 0.6) return unlessThere(random, more(), anId(random));
      if (what < 0.7) return leave(1 + random.below(posts));
      if (what < 0.85) return move(anId(random), random.pick(TENANTS));
      return readAll();
    },
    final: readAll,
    check: (history) => checkUnique(withIds(history)),
  };
}

/** One post, or two of different tenants in a transaction over partitions. */
function generate(random: Random, more: () => number, seen: (id: number) => void): Operation<UniqueStep> {
  const sql = 'INSERT INTO posts (tenant, post) VALUES (?, ?) RETURNING id';
  const rows = Array.from({ length: random.pick([1, 1, 2, 3]) }, more);
  return {
    path: '/v1/batch',
    body: { statements: rows.map((row) => ({ sql, args: [random.pick(TENANTS), row] })) },
    steps: (results) =>
      rows.map((row, at) => {
        const id = results?.[at]?.[0]?.[0];
        if (typeof id === 'number') seen(id);
        return { kind: 'insert', row, value: typeof id === 'number' ? id : null };
      }),
  };
}

function give(
  random: Random,
  more: () => number,
  anId: (random: Random) => number,
  seen: (id: number) => void,
): Operation<UniqueStep> {
  const given = Array.from({ length: random.pick([1, 1, 2, 3]) }, () => {
    return { row: more(), value: anId(random), tenant: random.pick(TENANTS) };
  });
  const args = given.flatMap(({ row, value, tenant }) => [value, tenant, row]);
  const sql = `INSERT INTO posts (id, tenant, post) VALUES ${given.map(() => '(?, ?, ?)').join(', ')}`;
  return {
    path: '/v1/query',
    body: { sql, args },
    steps: (results) => {
      if (results !== null) for (const { value } of given) seen(value);
      return given.map(({ row, value }) => ({ kind: 'insert', row, value }));
    },
  };
}

/** A row that has the id is left as it is, or is written once more, wherever it is; its post is answered. */
function unlessThere(random: Random, row: number, value: number): Operation<UniqueStep> {
  const clause = random.pick(['DO NOTHING', 'DO UPDATE SET post = posts.post']);
  return {
    path: '/v1/query',
    body: {
      sql: `INSERT INTO posts (id, tenant, post) VALUES (?, ?, ?) ON CONFLICT (id) ${clause} RETURNING post`,
      args: [value, random.pick(TENANTS), row],
    },
    steps: (results) => {
      const isThere = results !== null && results[0]?.[0]?.[0] !== row;
      return isThere ? [] : [{ kind: 'insert', row, value }];
    },
  };
}

function leave(row: number): Operation<UniqueStep> {
  return {
    path: '/v1/query',
    body: { sql: 'DELETE FROM posts WHERE post = ?', args: [row] },
    steps: () => [{ kind: 'delete', row }],
  };
}

/** A row keeps its id wherever it goes. */
function move(id: number, tenant: string): Operation<UniqueStep> {
  return {
    path: '/v1/query',
    body: { sql: 'UPDATE posts SET tenant = ? WHERE id = ?', args: [tenant, id] },
    steps: () => [],
  };
}

function readAll(): Operation<UniqueStep> {
  return {
    path: '/v1/query',
    body: { sql: 'SELECT post, id FROM posts' },
    steps: (results) => {
      const rows = (results?.[0] ?? []).map(([row, value]) => ({ row: Number(row), value: Number(value) }));
      return [{ kind: 'read-all', isStrong: true, rows }];
    },
  };
}

/** Where the answer to an insert was lost, the id that was generated is the one that the row was first seen with. */
function withIds(history: History<UniqueStep>): History<UniqueStep> {
  const ids = new Map<unknown, unknown>();
  for (const { steps } of history)
    for (const step of steps)
      if (step.kind === 'read-all')
        for (const { row, value } of step.rows) if (!ids.has(row)) ids.set(row, value);
  return history.map(({ steps, ...rest }) => ({
    ...rest,
    steps: steps.map((step) =>
      step.kind === 'insert' && step.value === null
        ? { ...step, value: (ids.get(step.row) as number | undefined) ?? null }
        : step,
    ),
  }));
}
