import type { Random } from '../../harness/random.ts';
import { checkWriteSkew, type WriteSkewStep } from '../checkers/write-skew.ts';
import type { Operation, Program } from '../client.ts';
import { SCHEMA_PAUSES_MS, type Workload } from './workload.ts';

const SHARDS = ['a', 'b', 'c', 'd', 'e'];
/** Attempts at a group, before the next one is begun. */
const RIVALS = 5;

/** An integer overflow, which ends the transaction, if there is a row. */
const REFUSE = 'abs(CASE WHEN count(*) > 0 THEN -9223372036854775807 - 1 ELSE 0 END)';

/**
 * Who inserts a row into a group has looked before whether anybody else has, in any partition: one of each group may
 * commit. What is looked at is not written: only whoever keeps what was read from changing excludes the others.
 */
export function writeSkew(): Workload<WriteSkewStep> {
  let rows = 0;
  return {
    name: 'write-skew',
    interactive: false,
    setUp: [
      [
        {
          sql: 'CREATE TABLE guards (shard TEXT, number INTEGER, grp INTEGER NOT NULL, PRIMARY KEY (shard, number)) PARTITION BY (shard)',
        },
      ],
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: [
      'CREATE INDEX guards_grp ON guards (grp)',
      'ALTER TABLE guards ADD COLUMN note TEXT',
      'CREATE UNIQUE INDEX guards_shard_grp ON guards (shard, grp)',
    ],
    next: (random) => {
      if (random.chance(0.2)) return readAll(random);
      const number = ++rows;
      const group = Math.floor(number / RIVALS);
      if (random.chance(0.5)) return guardedBatch(random, group, number);
      return random.chance(0.5) ? guardedProgram(random, group, number) : savedProgram(random, group, number);
    },
    final: () => readAll(null),
    check: checkWriteSkew,
  };
}

const INSERT = 'INSERT INTO guards (shard, number, grp) VALUES (?, ?, ?)';

function insertion(group: number, row: number): WriteSkewStep {
  return { kind: 'guarded-insert', group, row };
}

/** Looks at all shards one by one, and inserts; in any order. */
function guardedBatch(random: Random, group: number, number: number): Operation<WriteSkewStep> {
  const guards = SHARDS.map((shard) => ({
    sql: `SELECT ${REFUSE} FROM guards WHERE shard = ? AND grp = ?`,
    args: [shard, group],
  }));
  const insert = { sql: INSERT, args: [random.pick(SHARDS), number, group] };
  return {
    path: '/v1/batch',
    body: { statements: [...guards, insert] },
    steps: () => [insertion(group, number)],
  };
}

/** One look over all partitions: also at rows that are not there yet. */
function guardedProgram(random: Random, group: number, number: number): Program<WriteSkewStep> {
  const shard = random.pick(SHARDS);
  const steps = [insertion(group, number)];
  return {
    steps,
    run: async (ask) => {
      const [[count] = []] = await ask('SELECT count(*) FROM guards WHERE grp = ?', group);
      if (Number(count) > 0) return { commit: false, steps };
      await ask(INSERT, shard, number, group);
      return { commit: true, steps };
    },
  };
}

/** Inserts first and looks then, and takes back one of two; what was taken back must never be there. */
function savedProgram(random: Random, group: number, number: number): Program<WriteSkewStep> {
  const [shard, other] = [random.pick(SHARDS), random.pick(SHARDS)];
  const steps = [insertion(group, number)];
  return {
    steps,
    run: async (ask) => {
      await ask('SAVEPOINT one');
      await ask(INSERT, other, -number, group);
      await ask('ROLLBACK TO one');
      await ask(INSERT, shard, number, group);
      await ask('RELEASE one');
      const found = await ask('SELECT number FROM guards WHERE grp = ?', group);
      return { commit: found.length === 1, steps };
    },
  };
}

function readAll(random: Random | null): Operation<WriteSkewStep> {
  const sql = 'SELECT grp, number FROM guards';
  const alone = random?.chance(0.7) === true;
  return {
    path: alone ? '/v1/query' : '/v1/batch',
    body: alone ? { sql } : { statements: [{ sql }] },
    steps: (results) => {
      const rows = (results?.[0] ?? []).map(([group, row]) => ({ group: Number(group), row: Number(row) }));
      return [{ kind: 'read-all', isStrong: true, rows }];
    },
  };
}
