import type { Schema } from '../schema/catalogue.ts';
import type { Node, Statement } from '../sql/ast.ts';
import { walk } from '../sql/walk.ts';

/**
 * Whether a statement of one partition key does little, as far as its text tells: it reads rows of one table, or writes given ones, calls no function to read, and answers
 * with nothing else. What is executed beside it need not be afraid of it.
 */
export function isQuick(statement: Statement, schema: Schema): boolean {
  switch (statement.kind) {
    case 'select': {
      const { body, compounds, limit } = statement;
      if (statement.with !== null || compounds.length > 0 || body.kind !== 'select-core') return false;
      const { from, groupBy, windows, distinct } = body;
      if (from === null || from.joins.length > 0 || from.first.kind !== 'table') return false;
      if (groupBy !== null || windows !== null || distinct) return false;
      if (schema.table(from.first.name.name) === undefined) return false;
      return [...body.columns, body.where, ...(statement.orderBy ?? []), limit].every(
        (part) => part === null || !has(part, 'function', ...READS),
      );
    }
    case 'insert':
      if (statement.with !== null || statement.returning !== null) return false;
      return [...rowsOf(statement.source), ...statement.upserts].every((part) => !has(part, ...READS));
    case 'update':
    case 'delete': {
      const { where, returning, orderBy, limit } = statement;
      if (
        statement.with !== null ||
        returning !== null ||
        (statement.kind === 'update' && statement.from !== null)
      )
        return false;
      const set = statement.kind === 'update' ? statement.set : [];
      return [...set, where, ...(orderBy ?? []), limit].every(
        (part) => part === null || !has(part, ...READS),
      );
    }
    default:
      return false;
  }
}

/** What reads rows within an expression, as `IN name` does too. */
const READS = ['select', 'table', 'table-function'] as const;

/** Of VALUES; what else gives rows is itself looked at. */
function rowsOf(source: (Statement & { kind: 'insert' })['source']): readonly Node[] {
  if (source === null) return [];
  const { body, compounds, limit } = source;
  if (body.kind !== 'values' || compounds.length > 0 || limit !== null || source.with !== null)
    return [source];
  return body.rows;
}

function has(node: Node, ...kinds: readonly Node['kind'][]): boolean {
  let found = false;
  walk(node, {
    enter: (each) => {
      if (kinds.includes(each.kind)) found = true;
      return found ? 'skip' : undefined;
    },
  });
  return found;
}
