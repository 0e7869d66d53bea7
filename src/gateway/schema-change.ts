import { AtollError } from '../protocol/error.ts';
import type { SchemaChangeReply } from '../protocol/schema.ts';
import { SYSTEM_PARTITION } from './database.ts';
import type { Planned } from './planned.ts';
import type { ClientRequest } from './request.ts';
import type { Session } from './statements.ts';

/** DDL: the system partition takes it through all partitions, all statements or none. */
export async function changeSchema(
  session: Session,
  request: ClientRequest,
  planned: readonly Planned[],
): Promise<Response> {
  const { database, context } = session;
  const statements = planned.map(({ statement, parsed }) => statement.sql.slice(parsed.start, parsed.end));
  const reply = await database
    .ask<SchemaChangeReply>(SYSTEM_PARTITION, 'schema-change', { statements }, context)
    .catch((error: unknown) => {
      if (error instanceof AtollError) throw error;
      throw new AtollError('unknown-outcome', 'the answer to the schema change was lost: look at /v1/schema');
    });
  await database.refresh(context);
  const result = { columns: [], rows: [], rowsAffected: 0, lastInsertRowid: null };
  const plan = { kind: 'schema', ...reply };
  return Response.json(
    request.shape === 'query' ? { ...result, plan } : { results: planned.map(() => result), plan },
  );
}
