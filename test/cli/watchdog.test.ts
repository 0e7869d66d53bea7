import { afterEach, expect, test } from 'vitest';
import { readWorkerConfiguration } from '../../src/cli/cluster/configuration.ts';
import { type LocalCluster, startLocalCluster } from '../../src/cli/cluster/local-cluster.ts';
import { startWatchdog } from '../../src/cli/cluster/watchdog.ts';
import { STAND_IN, temporaryDirectory } from './process.ts';

let cluster: LocalCluster | undefined;
const directory = temporaryDirectory();
afterEach(async () => {
  await cluster?.stop();
  directory.remove();
});

test('a workerd that is blocked for good is restarted at the same address, with its data', async () => {
  const log: string[] = [];
  let restarted = (): void => undefined;
  const restart = new Promise<void>((resolve) => {
    restarted = resolve;
  });
  cluster = await startLocalCluster({
    port: 0,
    partitions: 2,
    storage: directory.path,
    token: 'token',
    secret: 'secret',
    configuration: readWorkerConfiguration(STAND_IN),
    silenceMaxMs: 1_000,
    log: (line) => {
      log.push(line);
      if (/is back/.test(line)) restarted();
    },
  });
  const { url } = cluster;
  expect(await (await fetch(`${url}/count`)).json()).toMatchObject({ count: 1 });
  await expect(fetch(`${url}/hang`)).rejects.toThrow();
  await restart;
  expect(await (await fetch(`${url}/count`)).json()).toMatchObject({ count: 2, token: 'token' });
  expect(log.filter((line) => /silent/.test(line))).toHaveLength(1);
});

test('one that refuses connections is restarted without waiting for the silence to run out', async () => {
  let restarts = 0;
  let time = 0;
  await new Promise<void>((resolve) => {
    const stop = startWatchdog({
      probe: () => Promise.reject(new Error('connection refused')),
      restart: async () => {
        restarts++;
        stop();
        resolve();
      },
      intervalMs: 1,
      silenceMaxMs: 1_000_000,
      absenceMaxMs: 3_000,
      now: () => (time += 700),
    });
  });
  expect(restarts).toBe(1);
  expect(time).toBeLessThan(20_000);
});
