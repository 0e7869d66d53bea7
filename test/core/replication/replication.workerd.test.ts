import { env, runInDurableObject } from 'cloudflare:test';
import { expect, test } from 'vitest';
import { ObjectSqlitePort } from '../../../src/objects/sqlite-port.ts';
import { checkSource } from './source-property.ts';

test('a leader in an object sends its rows as of one commit, and its entries', async () => {
  const namespace = (env as { STORAGE: DurableObjectNamespace }).STORAGE;
  const coverage = await runInDurableObject(namespace.get(namespace.idFromName('source')), (_, state) => {
    const port = new ObjectSqlitePort(state.storage);
    return checkSource((body) => {
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
    }, 40);
  });
  for (const count of Object.values(coverage)) expect(count).toBeGreaterThan(0);
});
