import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Running, run, start, temporaryDirectory } from './process.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let dev: Running;
let url = '';

beforeAll(async () => {
  directory = temporaryDirectory();
  dev = start(['dev', '--port', '0'], { cwd: directory.path });
  url = (await dev.seen(/^ready (http:\S+)$/m))[1] ?? '';
  await atoll('sql', '-e', 'CREATE TABLE notes (id INTEGER PRIMARY KEY, author TEXT) PARTITION BY (author)');
  for (let n = 0; n < 5; n++) await atoll('sql', '-e', `INSERT INTO notes (author) VALUES ('a${n}')`);
  await atoll('export', '--out', 'backup.sql');
  writeFileSync(at('backup.sql.gz'), gzipSync(readFileSync(at('backup.sql'))));
});

afterAll(async () => {
  dev.child.kill('SIGTERM');
  await dev.ended;
  directory.remove();
});

function at(file: string): string {
  return join(directory.path, file);
}

function atoll(...args: string[]) {
  return run(args, { cwd: directory.path, env: { ATOLL_URL: url } });
}

const notes = async () =>
  (await atoll('sql', '--csv', '-e', 'SELECT id, author FROM notes ORDER BY id')).stdout;

test('a dump is restored into an empty database only, packed or not', async () => {
  const before = await notes();
  const refused = await atoll('restore', 'backup.sql');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('already-exists') });
  for (const file of ['backup.sql', 'backup.sql.gz']) {
    await atoll('sql', '-e', 'DROP TABLE notes');
    const done = await atoll('restore', file);
    expect(done).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^1 table, 5 rows in \d partitions?\n$/),
    });
    expect(await notes()).toBe(before);
  }
});

test('a dump given to `atoll sql` is not run by halves', async () => {
  const refused = await atoll('sql', 'backup.sql');
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('atoll restore backup.sql') });
});

test('a wrong line is named', async () => {
  await atoll('sql', '-e', 'DROP TABLE notes');
  const dump = readFileSync(at('backup.sql'), 'utf8');
  writeFileSync(at('broken.sql'), dump.replace('COMMIT;', 'INSERT INTO nowhere VALUES(1);\nCOMMIT;'));
  const failed = await atoll('restore', 'broken.sql');
  expect(failed.code).toBe(1);
  expect(failed.stderr).toMatch(
    /line \d+ \(statement \d+\): no such table: nowhere; the database is empty again/,
  );
});
