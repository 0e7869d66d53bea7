import { AtollError } from '../../protocol/error.ts';
import { timeText } from '../clock/moment.ts';
import type { Statement } from '../sql/ast.ts';
import { SqlSyntaxError } from '../sql/error.ts';
import { parseStatement } from '../sql/parse.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { Apart } from './apart.ts';
import type { Catalogue } from './catalogue.ts';
import type { SchemaChange } from './change.ts';
import { ChangePlanner } from './change-planner.ts';
import { checkDefinition } from './definition-rules.ts';
import { BOUND_START } from './recursion-bound.ts';

/**
 * Finds out what DDL does by running it. Call it in a transaction that is then rolled back, on a port whose
 * schema is `before`, at `now` (Unix milliseconds). Null when it changes nothing (IF NOT EXISTS).
 *
 * @throws AtollError for what is refused, SqliteError for what SQLite refuses
 */
export function planSchemaChange(
  port: SqlitePort,
  before: Catalogue,
  sources: readonly string[],
  now: number,
): SchemaChange | null {
  const definitions = sources.map((source) => ({ source, statement: parseDefinition(source) }));
  const plan = (apart: Apart | null): SchemaChange | null => {
    const planner = new ChangePlanner(port, before, apart, timeText(now));
    for (const [index, definition] of definitions.entries()) planner.run(definition, index);
    return planner.finish();
  };
  try {
    return port.transaction(() => plan(null));
  } catch (error) {
    if (!(error instanceof Apart)) throw error;
    return plan(error);
  }
}

function parseDefinition(source: string): Statement {
  try {
    const { statement, parameterCount } = parseStatement(source);
    if (source.includes(BOUND_START)) throw new AtollError('syntax', `${BOUND_START} is Atoll's own mark`);
    if (parameterCount > 0) throw new AtollError('parameter', 'a schema statement takes no parameters');
    checkDefinition(statement);
    return statement;
  } catch (error) {
    if (error instanceof SqlSyntaxError) throw new AtollError('syntax', error.message);
    throw error;
  }
}
