import type { Random } from '../../harness/random.ts';
import { checkUnique, type UniqueStep } from '../checkers/unique.ts';
import type { Operation } from '../client.ts';
import { rebuild } from './rebuild.ts';
import { type RequestWorkload, SCHEMA_PAUSES_MS } from './workload.ts';

const TENANTS = ['a', 'b', 'c', 'd', 'e'];
const EMAILS = 6;

/** Users of many tenants want few names, which are unique over all of them; they also leave, and move to other tenants. */
export function unique(): RequestWorkload<UniqueStep> {
  let inserted = 0;
  return {
    name: 'unique',
    interactive: true,
    setUp: [
      [
        {
          sql: 'CREATE TABLE users (number INTEGER, tenant TEXT NOT NULL, email TEXT UNIQUE, met INTEGER DEFAULT 0, PRIMARY KEY (tenant, number)) PARTITION BY (tenant)',
        },
      ],
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: [
      rebuild(
        'users',
        'number INTEGER, tenant TEXT NOT NULL, met INTEGER DEFAULT 0, email TEXT UNIQUE, PRIMARY KEY (tenant, number)',
        'number, email, tenant, met',
      ),
      'CREATE UNIQUE INDEX users_number ON users (number)',
      'ALTER TABLE users ADD COLUMN note TEXT',
    ],
    next: (random) => {
      const what = random.next();
      if (what < 0.3 || inserted === 0) return insert(random, ++inserted);
      if (what < 0.4) return upsert(random, ++inserted);
      if (what < 0.5) return upsertTwo(random, ++inserted, ++inserted);
      const row = 1 + random.below(inserted);
      if (what < 0.7) return leave(row);
      if (what < 0.85) return move(row, random.pick(TENANTS));
      return readAll();
    },
    final: readAll,
    check: checkUnique,
  };
}

function insert(random: Random, row: number): Operation<UniqueStep> {
  const value = `user ${random.below(EMAILS)}`;
  const sql = 'INSERT INTO users (number, tenant, email) VALUES (?, ?, ?)';
  return {
    path: '/v1/query',
    body: { sql, args: [row, random.pick(TENANTS), value] },
    steps: () => [{ kind: 'insert', row, value }],
  };
}

/** A row that is not there already: the answer says which one has the value now. */
function upsert(random: Random, row: number): Operation<UniqueStep> {
  const value = `user ${random.below(EMAILS)}`;
  const clause = random.pick(['DO NOTHING', '(email) DO NOTHING', '(email) DO UPDATE SET met = met + 1']);
  const sql = `INSERT INTO users (number, tenant, email) VALUES (?, ?, ?) ON CONFLICT ${clause} RETURNING number`;
  return {
    path: '/v1/query',
    body: { sql, args: [row, random.pick(TENANTS), value] },
    steps: (results) => {
      const inserted = results === null || results[0]?.some(([number]) => Number(number) === row) === true;
      return inserted ? [{ kind: 'insert', row, value }] : [];
    },
  };
}

/** In one batch; of one tenant, where they may be about the same user. */
function upsertTwo(random: Random, ...rows: readonly number[]): Operation<UniqueStep> {
  const tenant = random.pick(TENANTS);
  const users = rows.map((row) => ({ row, value: `user ${random.below(EMAILS)}` }));
  const clause = random.pick(['(email) DO NOTHING', '(email) DO UPDATE SET met = met + 1']);
  const sql = `INSERT INTO users (number, tenant, email) VALUES (?, ?, ?) ON CONFLICT ${clause} RETURNING number`;
  return {
    path: '/v1/batch',
    body: { statements: users.map(({ row, value }) => ({ sql, args: [row, tenant, value] })) },
    steps: (results) =>
      users.flatMap(({ row, value }, i): UniqueStep[] => {
        const inserted = results === null || results[i]?.some(([number]) => Number(number) === row) === true;
        return inserted ? [{ kind: 'insert', row, value }] : [];
      }),
  };
}

function leave(row: number): Operation<UniqueStep> {
  return {
    path: '/v1/query',
    body: { sql: 'DELETE FROM users WHERE number = ?', args: [row] },
    steps: () => [{ kind: 'delete', row }],
  };
}

/** Rows stay what they are, wherever they are. */
function move(row: number, tenant: string): Operation<UniqueStep> {
  return {
    path: '/v1/query',
    body: { sql: 'UPDATE users SET tenant = ? WHERE number = ?', args: [tenant, row] },
    steps: () => [],
  };
}

function readAll(): Operation<UniqueStep> {
  return {
    path: '/v1/query',
    body: { sql: 'SELECT number, email FROM users' },
    steps: (results) => {
      const [rows = []] = results ?? [];
      const found = rows.map(([row, value]) => ({ row: Number(row), value: String(value) }));
      return [{ kind: 'read-all', isStrong: true, rows: found }];
    },
  };
}
