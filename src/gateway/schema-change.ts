import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import type { SchemaChangeReply } from '../protocol/schema.ts';
import { newSession } from '../protocol/session.ts';
import type { Planned } from './planned.ts';
import { sessionText } from './reply-session.ts';
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
  const reply = await database.ask<SchemaChangeReply>(
    SYSTEM_PARTITION,
    'schema-change',
    { statements },
    context,
    { access: 'write', advice: 'look at /v1/schema' },
  );
  await database.catchUp(context);
  const known = await database.network(context);
  const { history, systemIndex } = known.information;
  const seen = { ...newSession(history), system: systemIndex };
  const token = sessionText(known, request.demand, [seen]);
  const result = { columns: [], rows: [], rowsAffected: 0, lastInsertRowid: null };
  const plan = { kind: 'schema', ...reply };
  const answer = request.shape === 'query' ? result : { results: planned.map(() => result) };
  return Response.json({ ...answer, plan, session: token });
}
