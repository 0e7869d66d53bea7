import { execFileSync, spawnSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, type Running, start, temporaryDirectory } from '../cli/process.ts';
import { call, SECRET, TestEdge, TOKEN } from './edge.ts';
import { events, until } from './process.ts';

/** A file system of the test's own is a mount in a namespace of its own: Linux, where users may make those. */
const CAN_MOUNT =
  process.platform === 'linux' &&
  spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' }).status === 0;
const COUNT = 'SELECT count(*) FROM post';

let edge: TestEdge;
const directory = temporaryDirectory();
let running: Running | undefined;

beforeAll(async () => {
  edge = await TestEdge.start(1);
  await edge.rows('CREATE TABLE post (id INTEGER PRIMARY KEY, body TEXT)');
});
afterAll(async () => {
  running?.child.kill('SIGKILL');
  await running?.ended;
  await edge.close();
  directory.remove();
});

async function write(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await edge.rows('INSERT INTO post (body) VALUES (?)', ['x'.repeat(20_000)]);
}

/** The file system's size, in the namespace of the process: `spareBytes` more than is used. */
function resize(pid: number, spareBytes: number): void {
  const { blocks, bfree, bsize } = statfsSync(`/proc/${pid}/root${directory.path}`);
  const size = (blocks - bfree) * bsize + spareBytes;
  const mount = ['mount', '-o', `remount,size=${size}`, directory.path];
  execFileSync('nsenter', ['-t', String(pid), '-U', '--preserve-credentials', '-m', ...mount]);
}

test.skipIf(!CAN_MOUNT)(
  'a full disk: reads go on, it is said, and what was missed comes when there is space',
  async () => {
    const mount = 'mount -t tmpfs -o size=1g tmpfs "$1" && shift && exec "$@"';
    const atoll = [
      join(ROOT, 'bin', 'atoll'),
      'agent',
      '--join',
      edge.url,
      '--data',
      directory.path,
      '--port',
      '0',
    ];
    running = start(['-c', mount, 'sh', directory.path, ...atoll], {
      program: ['unshare', '-rm', 'sh'],
      env: { ATOLL_SECRET: SECRET, ATOLL_TOKEN: TOKEN },
    });
    const url = (await running.seen(/^ready (\S+)$/m))[1] as string;
    const pid = running.child.pid as number;
    const full = async () => {
      const reply = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
      return /^atoll_agent_storage_full\{partition="1"\} (\d)$/m.exec(await reply.text())?.[1];
    };
    const here = async () =>
      (await call(url, '/v1/query', { sql: COUNT, consistency: 'eventual' })).rows[0][0];
    await write(10);
    await until('the first rows', async () => ((await here()) === 10 ? true : null));

    resize(pid, 0);
    // More than what files have kept room for.
    await write(300);
    await until('a full disk is noticed', async () => ((await full()) === '1' ? true : null));
    const before = await here();
    expect(before).toBeGreaterThanOrEqual(10);
    expect(before).toBeLessThan(310);
    expect((await edge.rows(COUNT))[0]).toEqual([310]);

    resize(pid, 1 << 30);
    await until('all rows', async () => ((await here()) === 310 ? true : null), 50_000);
    expect(await full()).toBe('0');
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    expect(code).toBe(0);
    const said = events(stderr).map(({ event }) => event);
    expect(said).toContain('storage-full');
    expect(said).toContain('storage-has-space');
  },
);

test.skipIf(!CAN_MOUNT).each([7_000_000, 7_600_000, 9_000_000])(
  'a snapshot for whose end there is no space, but %i bytes, takes nothing from the replica, and ends when there is',
  (spare) => {
    const script = join(import.meta.dirname, 'full-disk-snapshot.ts');
    const mount = 'mount -t tmpfs -o size=80m tmpfs /mnt && exec "$@"';
    const said = execFileSync(
      'unshare',
      ['-rm', 'sh', '-c', mount, 'sh', process.execPath, script, '/mnt', String(spare)],
      { encoding: 'utf8' },
    );
    expect(JSON.parse(said)).toEqual([
      ['full', [[100]]],
      ['full', [[100]]],
      ['finished', [[1600]]],
    ]);
  },
  60_000,
);
