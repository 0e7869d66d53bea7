import { asciiLower } from '../../base/ascii.ts';
import type { Table } from '../schema/table.ts';
import { type Constant, constantOf } from '../sql/analysis/constant.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import type { Expression, Insert } from '../sql/ast.ts';
import { truthValue } from '../sql/name.ts';
import { parseStatement } from '../sql/parse.ts';
import { canonical, keyColumns } from './change.ts';

/** Where each column's value comes from in the rows of an INSERT's VALUES; without a place: its default. */
export interface Layout {
  readonly table: Table;
  /** Place of the named columns, by canonical name. */
  readonly places: ReadonlyMap<string, number>;
}

export function layoutOf(table: Table, ast: Insert): Layout {
  const names =
    ast.columns?.map((identifier) => canonical(table, identifier.name)) ??
    (ast.source === null
      ? []
      : table.columns.filter((c) => c.generated === 'no').map((c) => asciiLower(c.name)));
  const places = new Map<string, number>();
  names.forEach((name, i) => {
    if (!places.has(name)) places.set(name, i);
  });
  for (const column of table.columns) {
    if (column.generated !== 'no' && keyColumns(table).includes(asciiLower(column.name))) {
      refuse('unsupported', `the partition key of "${table.name}" is a generated column`);
    }
  }
  return { table, places };
}

/** The value of a column, in lower case, in a row; null: it is not known before the statement runs. */
export function valueIn(
  { table, places }: Layout,
  name: string,
  row: readonly Expression[],
): Constant | null {
  const place = places.get(name);
  if (place === undefined) return defaultOf(table, name);
  const expression = row[place];
  if (expression === undefined) return refuse('syntax', `table ${table.name}: a row has too few values`);
  return rowConstant(expression);
}

function defaultOf(table: Table, name: string): Constant | null {
  const column = table.columns.find((c) => asciiLower(c.name) === name);
  if (column === undefined || column.defaultSql === null) return { kind: 'literal', value: null };
  const { statement } = parseStatement(`SELECT (${column.defaultSql})`);
  const result =
    statement.kind === 'select' && statement.body.kind === 'select-core'
      ? statement.body.columns[0]
      : undefined;
  return result?.kind === 'result-expression' ? rowConstant(result.expression) : null;
}

/** The constant that an expression is where no column is in sight, so that TRUE and FALSE are what they say. */
function rowConstant(expression: Expression): Constant | null {
  const truth = truthValue(expression);
  return truth === null ? constantOf(expression) : { kind: 'literal', value: truth ? 1n : 0n };
}
