import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Epoch, PartitionId } from '../../../src/base/brand.ts';
import { exportPage } from '../../../src/core/replica/export.ts';
import { applyFeed } from '../../../src/core/replica/feed.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { EMPTY_CATALOGUE } from '../../../src/core/schema/catalogue.ts';
import { planSchemaChange } from '../../../src/core/schema/plan-change.ts';
import { selectExact } from '../../../src/core/sqlite/exact.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import type { ExportPageHead } from '../../../src/protocol/export.ts';
import { arbitraryLiteral } from '../log/arbitrary-value.ts';

const NOW = Date.UTC(2026, 10, 20);
/** SQLite's own text of each table, with the columns that a dump must give back and how their rows are ordered. */
const TABLES = {
  plain: { sql: 'CREATE TABLE plain (k PRIMARY KEY, v)', columns: ['k', 'v'], order: 'k' },
  numbered: { sql: 'CREATE TABLE numbered (id INTEGER PRIMARY KEY, v)', columns: ['id', 'v'], order: 'id' },
  keyless: { sql: 'CREATE TABLE keyless (v, w)', columns: ['rowid', 'v', 'w'], order: 'rowid' },
  packed: {
    sql: 'CREATE TABLE packed (a, v, b, PRIMARY KEY (b DESC, a)) WITHOUT ROWID',
    columns: ['a', 'v', 'b'],
    order: 'b, a',
  },
  derived: {
    sql: 'CREATE TABLE derived ("the key" PRIMARY KEY, d AS (v || 1), v, s AS (v) STORED)',
    columns: ['"the key"', 'd', 'v', 's'],
    order: '"the key"',
  },
};
type Name = keyof typeof TABLES;

function open(): { port: NodeSqlitePort; replica: Replica } {
  const port = new NodeSqlitePort(':memory:', { synchronous: 'OFF' });
  const replica = Replica.create(port, {
    database: 'main',
    partition: 1 as PartitionId,
    history: 'h',
    node: 'p1',
    epoch: 1 as Epoch,
    ranges: [{ start: 0, end: 2 ** 32 }],
    identifiers: { start: 1, end: 2 ** 53 },
  });
  const ddl = Object.values(TABLES).map(({ sql }) => sql);
  const change = planSchemaChange(new NodeSqlitePort(':memory:'), EMPTY_CATALOGUE, ddl, NOW);
  applyFeed(replica, { from: 0, entries: [{ index: 1, kind: 'schema', proposal: 1, change }] }, NOW);
  return { port, replica };
}

function pages(replica: Replica, table: Name): { statements: string; count: number }[] {
  const all: { statements: string; count: number }[] = [];
  let after: string | null = null;
  do {
    const request = { epoch: 1 as Epoch, schema: replica.schema.version, system: 1, table, after };
    const outcome = exportPage(replica, request);
    if (outcome.kind !== 'done') throw new Error(outcome.kind);
    const end = outcome.body.indexOf('\n');
    const head = JSON.parse(outcome.body.slice(0, end)) as ExportPageHead;
    all.push({ statements: outcome.body.slice(end + 1), count: head.rowCount });
    after = head.next;
  } while (after !== null);
  return all;
}

function loaded(table: Name, statements: string): NodeSqlitePort {
  const port = new NodeSqlitePort(':memory:', { restricted: false });
  port.query(TABLES[table].sql);
  if (statements !== '') port.query(statements);
  return port;
}

const rowsOf = (port: NodeSqlitePort, table: Name) =>
  selectExact(port, TABLES[table].columns, `FROM ${table} ORDER BY ${TABLES[table].order}`);

test('property: what is loaded equals what was exported, every value', () => {
  const cells = fc.array(fc.tuple(arbitraryLiteral, arbitraryLiteral, arbitraryLiteral), { maxLength: 12 });
  fc.assert(
    fc.property(cells, (rows) => {
      const { port, replica } = open();
      for (const [a, b, c] of rows) {
        port.query(`INSERT OR IGNORE INTO plain VALUES (${a}, ${b})`);
        port.query(`INSERT INTO numbered (v) VALUES (${a})`);
        port.query(`INSERT INTO keyless VALUES (${a}, ${b})`);
        port.query(`INSERT OR IGNORE INTO packed VALUES (${a}, ${b}, ${c})`);
        port.query(`INSERT OR IGNORE INTO derived ("the key", v) VALUES (${a}, ${b})`);
      }
      for (const table of Object.keys(TABLES) as Name[]) {
        const copy = loaded(
          table,
          pages(replica, table)
            .map(({ statements }) => statements)
            .join(''),
        );
        expect(rowsOf(copy, table)).toEqual(rowsOf(port, table));
        copy.close();
      }
      port.close();
    }),
    { numRuns: 60 },
  );
});

test('many rows come page by page, each once, whatever their key', () => {
  const { port, replica } = open();
  const many = 'WITH RECURSIVE n(i) AS (SELECT -1200 UNION ALL SELECT i + 1 FROM n WHERE i < 1300)';
  port.query(`INSERT INTO numbered ${many} SELECT i * 3, 'text ' || i FROM n`);
  port.query(
    `INSERT INTO packed ${many} SELECT CASE i % 3 WHEN 0 THEN i WHEN 1 THEN i || '' ELSE i + 0.5 END, i, i % 2 FROM n`,
  );
  port.query(`INSERT INTO keyless ${many} SELECT i, NULL FROM n`);
  for (const table of ['numbered', 'packed', 'keyless'] as const) {
    const all = pages(replica, table);
    expect(all.map(({ count }) => count)).toEqual([1000, 1000, 501]);
    expect(rowsOf(loaded(table, all.map(({ statements }) => statements).join('')), table)).toEqual(
      rowsOf(port, table),
    );
  }
});

test('large values make small pages, of one row at least', () => {
  const { port, replica } = open();
  port.query(
    "INSERT INTO numbered VALUES (1, 'small'), (2, zeroblob(1000000)), (3, zeroblob(1000000)), (4, 'small')",
  );
  expect(pages(replica, 'numbered').map(({ count }) => count)).toEqual([1, 1, 1, 1]);
});

test('a table that is gone is said so, and another schema', () => {
  const { replica } = open();
  const request = {
    epoch: 1 as Epoch,
    schema: replica.schema.version,
    system: 1,
    table: 'none',
    after: null,
  };
  expect(exportPage(replica, request)).toMatchObject({ kind: 'error', error: { code: 'no-such-table' } });
  expect(exportPage(replica, { ...request, schema: 0 as never })).toMatchObject({ kind: 'stale' });
});
