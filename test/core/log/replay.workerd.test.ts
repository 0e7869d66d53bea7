import { env, runInDurableObject } from 'cloudflare:test';
import { expect, test } from 'vitest';
import type { SqlitePort } from '../../../src/core/sqlite/port.ts';
import { ObjectSqlitePort } from '../../../src/objects/sqlite-port.ts';
import { CORPUS } from './corpus.ts';
import { checkHistory, checkReplay, type Scratch } from './replay-property.ts';

/** An object has one database: each body runs in a transaction that is rolled back. */
function scratchOver(port: SqlitePort): Scratch {
  return (body) => {
    const done = { result: undefined as unknown };
    try {
      port.transaction(() => {
        done.result = body(port);
        throw done;
      });
    } catch (thrown) {
      if (thrown !== done) throw thrown;
    }
    return done.result as never;
  };
}

function inObject<T>(name: string, body: (scratch: Scratch) => T): Promise<T> {
  const namespace = (env as { STORAGE: DurableObjectNamespace }).STORAGE;
  return runInDurableObject(namespace.get(namespace.idFromName(name)), (_, state) =>
    body(scratchOver(new ObjectSqlitePort(state.storage))),
  );
}

test('apply, undo and redo of random histories are exact', async () => {
  const coverage = await inObject('replay', (scratch) => checkReplay(scratch, 60));
  for (const count of Object.values(coverage)) expect(count).toBeGreaterThan(0);
});

test.each(Object.keys(CORPUS))('regression: %s', async (name) => {
  const history = CORPUS[name];
  if (history === undefined) return;
  const { commits } = await inObject(name, (scratch) => checkHistory(scratch, history));
  expect(commits).toBeGreaterThan(0);
});
