import { env, runInDurableObject } from 'cloudflare:test';
import { expect, test } from 'vitest';
import type { SqlitePort } from '../../../src/core/sqlite/port.ts';
import { ObjectSqlitePort } from '../../../src/objects/sqlite-port.ts';
import { CASES, checkExact } from './port-contract.ts';

const namespace = (env as { STORAGE: DurableObjectNamespace }).STORAGE;

function inObject<T>(name: string, body: (port: SqlitePort) => T): Promise<T> {
  return runInDurableObject(namespace.get(namespace.idFromName(name)), (_, state) =>
    body(new ObjectSqlitePort(state.storage)),
  );
}

test.each(CASES)('workerd $name', async ({ name, run, gives }) => {
  expect(await inObject(name, run)).toEqual(gives);
});

test('workerd binds and reads exact values', async () => {
  await inObject('exact', (port) => checkExact(port, 300));
});
