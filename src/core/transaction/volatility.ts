import { asciiLower } from '../../base/ascii.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import { readsClock, volatility } from '../sql/analysis/functions.ts';
import { triggerStatement, viewSelect } from '../sql/analysis/view.ts';
import type { Node, Statement } from '../sql/ast.ts';
import { parseStatement } from '../sql/parse.ts';
import { findAll } from '../sql/walk.ts';

/**
 * Whether the statement would do or answer otherwise if it were executed again on the same rows: it reads the clock or
 * chance, itself, in a view, in a trigger that it fires, or in a default of what it inserts. `writes`: the tables that it
 * may change.
 */
export function isVolatile(
  statement: Statement,
  args: readonly SqlValue[],
  writes: readonly Table[],
  schema: Schema,
): boolean {
  if (args.some(isNow) || readsMore(statement, schema)) return true;
  if (writes.some((table) => triggersRead(table, schema))) return true;
  if (statement.kind !== 'insert') return false;
  const [target, ...reached] = writes;
  if (reached.some((table) => defaultsRead(table, null, schema))) return true;
  const given = statement.source === null ? [] : statement.columns?.map(({ name }) => asciiLower(name));
  return target !== undefined && given !== undefined && defaultsRead(target, given, schema);
}

/** As an argument of a time function: https://www.sqlite.org/lang_datefunc.html section 2. */
function isNow(value: SqlValue): boolean {
  return typeof value === 'string' && asciiLower(value) === 'now';
}

function readsMore(node: Node, schema: Schema): boolean {
  if (findAll(node, 'current-time').length > 0) return true;
  if (findAll(node, 'function').some((call) => volatility(call.function) === 'random' || readsClock(call)))
    return true;
  return findAll(node, 'table').some(({ name }) => {
    const view = schema.view(name.name);
    return view !== undefined && readsMore(viewSelect(view), schema);
  });
}

function triggersRead({ name }: Table, schema: Schema): boolean {
  return schema.triggersOn(name).some((trigger) => readsMore(triggerStatement(trigger), schema));
}

/** `given`: columns that need no default, in lower case; null: not known which do. */
function defaultsRead({ columns }: Table, given: readonly string[] | null, schema: Schema): boolean {
  return columns.some(({ name, defaultSql }) => {
    if (defaultSql === null || given?.includes(asciiLower(name))) return false;
    return readsMore(parseStatement(`SELECT (${defaultSql})`).statement, schema);
  });
}
