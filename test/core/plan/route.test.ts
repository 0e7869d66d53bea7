import { describe, expect, it } from 'vitest';
import type { Plan } from '../../../src/core/plan/plan.ts';
import { planStatement } from '../../../src/core/plan/statement.ts';
import { parseStatement } from '../../../src/core/sql/parse.ts';
import { modelSchema } from './model-schema.ts';

const { schema } = modelSchema(`
  CREATE TABLE posts (id INTEGER PRIMARY KEY, tenant TEXT, title TEXT, score INTEGER) PARTITION BY (tenant);
  CREATE TABLE comments (id INTEGER PRIMARY KEY, tenant TEXT, post INTEGER, body TEXT) PARTITION BY (tenant);
  CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
  CREATE TABLE tags (tenant TEXT COLLATE NOCASE, tag TEXT, PRIMARY KEY (tenant, tag)) PARTITION BY (tenant);
  CREATE TABLE pairs (a INTEGER, b TEXT, v, PRIMARY KEY (a, b));
  CREATE TABLE loose (x, y);
  CREATE TABLE countries (code TEXT PRIMARY KEY, name TEXT) REFERENCE;
  CREATE TABLE cities (id INTEGER PRIMARY KEY, country TEXT DEFAULT 'ch', name TEXT, code TEXT REFERENCES countries) PARTITION BY (country);
  CREATE TABLE regions (code TEXT PRIMARY KEY, n INTEGER) REFERENCE;
  CREATE TABLE parents (k INTEGER PRIMARY KEY, v TEXT);
  CREATE TABLE children (id INTEGER PRIMARY KEY, k INTEGER REFERENCES parents(k) ON DELETE CASCADE, v TEXT) PARTITION BY (k);
  CREATE TABLE watched (k INTEGER PRIMARY KEY, n);
  CREATE TABLE watchlog (k INTEGER, n) PARTITION BY (k);
  CREATE TABLE bad (k INTEGER PRIMARY KEY, n);
  CREATE TABLE accents ("É" TEXT, "é" TEXT) PARTITION BY ("É");
  CREATE VIEW titles AS SELECT tenant, title FROM posts WHERE score > 0;
  CREATE VIEW counts AS SELECT tenant, count(*) AS n FROM posts GROUP BY tenant;
  CREATE VIEW total AS SELECT count(*) AS n FROM posts;
  CREATE TRIGGER w AFTER UPDATE ON watched BEGIN
    INSERT INTO watchlog VALUES (NEW.k, NEW.n);
    UPDATE watchlog SET n = 0 WHERE k = OLD.k;
  END;
  CREATE TRIGGER b AFTER INSERT ON bad BEGIN UPDATE watched SET n = (SELECT count(*) FROM bad) WHERE k = NEW.k; END;
`);

function plan(sql: string): Plan {
  return planStatement(parseStatement(sql), sql, schema);
}

/** A plan in a few words: `route tenant`, `refused unsupported`, … */
function brief(sql: string): string {
  const p = plan(sql);
  if (p.kind === 'refused') return `refused ${p.code}`;
  const moves = 'moves' in p ? ` moves ${p.moves}` : '';
  if (p.kind !== 'route') return p.kind + moves;
  if (p.pin.kind !== 'key') return `route ${p.pin.kind}`;
  const tuples = p.pin.tuples.map((tuple) =>
    tuple.map((s) => (s.kind === 'parameter' ? `?${s.index}` : String(s.value))).join('+'),
  );
  return `route ${tuples.join(' ')}${moves}`;
}

const CASES: readonly (readonly [sql: string, plan: string])[] = [
  ["SELECT * FROM posts WHERE tenant = 'a'", 'route a'],
  ['SELECT * FROM posts WHERE tenant = ? AND score > 1 ORDER BY score LIMIT 3', 'route ?1'],
  ['SELECT count(*), sum(score) FROM posts p WHERE ?1 = p.tenant', 'route ?1'],
  ['SELECT * FROM users WHERE id = -5', 'route -5'],
  ['SELECT * FROM users WHERE rowid = 5', 'route 5'],
  ['SELECT * FROM users WHERE id = 5.5', 'route 5.5'],
  ['SELECT * FROM loose WHERE _rowid_ = 5', 'route 5'],
  ['SELECT * FROM users WHERE id IS ?', 'route ?1'],
  ['SELECT * FROM posts WHERE tenant IS NULL', 'route null'],
  ['SELECT * FROM posts WHERE tenant ISNULL', 'route null'],
  ['SELECT * FROM users WHERE id IN (?)', 'route ?1'],
  ["SELECT * FROM pairs WHERE a = 1 AND b = 'x'", 'route 1+x'],
  ['SELECT * FROM pairs WHERE (a, b) = (1, ?)', 'route 1+?1'],
  [
    'SELECT * FROM posts p JOIN comments c ON c.tenant = p.tenant AND c.post = p.id WHERE p.tenant = ?',
    'route ?1',
  ],
  ['SELECT * FROM posts p, comments c WHERE c.tenant = p.tenant AND c.tenant = ?', 'route ?1'],
  ['SELECT * FROM posts JOIN comments USING (tenant) WHERE tenant = ?', 'route ?1'],
  ['SELECT * FROM posts p LEFT JOIN comments c ON c.tenant = p.tenant WHERE p.tenant = ?', 'route ?1'],
  ['SELECT * FROM posts p LEFT JOIN comments c ON c.tenant = ?1 WHERE p.tenant = ?1', 'route ?1'],
  ['SELECT * FROM posts p JOIN countries c ON c.name = p.title WHERE p.tenant = ?', 'route ?1'],
  [
    'SELECT (SELECT count(*) FROM comments c WHERE c.tenant = p.tenant) FROM posts p WHERE p.tenant = ?',
    'route ?1',
  ],
  [
    'SELECT * FROM posts p WHERE tenant = ?1 AND EXISTS (SELECT 1 FROM comments c WHERE c.tenant = p.tenant)',
    'route ?1',
  ],
  ["SELECT * FROM (SELECT * FROM posts) WHERE tenant = 'a'", 'route a'],
  ["SELECT * FROM titles WHERE tenant = 'a'", 'route a'],
  ["SELECT * FROM counts WHERE tenant = 'a'", 'route a'],
  ["WITH p AS (SELECT tenant t, title FROM posts) SELECT * FROM p WHERE t = 'a'", 'route a'],
  ['WITH posts AS (SELECT 1 AS tenant) SELECT * FROM posts', 'route any'],
  ["SELECT * FROM posts WHERE tenant = 'a' UNION ALL SELECT * FROM posts WHERE tenant = 'a'", 'route a'],
  ["SELECT * FROM tags WHERE tenant = 'A' AND tag = 'x'", 'route A'],
  ['SELECT * FROM countries', 'route any'],
  ['SELECT * FROM accents WHERE "É" = 1', 'route 1'],
  ['SELECT * FROM accents WHERE "é" = 1', 'scatter'],
  ["SELECT 1, 'x'", 'route any'],
  ['SELECT * FROM json_each(?)', 'route any'],
  ['INSERT INTO posts (tenant, title) VALUES (?, ?)', 'route ?1'],
  ["INSERT INTO posts VALUES (NULL, 'a', 'b', 1), (NULL, 'a', 'c', 2)", 'route a'],
  ["INSERT INTO posts VALUES (NULL, 'a', 'b', 1), (NULL, 'b', 'c', 2)", 'scatter-write'],
  ['INSERT INTO users (name) VALUES (?)', 'route generated'],
  ['INSERT INTO users VALUES (NULL, ?)', 'route generated'],
  ['INSERT INTO users VALUES (?, ?)', 'route ?1'],
  ['INSERT INTO loose VALUES (1, 2), (3, 4)', 'route generated'],
  ['INSERT INTO cities (name) VALUES (?)', 'route ch'],
  ["INSERT INTO posts (id, tenant) VALUES (5, 'a')", 'route a'],
  ["INSERT OR IGNORE INTO posts (id, tenant) VALUES (5, 'a')", 'route a'],
  ["INSERT INTO posts (id, tenant) VALUES (5, 'a') ON CONFLICT DO NOTHING", 'route a'],
  ["INSERT OR FAIL INTO posts (id, tenant) VALUES (5, 'a')", 'refused needs-global-index'],
  ["INSERT INTO posts (id, tenant) VALUES (?, 'a')", 'route a'],
  ["INSERT INTO posts (id, tenant) VALUES (TRUE, 'a')", 'route a'],
  ["INSERT INTO posts (id, tenant) VALUES (? + 1, 'a')", 'gathered-insert'],
  ['INSERT INTO users VALUES (TRUE, 1)', 'route 1'],
  ['INSERT INTO users VALUES (false, 1)', 'route 0'],
  ["INSERT INTO posts (rowid, tenant) VALUES (5, 'a')", 'route a'],
  ["INSERT INTO posts (tenant) VALUES (lower('A'))", 'route any'],
  ["INSERT INTO tags VALUES ('a', 'b') ON CONFLICT DO UPDATE SET tag = excluded.tag", 'route a'],
  ["INSERT INTO tags VALUES ('a', 'b') ON CONFLICT DO UPDATE SET tenant = excluded.tenant", 'route a'],
  ["INSERT INTO tags VALUES ('a', 'b') ON CONFLICT DO UPDATE SET tenant = 'c'", 'refused key-change'],
  ['INSERT INTO comments (tenant, body) SELECT tenant, title FROM posts WHERE tenant = ?', 'route ?1'],
  ["INSERT INTO comments (tenant, body) SELECT 'x', title FROM posts WHERE tenant = 'x'", 'route x'],
  ["INSERT INTO comments (tenant, body) SELECT 'x', name FROM countries", 'route x'],
  [
    "INSERT INTO comments (tenant, body) SELECT 'x', title FROM posts WHERE tenant = 'y'",
    'route y moves comments',
  ],
  ['INSERT INTO comments (tenant, body) SELECT tenant, title FROM posts', 'scatter-write'],
  ["UPDATE posts SET score = 1 WHERE tenant = 'a'", 'route a'],
  ["UPDATE posts SET tenant = 'b' WHERE tenant = 'a'", 'route a moves posts'],
  ["UPDATE posts SET tenant = 'b'", 'scatter-write moves posts'],
  ["UPDATE OR IGNORE posts SET tenant = 'b' WHERE tenant = 'a'", 'refused unsupported'],
  ['UPDATE users SET id = 5 WHERE id = 4', 'refused key-change'],
  ['UPDATE parents SET k = 2 WHERE k = 1', 'refused key-change'],
  ['UPDATE watched SET k = 2 WHERE k = 1', 'refused key-change'],
  ["UPDATE posts SET tenant = 'a' WHERE tenant = 'a'", 'route a'],
  ["UPDATE posts SET id = 5 WHERE tenant = 'a'", 'refused needs-global-index'],
  ['UPDATE posts SET score = 1', 'scatter-write'],
  [
    'UPDATE posts SET score = 1 FROM comments c WHERE c.tenant = posts.tenant AND posts.tenant = ?',
    'route ?1',
  ],
  ['DELETE FROM posts WHERE tenant = ? RETURNING *', 'route ?1'],
  ['DELETE FROM posts', 'scatter-write'],
  ['DELETE FROM parents WHERE k = 1', 'route 1'],
  ['UPDATE watched SET n = 1 WHERE k = 1', 'route 1'],
  ['INSERT INTO bad VALUES (1, 2)', 'refused unsupported'],
  ["INSERT INTO regions VALUES ('x', 1)", 'reference-write'],
  ['UPDATE regions SET n = (SELECT count(*) FROM posts)', 'refused unsupported'],
  ["DELETE FROM countries WHERE code = 'x'", 'reference-write'],
  ["UPDATE countries SET name = 'x'", 'reference-write'],
  ['CREATE TABLE x (a)', 'schema'],
  ['DROP TABLE posts', 'schema'],
  ['CREATE TABLE Atoll_Hosts (a)', 'refused internal-name'],
  ['CREATE TABLE sqlite_x (a)', 'refused internal-name'],
  ['CREATE TABLE x (a UNIQUE ON CONFLICT ROLLBACK)', 'refused forbidden-statement'],
  ['CREATE TRIGGER x AFTER INSERT ON posts BEGIN SELECT * FROM _atoll_log; END', 'refused internal-name'],
  [
    "CREATE TRIGGER x AFTER INSERT ON posts BEGIN SELECT RAISE(ROLLBACK, 'x'); END",
    'refused forbidden-statement',
  ],
  ['CREATE TEMP TABLE x (a)', 'refused forbidden-statement'],
  ['PRAGMA table_info(posts)', 'pragma'],
  ['PRAGMA foreign_keys = off', 'refused forbidden-statement'],
  ['PRAGMA table_info(_atoll_x)', 'refused internal-name'],
  ['EXPLAIN SELECT 1', 'explain'],
  ['EXPLAIN QUERY PLAN SELECT 1', 'explain'],
  ['BEGIN', 'transaction-control'],
  ['ROLLBACK TO x', 'transaction-control'],
  ['SELECT * FROM atoll_partitions', 'system'],
  ['SELECT * FROM atoll_partitions, posts', 'refused unsupported'],
  ['DELETE FROM atoll_partitions', 'refused internal-name'],
  ['SELECT * FROM nowhere', 'refused no-such-table'],
  ['SELECT absent FROM posts', 'refused no-such-column'],
  ['SELECT tenant FROM posts, comments', 'refused syntax'],
  ['SELECT * FROM _atoll_log', 'refused internal-name'],
  ['SELECT * FROM sqlite_schema', 'refused internal-name'],
  ['SELECT * FROM _cf_KV', 'refused internal-name'],
  ["ATTACH 'x' AS y", 'refused forbidden-statement'],
  ['VACUUM', 'refused forbidden-statement'],
  ["INSERT OR ROLLBACK INTO users VALUES (1, 'a')", 'refused forbidden-statement'],
  ['SELECT last_insert_rowid()', 'refused unsupported'],
  ["SELECT * FROM posts AS OF '2026-01-01'", 'refused unsupported'],
];

/** Conditions that look like pins and are none. */
const NOT_PINNED: readonly string[] = [
  "tenant = 'a' COLLATE NOCASE",
  "tenant COLLATE NOCASE = 'a'",
  "+tenant = 'a'",
  'tenant = title',
  "tenant = CAST('a' AS BLOB)",
  "tenant = 'a' OR score = 1",
  "NOT tenant = 'a'",
  "tenant IN ('a', 'b')",
  "tenant IS NOT 'a'",
  "tenant LIKE 'a'",
  "tenant BETWEEN 'a' AND 'a'",
  "tenant = (SELECT 'a')",
  "title = 'a'",
];

describe('plans', () => {
  for (const [sql, expected] of CASES) {
    it(`${expected}: ${sql}`, () => {
      expect(brief(sql)).toBe(expected);
    });
  }
  for (const condition of NOT_PINNED) {
    it(`no pin: ${condition}`, () => {
      expect(brief(`SELECT * FROM posts WHERE ${condition}`)).not.toMatch(/^route/);
      expect(brief(`DELETE FROM posts WHERE ${condition}`)).toBe('scatter-write');
    });
  }
  const joins = [
    "posts p LEFT JOIN comments c ON c.tenant = p.tenant AND p.tenant = 'a'",
    "posts p LEFT JOIN comments c ON c.tenant = p.tenant WHERE c.tenant IS NULL AND p.tenant = ''",
    "posts p LEFT JOIN comments c ON c.post = p.id WHERE p.tenant = 'a' AND c.tenant IS 'a'",
    "posts p FULL JOIN comments c ON c.tenant = p.tenant WHERE p.tenant = 'a'",
    "posts p JOIN tags t ON t.tenant = p.tenant WHERE p.tenant = 'a'",
    "posts p JOIN comments c WHERE p.tenant = 'a' AND c.tenant = 'b'",
    "posts p JOIN pairs q ON q.b = p.tenant WHERE p.tenant = 'a'",
    'posts p JOIN comments c ON c.tenant = p.tenant WHERE p.id = 5',
    "total, posts WHERE tenant = 'a'",
    "(SELECT * FROM posts LIMIT 1) WHERE tenant = 'a'",
    "(SELECT max(tenant) AS tenant FROM posts) WHERE tenant = 'a'",
    "posts WHERE tenant = 'a' AND id IN (SELECT post FROM comments)",
    "posts WHERE tenant = 'a' AND EXISTS (SELECT 1 FROM comments WHERE post = posts.id)",
  ];
  joins.forEach((from, i) => {
    it(`no pin for every table: ${from}`, () => {
      expect(brief(`SELECT 1 FROM ${from}`)).toMatch(i === 1 ? /^route/ : /^(scatter|refused unsupported)/);
    });
  });
});
