import { DurableObject } from 'cloudflare:workers';
import type { ObjectEnvironment } from '../../src/workers/environment.ts';
import atoll from '../../src/workers/index.ts';

export { PartitionObject } from '../../src/workers/index.ts';

interface Environment extends ObjectEnvironment {
  readonly BARE: DurableObjectNamespace<BareObject>;
  readonly D1: D1Database;
}

/** What a product would write by hand: one object, its SQL fixed in code, an equal trigger log. */
export class BareObject extends DurableObject {
  readonly #sql = this.ctx.storage.sql;

  constructor(ctx: DurableObjectState, environment: Environment) {
    super(ctx, environment);
    this.#sql.exec(SCHEMA);
  }

  override async fetch(request: Request): Promise<Response> {
    const { sql, args } = await request.json<{ sql: string; args: (string | number)[] }>();
    const cursor = this.#sql.exec(sql, ...args);
    const rows = [...cursor.raw()];
    return Response.json({ columns: cursor.columnNames, rows, rowsAffected: rows.length === 0 ? 1 : 0 });
  }
}

/** The same table and the same capture as Atoll's, per row and per commit. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT, age INTEGER);
  CREATE INDEX IF NOT EXISTS users_tenant ON users (tenant);
  CREATE TABLE IF NOT EXISTS head (last INTEGER);
  INSERT INTO head SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM head);
  CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, commit_id, image, c0, c1, c2, c3);
  CREATE TRIGGER IF NOT EXISTS log_insert AFTER INSERT ON users BEGIN
    INSERT INTO log (commit_id, image, c0, c1, c2, c3) VALUES ((SELECT last + 1 FROM head), 0, NEW.id, NEW.tenant, NEW.name, NEW.age);
    UPDATE head SET last = last + 1;
  END;`;

export default {
  async fetch(request, environment, context) {
    const { pathname } = new URL(request.url);
    if (pathname === '/bare') {
      const stub = environment.BARE.get(environment.BARE.idFromName('bare'));
      return stub.fetch('http://bare/', { method: 'POST', body: await request.text() });
    }
    if (pathname === '/d1') {
      const { sql, args } = await request.json<{ sql: string; args: unknown[] }>();
      const { results, meta } = await environment.D1.prepare(sql)
        .bind(...args)
        .run();
      return Response.json({ results, changes: meta.changes });
    }
    return atoll.fetch(request as Parameters<typeof atoll.fetch>[0], environment, context);
  },
} satisfies ExportedHandler<Environment>;
