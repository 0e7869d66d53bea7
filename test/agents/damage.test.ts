import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { events, until } from '../node-agent/process.ts';
import { metrics, rows } from './api.ts';
import { ALL, HealthyCluster } from './healthy-cluster.ts';
import { EdgeProcess } from './processes.ts';

let cluster: HealthyCluster;

beforeAll(async () => {
  cluster = await HealthyCluster.start();
});
afterAll(async () => {
  await cluster?.stop();
  if (hasDisk) execFileSync('umount', ['-l', disk]);
  rmdirSync(disk);
});
afterEach(() => cluster.check());

describe('files that are not as they should be', () => {
  test('the data directory of another cluster', async () => {
    const other = await EdgeProcess.start(cluster.path('other'), 2, 1);
    try {
      const lost = cluster.other('lost', { join: [other.url] });
      await lost.start();
      await lost.ready();
      await lost.end('SIGTERM');
      const before = readdirSync(join(lost.data, 'main'));
      const here = cluster.other('lost');
      await expect(here.start().then(() => here.running.ended)).resolves.toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/belongs to another cluster/),
      });
      expect(readdirSync(join(lost.data, 'main'))).toEqual(before);
      expect(await cluster.statusOf(await cluster.idOf(lost))).toBeUndefined();
    } finally {
      await other.stop();
    }
  });

  test('overwritten pages are found, moved aside, and made anew', async () => {
    const first = cluster.other('damaged');
    await first.start();
    await first.ready();
    await first.end('SIGTERM');
    const file = join(first.data, 'main', '1.sqlite');
    const { size } = statSync(file);
    const descriptor = openSync(file, 'r+');
    for (let at = 4096 * 3; at + 4096 < size; at += 4096 * 4)
      writeSync(descriptor, Buffer.alloc(4096, 0x5a), 0, 4096, at);
    closeSync(descriptor);
    const second = cluster.other('damaged');
    await second.start();
    const url = await second.ready();
    expect(await rows(url, ALL, [], { consistency: 'eventual' })).toEqual(cluster.expected);
    expect(events(second.log)).toContainEqual(
      expect.objectContaining({ event: 'storage-corrupt', partition: 1 }),
    );
    expect(
      readdirSync(join(first.data, 'main')).filter((name) => /^1\.sqlite\.corrupt-\w+$/.test(name)),
    ).toHaveLength(1);
  });
});

/** Only who may mount file systems can have a small disk. */
const disk = mkdtempSync(join(tmpdir(), 'atoll-disk-'));

function mounted(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400m', 'tmpfs', disk], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const hasDisk = mounted();

describe.skipIf(!hasDisk)('a full disk', () => {
  test('makes an agent read-only, which says so, and goes on when there is space', async () => {
    const full = cluster.other('full', { data: join(disk, 'data') });
    const url = await full.start();
    await full.ready();
    const filler = join(disk, 'filler');
    fill(filler);
    const before = cluster.expected;
    await until('it says so', async () => {
      if (full.log.includes('"storage-full"')) return true;
      await cluster.insert();
      return null;
    });
    cluster.expected = await rows(cluster.edge.url, ALL);
    expect(await rows(url, ALL)).toEqual(cluster.expected);
    // It still answers, and what it shows is a prefix of what there is.
    const old = await rows(url, ALL, [], { consistency: 'eventual' });
    expect(old.length).toBeGreaterThanOrEqual(before.length);
    expect(cluster.expected.map((row) => JSON.stringify(row))).toEqual(
      expect.arrayContaining(old.map((row) => JSON.stringify(row))),
    );
    expect(full.isRunning).toBe(true);
    expect(await metrics(url)).toMatch(/^atoll_agent_storage_full\{.*\} 1$/m);
    rmSync(filler);
    await until('it has caught up', async () => {
      expect(await rows(url, ALL, [], { consistency: 'eventual' })).toEqual(cluster.expected);
      return true;
    });
    expect(events(full.log)).toContainEqual(expect.objectContaining({ event: 'storage-has-space' }));
    await until('no replica is full', async () =>
      /^atoll_agent_storage_full\{.*\} 1$/m.test(await metrics(url)) ? null : true,
    );
    await full.end('SIGKILL');
  });

  /** To the last block. */
  function fill(file: string): void {
    const descriptor = openSync(file, 'w');
    try {
      for (let bytes = 1 << 20; bytes >= 4096; bytes /= 2) {
        try {
          for (;;) writeSync(descriptor, Buffer.alloc(bytes));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    } finally {
      closeSync(descriptor);
    }
  }
});
