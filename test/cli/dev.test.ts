import { statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Running, run, STAND_IN, start, temporaryDirectory } from './process.ts';

/** The process around the Worker; what the Worker does itself is the business of other tests. */
let directory: ReturnType<typeof temporaryDirectory>;
let started: Running[] = [];

beforeEach(() => {
  directory = temporaryDirectory();
});

afterEach(async () => {
  for (const { child } of started) child.kill('SIGTERM');
  await Promise.all(started.map(({ ended }) => ended));
  started = [];
  directory.remove();
});

const READY = /^ready (http:\/\/127\.0\.0\.1:\d+)$/m;
const data = () => join(directory.path, 'data');
const args = (...more: string[]) => ['dev', '--config', STAND_IN, '--port', '0', '--data', data(), ...more];

async function dev(more: string[] = [], env: Record<string, string> = {}) {
  const running = start(args(...more), { cwd: directory.path, env });
  started.push(running);
  return { ...running, url: (await running.seen(READY))[1] ?? '' };
}

async function count(url: string): Promise<{ count: number; token: string; greeting: string }> {
  return (await fetch(`${url}/count`)).json() as Promise<{ count: number; token: string; greeting: string }>;
}

describe('atoll dev', () => {
  test('serves, keeps its data and its token between runs, and stops cleanly on a signal', async () => {
    const first = await dev();
    const before = await count(first.url);
    expect(before).toMatchObject({ count: 1, greeting: 'hello' });
    first.child.kill('SIGINT');
    expect(await first.ended).toMatchObject({ code: 0, signal: null });
    await expect(fetch(first.url)).rejects.toThrow();

    const second = await dev();
    expect(await count(second.url)).toMatchObject({ count: 2, token: before.token });
    expect(statSync(join(data(), 'token')).mode & 0o777).toBe(0o600);
    second.child.kill('SIGTERM');
    const ended = await second.ended;
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(ended.stdout.match(/stopping/g)).toHaveLength(1);
  });

  test('the same signal twice, as a terminal and a starter send it, stops once', async () => {
    const { child, ended } = await dev();
    child.kill('SIGINT');
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 0, signal: null });
  });

  test('nothing stays behind when it is killed outright, and the next run finds nothing in its way', async () => {
    const { child, url, ended } = await dev();
    child.kill('SIGKILL');
    await ended;
    await expect
      .poll(() =>
        fetch(url).then(
          () => 'serves',
          () => 'gone',
        ),
      )
      .toBe('gone');
    const again = await dev();
    expect((await count(again.url)).count).toBe(1);
  });

  test('ATOLL_TOKEN is the admin token, and is not written down', async () => {
    const { url, seen } = await dev([], { ATOLL_TOKEN: 'from-outside' });
    expect((await count(url)).token).toBe('from-outside');
    await seen(/^token {2}from ATOLL_TOKEN$/m);
    expect(() => statSync(join(data(), 'token'))).toThrow(/ENOENT/);
  });

  test('a data directory in use is refused, naming who has it', async () => {
    const { url } = await dev();
    const second = await run(args());
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`in use by another \`atoll dev\` (process `);
    expect(second.stderr).toContain(url);
    expect(second.stderr).toContain('--data');
  });

  test('the number of partitions stays that of the data directory, and another one is refused', async () => {
    const first = await dev(['--partitions', '6']);
    await first.seen(/local cluster of 6 partitions/);
    first.child.kill('SIGTERM');
    await first.ended;
    const other = await run(args('--partitions', '5'));
    expect(other).toMatchObject({ code: 1 });
    expect(other.stderr).toMatch(/has 6 partitions, not 5[\s\S]*hint:.*--partitions/);
    const again = await dev();
    await again.seen(/local cluster of 6 partitions/);
  });

  test('a busy port is refused with another one to take', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const ended = await run(['dev', '--config', STAND_IN, '--port', String(port), '--data', data()]);
    server.close();
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(`port ${port} is in use`);
    expect(ended.stderr).toContain('--port');
  });

  test('a data directory of a newer format is refused and left alone', async () => {
    const first = await dev();
    first.child.kill('SIGTERM');
    await first.ended;
    writeFileSync(join(data(), 'format'), '99\n');
    const ended = await run(args());
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/format 99; this Atoll knows up to 1/);
  });

  test.each(['--voters', '--voters-on'])('%s is refused, not ignored', async (flag) => {
    const ended = await run(args(flag, '2'));
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain(`${flag} is not there yet`);
  });
});

describe('bin/atoll', () => {
  test('runs from any directory and under an older Node, exit code passed on', async () => {
    const older = process.env.PATH?.split(':')
      .filter((folder) => !folder.includes('node_modules'))
      .join(':');
    const env = { PATH: older ?? '' };
    const outside = await run(['--version'], { cwd: directory.path, env });
    expect(outside).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    expect(await run(['dev', '--port', 'x'], { env })).toMatchObject({ code: 2 });
  });

  test('passes a signal on, and stops what it started when it is killed outright', async () => {
    const PATH =
      process.env.PATH?.split(':')
        .filter((folder) => !folder.includes('node_modules'))
        .join(':') ?? '';
    const first = await dev([], { PATH });
    first.child.kill('SIGINT');
    expect(await first.ended).toMatchObject({ code: 0, signal: null });
    const second = await dev([], { PATH });
    second.child.kill('SIGKILL');
    await second.ended;
    await expect
      .poll(() =>
        fetch(second.url).then(
          () => 'serves',
          () => 'gone',
        ),
      )
      .toBe('gone');
  });
});
