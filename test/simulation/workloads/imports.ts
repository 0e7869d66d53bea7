import type { Random } from '../../harness/random.ts';
import { checkNoDouble, type SetStep } from '../checkers/no-double.ts';
import type { Import, Operation } from '../client.ts';
import { SCHEMA_PAUSES_MS, type Workload } from './workload.ts';

const SHARDS = Array.from({ length: 9 }, (_, index) => `s${index}`);

/** Imports, run again while their answers are lost, beside single inserts and reads. Nothing but the import id keeps a line from being there twice. */
export function imports(): Workload<SetStep> {
  let elements = 0;
  let count = 0;
  return {
    name: 'imports',
    interactive: false,
    setUp: [
      [
        {
          sql: 'CREATE TABLE items (shard TEXT, element INTEGER, id INTEGER PRIMARY KEY) PARTITION BY (shard)',
        },
      ],
      [{ sql: 'CREATE TABLE things (element INTEGER, id INTEGER PRIMARY KEY)' }],
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: [
      'CREATE INDEX items_element ON items (element)',
      'ALTER TABLE things ADD COLUMN note TEXT',
      'ALTER TABLE items ADD COLUMN note TEXT',
    ],
    next: (random) => {
      if (random.chance(0.4)) return readAll(random);
      const more = () => ++elements;
      return random.chance(0.6) ? importLines(random, `import ${++count}`, more) : insert(random, more);
    },
    final: () => readAll(null),
    check: checkNoDouble,
  };
}

function importLines(random: Random, name: string, more: () => number): Import<SetStep> {
  const added = Array.from({ length: 1 + random.below(random.pick([5, 60])) }, more);
  const [table, line] = random.chance(0.6)
    ? ['items', (element: number) => ({ shard: random.pick(SHARDS), element })]
    : ['things', (element: number) => ({ element })];
  return {
    path: `/v1/import/${table}?format=ndjson&importId=${encodeURIComponent(name)}`,
    lines: added.map((element) => `${JSON.stringify(line(element))}\n`).join(''),
    steps: added.map((element) => ({ kind: 'add', element })),
  };
}

function insert(random: Random, more: () => number): Operation<SetStep> {
  const added = Array.from({ length: 1 + random.below(3) }, more);
  const sql = 'INSERT INTO items (shard, element) VALUES (?, ?)';
  return {
    path: '/v1/batch',
    body: { statements: added.map((element) => ({ sql, args: [random.pick(SHARDS), element] })) },
    steps: () => added.map((element) => ({ kind: 'add', element })),
  };
}

function readAll(random: Random | null): Operation<SetStep> {
  const sql = 'SELECT element FROM items UNION ALL SELECT element FROM things';
  const alone = random?.chance(0.7) === true;
  return {
    path: alone ? '/v1/query' : '/v1/batch',
    body: alone ? { sql } : { statements: [{ sql }] },
    steps: (results) => [
      {
        kind: 'read-all',
        isStrong: true,
        elements: (results?.[0] ?? []).map(([element]) => Number(element)),
      },
    ],
  };
}
