import { env, runInDurableObject } from 'cloudflare:test';
import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import { ObjectSqlitePort } from '../../src/objects/sqlite-port.ts';
import type { Scratch } from '../core/log/replay-property.ts';

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

/** Runs a body in the object of that name, over its storage. */
export function inObject<T>(name: string, body: (scratch: Scratch) => T): Promise<T> {
  const namespace = (env as { STORAGE: DurableObjectNamespace }).STORAGE;
  return runInDurableObject(namespace.get(namespace.idFromName(name)), (_, state) =>
    body(scratchOver(new ObjectSqlitePort(state.storage))),
  );
}
