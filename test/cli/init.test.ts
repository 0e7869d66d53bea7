import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, type Running, run, start, temporaryDirectory } from './process.ts';

/** A deployed cluster, as near as this machine comes to one: `wrangler dev` over wrangler.toml. */
const TOKEN = 'admin-of-the-test';
let directory: ReturnType<typeof temporaryDirectory>;
let wrangler: Running;
let url = '';

beforeAll(async () => {
  directory = temporaryDirectory();
  const args = ['dev', '--config', join(ROOT, 'wrangler.toml'), '--ip', '127.0.0.1', '--port', '0'];
  const more = ['--inspector-port', '0', '--persist-to', directory.path, '--var', `ATOLL_TOKEN:${TOKEN}`];
  wrangler = start([...args, ...more, '--show-interactive-dev-session=false'], {
    program: [process.execPath, join(ROOT, 'node_modules', 'wrangler', 'bin', 'wrangler.js')],
    cwd: directory.path,
    env: { WRANGLER_SEND_METRICS: 'false', CI: '1' },
  });
  url = (await wrangler.seen(/Ready on (http:\/\/\S+)/))[1] ?? '';
});

afterAll(async () => {
  wrangler.child.kill('SIGINT');
  await wrangler.ended;
  directory.remove();
});

function atoll(...args: string[]) {
  return run(args, { cwd: directory.path, env: { ATOLL_URL: url, ATOLL_TOKEN: TOKEN } });
}

test('init makes a deployed cluster ready, and may be repeated', async () => {
  const first = await atoll('init', url, '--partitions', '3');
  expect(first).toMatchObject({ code: 0, stdout: `${url} is ready with 3 partitions\n` });
  const sql = 'CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 2)';
  expect(await atoll('sql', '-e', sql)).toMatchObject({ code: 0, stderr: '' });
  expect(await atoll('init', url, '--partitions', '3')).toMatchObject({ code: 0, stdout: first.stdout });
  const read = await atoll('sql', '--csv', '-e', "SELECT v FROM t WHERE k = '1'");
  expect(read).toMatchObject({ stdout: 'v\r\n2\r\n', stderr: '' });
});

test('another number of partitions, and another token, are refused', async () => {
  expect(await atoll('init', url, '--partitions', '5')).toMatchObject({ code: 1 });
  const stranger = await run(['init', url, '--partitions', '3', '--token', 'guess'], { cwd: directory.path });
  expect(stranger.code).toBe(1);
  expect(stranger.stderr).toContain('unauthorized');
});
