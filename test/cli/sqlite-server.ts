import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { encodeValue, real } from '../../src/client/values.ts';
import { type FakeReply, type FakeServer, failure, fakeServer } from '../client/fake-server.ts';

export const TOKEN = 'the-token';

/**
 * The API's calls over one in-memory SQLite: enough for the command line to talk to. What it knows of Atoll is the
 * shape of its replies.
 */
export async function sqliteServer(): Promise<FakeServer & { readonly database: DatabaseSync }> {
  const database = new DatabaseSync(':memory:');
  const server = await fakeServer(({ method, path, headers, body, query }) => {
    if (headers.authorization !== `Bearer ${TOKEN}`) return failure(401, { code: 'unauthorized' });
    if (path === '/v1/query') return answer(database, JSON.parse(body).sql);
    if (path === '/v1/batch') return batch(database, JSON.parse(body).statements);
    if (path.startsWith('/v1/import/')) {
      return load(database, decodeURIComponent(path.slice(11)), body, headers, Number(query.get('line')));
    }
    if (path === '/v1/export') return { body: dump(database) };
    if (path === '/v1/schema') return { body: { tables: schemaOf(database) } };
    if (path === '/v1/network' || path === '/v1/init') return { body: NETWORK };
    return failure(404, { code: 'not-found', message: `${method} ${path}` });
  });
  return { ...server, database };
}

const NETWORK = {
  database: 'main',
  version: 3,
  schemaVersion: 7,
  partitions: [
    { partition: 1, epoch: 1, status: 'write', ranges: [{ start: 0, end: 2 ** 31 }] },
    { partition: 2, epoch: 1, status: 'write', ranges: [{ start: 2 ** 31, end: 2 ** 32 }] },
  ],
};

function answer(database: DatabaseSync, sql: string): FakeReply {
  try {
    return { body: run(database, sql) };
  } catch (error) {
    return failure(400, { code: 'sql', message: (error as Error).message });
  }
}

function run(database: DatabaseSync, sql: string): string {
  const plain = sql.replace(/\)\s*(REFERENCE|PARTITION BY \([^)]*\))\s*$/i, ')');
  const statement = database.prepare(plain);
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  const columns = statement.columns().map((column) => column.name);
  const before = database.prepare('SELECT total_changes() AS n').get() as { n: number };
  const rows = statement.all() as unknown as SQLInputValue[][];
  const after = database.prepare('SELECT total_changes() AS n').get() as { n: number };
  const texts = rows.map((row) => `[${row.map((value) => encode(value)).join(',')}]`);
  return `{"columns":${JSON.stringify(columns)},"rows":[${texts.join(',')}],"rowsAffected":${after.n - before.n},"lastInsertRowid":null,"plan":{"kind":"route","partition":2,"reason":"for the test"}}`;
}

function encode(value: SQLInputValue): string {
  return encodeValue(typeof value === 'number' ? real(value) : (value as bigint | string | null));
}

function batch(database: DatabaseSync, statements: { sql: string }[]): FakeReply {
  database.exec('BEGIN');
  try {
    const results = statements.map(({ sql }) => run(database, sql));
    database.exec('COMMIT');
    return { body: `{"results":[${results.join(',')}]}` };
  } catch (error) {
    database.exec('ROLLBACK');
    return failure(409, { code: 'constraint', message: (error as Error).message });
  }
}

function load(
  database: DatabaseSync,
  table: string,
  body: string,
  headers: Record<string, unknown>,
  firstLine: number,
): FakeReply {
  const lines = body.split('\n').filter(Boolean);
  const head = headers['content-type'] === 'text/csv' ? (lines.shift()?.split(',') ?? []) : undefined;
  database.exec('BEGIN');
  for (const [index, line] of lines.entries()) {
    try {
      const row = head === undefined ? JSON.parse(line) : zip(head, line.split(','));
      const names = Object.keys(row);
      const marks = names.map(() => '?').join(',');
      database
        .prepare(`INSERT INTO "${table}" (${names.join(',')}) VALUES (${marks})`)
        .run(...(Object.values(row) as SQLInputValue[]));
    } catch (error) {
      database.exec('ROLLBACK');
      const line = firstLine + index;
      return failure(400, { code: 'payload', message: (error as Error).message, detail: { line } });
    }
  }
  database.exec('COMMIT');
  return { body: { rows: lines.length, skipped: 0 } };
}

function zip(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
}

function dump(database: DatabaseSync): string {
  const out: string[] = [];
  for (const { name, sql } of schemaOf(database)) {
    out.push(`${sql};`);
    const rows = database.prepare(`SELECT * FROM "${name}"`);
    rows.setReturnArrays(true);
    for (const row of rows.all() as unknown as SQLInputValue[][]) {
      const values = row.map((value) =>
        typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : (value ?? 'NULL'),
      );
      out.push(`INSERT INTO "${name}" VALUES (${values.join(',')});`);
    }
  }
  return `BEGIN;\n${out.join('\n')}\nCOMMIT;\n`;
}

function schemaOf(database: DatabaseSync): { name: string; sql: string; placement: unknown }[] {
  const tables = database.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table'").all();
  return (tables as { name: string; sql: string }[]).map((table) => ({
    ...table,
    placement: { kind: 'partitioned', key: ['country'] },
  }));
}
