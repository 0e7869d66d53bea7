import { env, runInDurableObject } from 'cloudflare:test';
import { expect, test } from 'vitest';
import type { SqlitePort } from '../../../src/core/sqlite/port.ts';
import { ObjectSqlitePort } from '../../../src/objects/sqlite-port.ts';
import { checkReplay, type Scratch } from './replay-property.ts';

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

test('apply, undo and redo of random histories are exact', async () => {
  const namespace = (env as { STORAGE: DurableObjectNamespace }).STORAGE;
  const stub = namespace.get(namespace.idFromName('replay'));
  const coverage = await runInDurableObject(stub, (_, state) =>
    checkReplay(scratchOver(new ObjectSqlitePort(state.storage)), 100),
  );
  for (const count of Object.values(coverage)) expect(count).toBeGreaterThan(0);
});
