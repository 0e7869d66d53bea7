import type { Client } from '../../src/client/index.ts';

/** What a fixture's cluster has been through, in order; a later Atoll must find all of it. */
export async function writeStory(client: Client): Promise<void> {
  const run = (sql: string, args: unknown[] = []) => client.query(sql, args as never);
  await run('CREATE TABLE countries (code TEXT PRIMARY KEY, name TEXT) REFERENCE');
  await run(
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, body, size REAL) PARTITION BY (tenant)',
  );
  await run('CREATE INDEX notes_by_tenant ON notes (tenant, size)');
  await run(
    'CREATE TABLE tags (tenant TEXT, tag TEXT COLLATE NOCASE, PRIMARY KEY (tenant, tag)) WITHOUT ROWID',
  );
  await run('ALTER TABLE tags PARTITION BY (tenant)');
  await run(`INSERT INTO countries VALUES ('DE', 'Germany'), ('JP', '日本')`);
  const bodies = [
    null,
    7,
    2n ** 62n,
    1.5,
    Number.POSITIVE_INFINITY,
    'text 𝄞',
    '',
    new Uint8Array([0, 255, 128]),
  ];
  for (const [index, body] of bodies.entries()) {
    await run('INSERT INTO notes (tenant, body, size) VALUES (?, ?, ?)', [
      `tenant ${index % 5}`,
      body,
      index / 2,
    ]);
    await run('INSERT INTO tags VALUES (?, ?)', [`tenant ${index % 5}`, `Tag ${index}`]);
  }
  await run('ALTER TABLE notes ADD COLUMN seen INTEGER DEFAULT 0');
  await run('UPDATE notes SET seen = 1 WHERE tenant = ?', ['tenant 1']);
  await run('DELETE FROM tags WHERE tenant = ? AND tag = ?', ['tenant 2', 'tag 2']);
  await run(`UPDATE countries SET name = 'Nippon' WHERE code = 'JP'`);
}

/** Questions whose answers are kept beside the fixture. */
export const QUESTIONS = [
  'SELECT * FROM countries ORDER BY code',
  'SELECT * FROM notes ORDER BY tenant, size',
  'SELECT tenant, count(*), sum(size), total(seen) FROM notes GROUP BY tenant ORDER BY tenant',
  'SELECT * FROM tags ORDER BY tenant, tag',
  "SELECT * FROM notes WHERE tenant = 'tenant 1' ORDER BY id",
] as const;
