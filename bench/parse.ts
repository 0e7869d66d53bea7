/** Prints what reading a statement costs, and what the parser adds to a bundle. `node bench/parse.ts` */
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { parseStatement } from '../src/core/sql/parse.ts';

const STATEMENTS = [
  'SELECT 1',
  'SELECT * FROM posts WHERE id = ?',
  'SELECT id, title, body, created_at FROM posts WHERE tenant_id = ?1 AND id = ?2',
  'SELECT * FROM users WHERE email = :email COLLATE NOCASE LIMIT 1',
  'SELECT p.id, p.title, u.name AS author FROM posts p JOIN users u ON u.id = p.author_id AND u.tenant_id = p.tenant_id WHERE p.tenant_id = ? ORDER BY p.created_at DESC LIMIT 20 OFFSET 40',
  'SELECT count(*) AS n, max(created_at) FROM events WHERE tenant_id = ? AND kind IN (?, ?, ?) AND created_at BETWEEN ? AND ?',
  "SELECT status, count(*) FILTER (WHERE amount > 100) AS large, sum(amount) AS total FROM orders WHERE tenant_id = ? AND created_at >= datetime('now', '-7 days') GROUP BY status HAVING sum(amount) > 0 ORDER BY total DESC",
  "SELECT id, payload ->> '$.name' AS name FROM documents WHERE json_extract(payload, '$.kind') = 'a' AND deleted_at IS NULL",
  'SELECT a.id FROM accounts a WHERE EXISTS (SELECT 1 FROM members m WHERE m.account_id = a.id AND m.user_id = ?) ORDER BY a.name',
  'WITH RECURSIVE tree(id, depth) AS (SELECT id, 0 FROM nodes WHERE parent IS NULL UNION ALL SELECT n.id, t.depth + 1 FROM nodes n JOIN tree t ON n.parent = t.id) SELECT * FROM tree ORDER BY depth, id',
  'SELECT id, row_number() OVER (PARTITION BY tenant_id ORDER BY score DESC) AS place FROM scores WHERE tenant_id = ?',
  'SELECT "users"."id", "users"."name", "users"."email" FROM "users" LEFT JOIN "sessions" ON "sessions"."user_id" = "users"."id" WHERE ("users"."tenant_id" = ? AND "sessions"."expires_at" > ?) LIMIT ?',
  'INSERT INTO posts (tenant_id, title, body) VALUES (?, ?, ?)',
  'INSERT INTO posts (tenant_id, title, body) VALUES (?, ?, ?), (?, ?, ?), (?, ?, ?) RETURNING id',
  'INSERT INTO counters (tenant_id, name, value) VALUES (?1, ?2, 1) ON CONFLICT (tenant_id, name) DO UPDATE SET value = value + excluded.value RETURNING value',
  'UPDATE posts SET title = ?, body = ?, updated_at = CURRENT_TIMESTAMP WHERE tenant_id = ? AND id = ?',
  'UPDATE stock SET quantity = quantity - ? WHERE tenant_id = ? AND sku = ? AND quantity >= ? RETURNING quantity',
  'DELETE FROM sessions WHERE expires_at < ?',
  "CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant_id TEXT NOT NULL, title TEXT NOT NULL DEFAULT '', body TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP, UNIQUE (tenant_id, title), FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE) PARTITION BY (tenant_id)",
  'CREATE INDEX IF NOT EXISTS posts_by_time ON posts (tenant_id, created_at DESC) WHERE body IS NOT NULL',
];

const ROUNDS = 2000;
const REPEATS = 7;

function microsecondsPerStatement(): number {
  const started = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    for (const sql of STATEMENTS) parseStatement(sql);
  }
  return ((performance.now() - started) * 1000) / (ROUNDS * STATEMENTS.length);
}

async function size(): Promise<{ minified: number; gzipped: number }> {
  const folder = join(import.meta.dirname, '../src/core/sql');
  const { outputFiles } = await build({
    stdin: {
      contents:
        "export * from './parse.ts'; export * from './walk.ts'; export * from './splice.ts'; export * from './error.ts';",
      resolveDir: folder,
      loader: 'ts',
    },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2024',
    write: false,
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error('esbuild wrote nothing');
  return { minified: file.contents.byteLength, gzipped: gzipSync(file.contents, { level: 9 }).byteLength };
}

const cold = performance.now();
for (const sql of STATEMENTS) parseStatement(sql);
const coldMicroseconds = ((performance.now() - cold) * 1000) / STATEMENTS.length;

const times = Array.from({ length: REPEATS }, microsecondsPerStatement).sort((a, b) => a - b);
const median = times[Math.floor(REPEATS / 2)] ?? 0;
const { minified, gzipped } = await size();
console.log(`${STATEMENTS.length} statements, median of ${REPEATS}: ${median.toFixed(2)} µs a statement`);
console.log(`first time, nothing compiled yet: ${coldMicroseconds.toFixed(0)} µs a statement`);
console.log(`bundle: ${(minified / 1000).toFixed(1)} KB minified, ${(gzipped / 1000).toFixed(1)} KB gzipped`);
