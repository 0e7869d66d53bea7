import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DataDirectory } from '../../src/node-agent/data-directory.ts';

let path: string;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'atoll-agent-'));
});
afterEach(() => {
  rmSync(path, { recursive: true, force: true });
});

const HOST = { key: '{"kty":"OKP"}', name: 'garage', cluster: null };
const CLUSTER = { database: 'main', history: 'one' };

describe('a data directory', () => {
  test('keeps who the host is, readable by its owner alone', () => {
    const first = DataDirectory.open(path);
    expect(first.host).toBeNull();
    first.setHost(HOST);
    first.close();
    const second = DataDirectory.open(path);
    expect(second.host).toMatchObject(HOST);
    expect(statSync(join(path, 'host.json')).mode & 0o777).toBe(0o600);
    second.close();
  });

  test('is held by one process, whose death frees it', async () => {
    const module = JSON.stringify(new URL('../../src/node-agent/data-directory.ts', import.meta.url).href);
    const script = `import(${module}).then(({ DataDirectory }) => {
      // Kept: a directory that nobody refers to is closed when its memory is collected.
      globalThis.directory = DataDirectory.open(${JSON.stringify(path)});
      globalThis.directory.announce('http://127.0.0.1:1');
      console.log('open');
      setInterval(() => {}, 1000);
    })`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    expect(() => DataDirectory.open(path)).toThrow(
      `in use by another agent (process ${child.pid}, http://127.0.0.1:1)`,
    );
    child.kill('SIGKILL');
    await once(child, 'exit');
    DataDirectory.open(path).close();
  });

  test('of another cluster is refused, with both named', () => {
    const directory = DataDirectory.open(path);
    directory.checkCluster(CLUSTER);
    directory.setHost({ ...HOST, cluster: CLUSTER });
    directory.checkCluster(CLUSTER);
    expect(() => directory.checkCluster({ database: 'main', history: 'two' })).toThrow(
      /belongs to another cluster: it holds main, history one; the cluster has main, history two/,
    );
    directory.close();
  });

  test('with a damaged or newer record is refused, and left as it is', () => {
    for (const [text, message] of [
      ['{"format": 1, "name": ', /host\.json is damaged/],
      ['{"format": 2, "key": "", "name": "x", "cluster": null}', /has format 2; this Atoll knows up to 1/],
    ] as const) {
      writeFileSync(join(path, 'host.json'), text);
      expect(() => DataDirectory.open(path)).toThrow(message);
      expect(readFileSync(join(path, 'host.json'), 'utf8')).toBe(text);
    }
  });

  test('knows its partitions by their files', () => {
    mkdirSync(join(path, 'main'));
    // Of 3 a snapshot has come, and nothing is in its place yet.
    for (const file of [
      '0.sqlite',
      '0.sqlite.incoming',
      '12.sqlite',
      '12.sqlite-wal',
      '3.sqlite.incoming',
      '4.sqlite.corrupt-1',
    ])
      writeFileSync(join(path, 'main', file), '');
    const directory = DataDirectory.open(path);
    expect(directory.partitions()).toEqual([
      { database: 'main', partition: 0 },
      { database: 'main', partition: 12 },
      { database: 'main', partition: 3 },
    ]);
    directory.close();
  });
});
