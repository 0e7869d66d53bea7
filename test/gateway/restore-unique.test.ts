import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';
import { restore, tablesOf } from './restoring.ts';

let source: TestCluster;
let target: TestCluster;

beforeAll(async () => {
  [source, target] = await Promise.all([
    TestCluster.start({ partitions: 3 }),
    TestCluster.start({ partitions: 2 }),
  ]);
});
afterAll(() => Promise.all([source.dispose(), target.dispose()]));

test('a value that is there twice is found, wherever its rows go, and nothing is left', async () => {
  const rows = (emails: readonly string[]) =>
    emails.map((email, index) => `INSERT INTO users VALUES('o${index}','${email}',1);`).join('\n');
  const emails = Array.from({ length: 60 }, (_, index) => `e${index}@example.com`);
  for (const unique of ['UNIQUE', '']) {
    const dump = (text: string) =>
      `BEGIN;\nCREATE TABLE users(owner TEXT PRIMARY KEY, email TEXT ${unique}, n);\n${text}\n` +
      `${unique === '' ? 'CREATE UNIQUE INDEX emails ON users (email);' : ''}\nCOMMIT;\n`;
    const twice = await restore(target, dump(rows([...emails, 'e7@example.com'])));
    expect([twice.status, twice.json.error?.code, twice.json.error?.outcome]).toEqual([
      409,
      'constraint',
      'none',
    ]);
    expect(twice.json.error.message).toContain('UNIQUE constraint failed: users.email');
    expect(await tablesOf(target)).toEqual([]);
  }
});

test('foreign keys over partitions go along, and are looked at when all rows are in', async () => {
  for (const sql of [
    'CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant TEXT, up INTEGER REFERENCES posts) PARTITION BY (tenant)',
    'CREATE UNIQUE INDEX tenants ON posts (tenant)',
    'CREATE INDEX ups ON posts (up)',
    'CREATE TABLE places (place TEXT PRIMARY KEY, tenant TEXT REFERENCES posts (tenant)) PARTITION BY (place)',
    `CREATE TABLE notes (id TEXT PRIMARY KEY, -- a note
       post INT REFERENCES posts ON DELETE CASCADE, UNIQUE (id, post)) PARTITION BY (id)`,
  ])
    await source.query(sql);
  const ids: unknown[] = [];
  for (let i = 0; i < 12; i++) {
    const [[id] = []] = await source.rows('INSERT INTO posts (tenant, up) VALUES (?, ?) RETURNING id', [
      `t${i}`,
      ids.at(-1) ?? null,
    ]);
    ids.push(id);
    await source.query('INSERT INTO notes VALUES (?, ?)', [`n${i}`, i % 5 === 0 ? null : id]);
  }
  await source.query("INSERT INTO places VALUES ('p', 't4')");
  const { text } = await source.get('/v1/export');
  const plain = new DatabaseSync(':memory:');
  plain.exec(text);
  expect(
    plain.prepare('SELECT "table", "from", "to", on_delete FROM pragma_foreign_key_list(\'notes\')').all(),
  ).toEqual([{ table: 'posts', from: 'post', to: 'id', on_delete: 'CASCADE' }]);
  expect(plain.prepare('PRAGMA foreign_key_check').all()).toEqual([]);
  const orphan = await restore(target, text.replace(`'n7',${ids[7]}`, "'n7',77"));
  expect([orphan.status, orphan.json.error?.code, orphan.json.error?.outcome]).toEqual([
    409,
    'constraint',
    'none',
  ]);
  expect(orphan.json.error.message).toContain('FOREIGN KEY of notes: a row has no parent in posts');
  expect(await tablesOf(target)).toEqual([]);
  expect(await restore(target, text)).toMatchObject({ status: 200, json: { rows: 25 } });
  const again = await target.get('/v1/export');
  const definitions = (dump: string) =>
    dump.split('\n').filter((line) => /CREATE|FOREIGN|PARTITION/.test(line));
  expect(definitions(again.text)).toEqual(definitions(text));
  const [last] = ids.slice(-1);
  expect(
    await target.post('/v1/query', { sql: 'DELETE FROM posts WHERE id = ?', args: [ids[3]] }),
  ).toMatchObject({
    status: 409,
  });
  await target.query('DELETE FROM posts WHERE id = ?', [last]);
  expect(await target.rows("SELECT count(*) FROM notes WHERE id = 'n11'")).toEqual([[0]]);
  const { json } = await target.get('/v1/schema');
  const notes = json.tables.find(({ name }: { name: string }) => name === 'notes');
  expect(notes.foreignKeys).toMatchObject([{ columns: ['post'], parent: 'posts', onDelete: 'CASCADE' }]);
  for (const cluster of [source, target])
    for (const table of ['notes', 'places', 'posts']) await cluster.query(`DROP TABLE ${table}`);
});

test('a dump brings its values along: they are taken in the new cluster', async () => {
  await source.query(
    'CREATE TABLE users (owner TEXT PRIMARY KEY, email TEXT UNIQUE COLLATE NOCASE, n INTEGER)',
  );
  await source.query('CREATE UNIQUE INDEX numbers ON users (n)');
  for (let i = 0; i < 40; i++)
    await source.query('INSERT INTO users VALUES (?1, ?1, ?2)', [`o${i}`, i % 4 === 0 ? null : i]);
  const { text } = await source.get('/v1/export');
  expect(text).not.toContain('_atoll_');
  const restored = await restore(target, text);
  expect([restored.status, restored.json.rows]).toEqual([200, 40]);
  expect(await tablesOf(target)).toEqual(['users']);
  for (const [email, n] of [
    ['O7', null],
    ['new', 9],
    ['O20', 100],
  ]) {
    const { status, json } = await target.post('/v1/query', {
      sql: "INSERT INTO users VALUES ('new', ?, ?)",
      args: [email, n],
    });
    expect([email, status, json.error?.code]).toEqual([email, 409, 'constraint']);
  }
  await target.query("DELETE FROM users WHERE owner = 'o7'");
  await target.query("INSERT INTO users VALUES ('new', 'o7', 7)");
  expect(await target.rows('SELECT count(*) FROM users')).toEqual([[40]]);
});
