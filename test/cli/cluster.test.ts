import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Running, run, start, temporaryDirectory } from './process.ts';

/** The command line against Atoll itself, as a user has it: `atoll dev` in one terminal, the rest in another. */
let directory: ReturnType<typeof temporaryDirectory>;
let dev: Running;
let url = '';

async function startDev(): Promise<void> {
  dev = start(['dev', '--port', '0'], { cwd: directory.path });
  url = (await dev.seen(/^ready (http:\S+)$/m))[1] ?? '';
}

beforeAll(async () => {
  directory = temporaryDirectory();
  await startDev();
  await atoll(['sql', '-e', 'CREATE TABLE notes (author TEXT, body TEXT) PARTITION BY (author)']);
});

afterAll(async () => {
  dev.child.kill('SIGTERM');
  await dev.ended;
  directory.remove();
});

function atoll(args: string[], env: Record<string, string> = {}) {
  return run(args, { cwd: directory.path, env: { ATOLL_URL: url, ...env } });
}

test('it says that it is ready, and stops at Ctrl-C', async () => {
  const other = temporaryDirectory();
  const running = start(['dev', '--port', '0', '--data', join(other.path, 'd')], { cwd: other.path });
  await running.seen(/^ready /m);
  running.child.kill('SIGINT');
  expect(await running.ended).toMatchObject({ code: 0 });
  other.remove();
});

test('values of every type are shown as they were written, also after a restart', async () => {
  await atoll(['sql', '-e', 'CREATE TABLE v (k TEXT PRIMARY KEY, a, b, c, d, e)']);
  await atoll(['sql', '-e', "INSERT INTO v VALUES ('k', 9223372036854775807, 4.0, x'00ff', NULL, 'it''s')"]);
  const shown = async () => (await atoll(['sql', '--json', '-e', "SELECT * FROM v WHERE k = 'k'"])).stdout;
  const before = await shown();
  expect(before).toBe(
    '{"k":"k","a":{"$int":"9223372036854775807"},"b":4.0,"c":{"$blob":"AP8="},"d":null,"e":"it\'s"}\n',
  );
  dev.child.kill('SIGINT');
  expect(await dev.ended).toMatchObject({ code: 0 });
  await startDev();
  expect(await shown()).toBe(before);
});

test('a token allows what its role says, until it is revoked', async () => {
  const made = await atoll(['token', 'create', '--role', 'read', '--expires', '1h']);
  const env = { ATOLL_TOKEN: made.stdout.trim() };
  const read = ['sql', '--csv', '-e', "SELECT count(*) AS n FROM notes WHERE author = 'a'"];
  const write = ['sql', '-e', "INSERT INTO notes VALUES ('a', 'b')"];
  expect((await atoll(read, env)).stdout).toBe('n\r\n0\r\n');
  const refused = await atoll(write, env);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/forbidden[\s\S]*hint:.*token create/);

  const id = /token (\S+), role read/.exec(made.stderr)?.[1] ?? '';
  expect((await atoll(['token', 'list'])).stdout).toContain(`${id} │ read │ all`);
  expect(await atoll(['token', 'revoke', id])).toMatchObject({ code: 0, stdout: `revoked ${id}\n` });
  const ended = await atoll(read, env);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain('unauthorized');
});

test('status shows who owns which part of the ring', async () => {
  const { stdout } = await atoll(['status']);
  expect(stdout).toContain('4 partitions');
  expect(stdout.match(/25\.0 %/g)).toHaveLength(4);
  expect(stdout).toContain('c0000000–ffffffff');
});

test('a migration as a tool writes it runs from its file: what rebuilds a table goes together', async () => {
  await atoll(['sql', '-e', 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)']);
  await atoll([
    'sql',
    '-e',
    'CREATE TABLE posts (id INTEGER PRIMARY KEY, user INTEGER REFERENCES users ON DELETE CASCADE)',
  ]);
  await atoll([
    'sql',
    '-e',
    "INSERT INTO users VALUES (1, 'a'), (2, 'b'); INSERT INTO posts VALUES (7, 1), (8, 2)",
  ]);
  const file = join(directory.path, '0001.sql');
  writeFileSync(
    file,
    `PRAGMA foreign_keys=OFF;--> statement-breakpoint
CREATE TABLE \`__new_users\` (\`id\` integer PRIMARY KEY, \`name\` text NOT NULL, \`age\` integer);
--> statement-breakpoint
INSERT INTO \`__new_users\`("id", "name") SELECT "id", "name" FROM \`users\`;--> statement-breakpoint
DROP TABLE \`users\`;--> statement-breakpoint
ALTER TABLE \`__new_users\` RENAME TO \`users\`;--> statement-breakpoint
PRAGMA foreign_keys=ON;
UPDATE users SET age = id;
`,
  );
  const { stdout, code } = await atoll(['sql', file]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^done · [\d.]+ m?s · schema\n2 rows changed/);
  const shown = await atoll([
    'sql',
    '--csv',
    '-e',
    'SELECT users.*, posts.id AS post FROM users JOIN posts ON user = users.id ORDER BY 1',
  ]);
  expect(shown.stdout).toBe('id,name,age,post\r\n1,a,1,7\r\n2,b,2,8\r\n');
  // An index that is new has to be built over the rows, by itself.
  writeFileSync(
    file,
    `PRAGMA foreign_keys=OFF;
CREATE TABLE n (id integer PRIMARY KEY, name text NOT NULL, age integer NOT NULL);
INSERT INTO n SELECT * FROM users;
DROP TABLE users;
ALTER TABLE n RENAME TO users;
CREATE UNIQUE INDEX names ON users (name);
PRAGMA foreign_keys=ON;
CREATE INDEX ages ON users (age);
`,
  );
  expect((await atoll(['sql', file])).code).toBe(0);
  const again = await atoll(['sql', '-e', "INSERT INTO users VALUES (3, 'a', 3)"]);
  expect(again.stderr).toContain('UNIQUE constraint failed: users.name');
  // The line of what fails.
  writeFileSync(
    file,
    'PRAGMA foreign_keys=OFF;\nCREATE TABLE x (a);\n\nDELETE FROM users;\nPRAGMA foreign_keys=ON;\n',
  );
  const failed = await atoll(['sql', file]);
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain(`${file}:4: `);
});
