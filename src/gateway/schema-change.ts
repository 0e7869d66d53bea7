import { asciiLower } from '../base/ascii.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { FOREIGN_KEY_CHECK, suspensionOf, switchOfForeignKeys } from '../core/schema/foreign-keys-switch.ts';
import { AtollError } from '../protocol/error.ts';
import type { SchemaChangeReply } from '../protocol/schema.ts';
import { newSession } from '../protocol/session.ts';
import type { Planned } from './planned.ts';
import { sessionText } from './reply-session.ts';
import type { ClientRequest } from './request.ts';
import type { Session } from './statements.ts';

/** https://www.sqlite.org/pragma.html#pragma_foreign_key_check */
const CHECK_COLUMNS = ['table', 'rowid', 'parent', 'fkid'];

/**
 * Whether all of it changes the schema, or belongs to the rebuild of tables.
 *
 * @throws AtollError where foreign keys are switched off for something else, too
 */
export function isSchemaChange(planned: readonly Planned[]): boolean {
  if (!planned.some(({ plan }) => plan.kind === 'schema')) return false;
  const other = planned.findIndex((each) => !belongs(each));
  if (other < 0) return true;
  if (!planned.some(({ parsed: { statement } }) => suspensionOf(statement) !== null)) return false;
  throw new AtollError(
    'unsupported',
    `statements[${other}]: with foreign keys switched off go schema changes, and INSERT INTO new SELECT … FROM old, alone: send it by itself, ` +
      'before or afterwards',
  );
}

function belongs({ plan, parsed: { statement } }: Planned): boolean {
  if (plan.kind === 'schema') return true;
  if (statement.kind === 'pragma') return switchOfForeignKeys(statement) !== null;
  return statement.kind === 'insert' && statement.source?.body.kind === 'select-core';
}

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
  const results = planned.map(({ parsed: { statement } }) => {
    const checks = statement.kind === 'pragma' && asciiLower(statement.name.name.name) === FOREIGN_KEY_CHECK;
    return { columns: checks ? CHECK_COLUMNS : [], rows: [], rowsAffected: 0, lastInsertRowid: null };
  });
  const plan = { kind: 'schema', ...reply };
  const answer = request.shape === 'query' ? results[0] : { results };
  return Response.json({ ...answer, plan, session: token });
}
