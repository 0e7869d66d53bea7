import { asciiLower } from '../../base/ascii.ts';
import { assert } from '../../base/assert.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Image } from '../log/commit.ts';
import type { Layout } from '../log/layout.ts';
import { deleteRow, updateRow } from '../log/rows.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import { reachOf } from '../sql/analysis/reach.ts';
import { truthValue } from '../sql/name.ts';
import { parseStatement } from '../sql/parse.ts';
import { selectExact } from '../sqlite/exact.ts';
import { literalOf } from '../sqlite/literal.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/** A foreign key that Atoll acts for, not SQLite. */
export interface ActingKey {
  /** Of the table that refers. */
  readonly columns: readonly string[];
  readonly onDelete: string;
  readonly onUpdate: string;
}

/** What a foreign key says of rows whose parent is gone (`to` null), or has another key, in upper case. */
export function actionOf({ onDelete, onUpdate }: ActingKey, to: Image | null): string {
  return (to === null ? onDelete : onUpdate).toUpperCase();
}

/** Whether it changes rows, rather than forbid. */
export function changesRows(action: string): boolean {
  return /^(CASCADE|SET NULL|SET DEFAULT)$/.test(action);
}

/** Does with one row what a foreign key that acts says. */
export function changeReferring(
  port: SqlitePort,
  child: Table,
  { layout, row }: { readonly layout: Layout; readonly row: Image },
  key: ActingKey,
  to: Image | null,
): void {
  const todo = actionOf(key, to);
  if (todo === 'CASCADE' && to === null) {
    deleteRow(port, layout, row);
    return;
  }
  const names = layout.columns.map(asciiLower);
  const changed = [...row];
  key.columns.forEach((column, i) => {
    const value =
      todo === 'CASCADE' ? (to?.[i] ?? null) : todo === 'SET NULL' ? null : defaultOf(port, child, column);
    changed[names.indexOf(asciiLower(column))] = value;
  });
  updateRow(port, layout, row, changed);
}

/** Lower-case names of tables whose rows may move to other partitions, if rows are set what they refer by. */
export function movedByKeys(
  keys: Iterable<Pick<ActingKey, 'columns'> & { readonly child: Table }>,
  schema: Schema,
): ReadonlySet<string> {
  const moved = new Set<string>();
  for (const { child, columns } of keys) {
    const set = columns.map(asciiLower).sort();
    const { placement } = child;
    if (placement.kind !== 'partitioned' || !placement.key.some((name) => set.includes(asciiLower(name))))
      continue;
    for (const name of [child.name, ...reachOf(schema, child, ['UPDATE'], set, 'move')])
      moved.add(asciiLower(name));
  }
  return moved;
}

function defaultOf(port: SqlitePort, child: Table, name: string): SqlValue {
  const column = child.columns.find((each) => asciiLower(each.name) === asciiLower(name));
  if (column === undefined || column.defaultSql === null) return null;
  const [row] = selectExact(port, [`(${defaultSql(column.defaultSql)})`], '');
  return row?.[0] ?? null;
}

/** A bare word is a text there, or TRUE or FALSE. */
function defaultSql(sql: string): string {
  const { statement } = parseStatement(`SELECT (${sql})`);
  assert(statement.kind === 'select' && statement.body.kind === 'select-core', 'a default is an expression');
  const [result] = statement.body.columns;
  const expression = result?.kind === 'result-expression' ? result.expression : null;
  if (expression?.kind !== 'column' || truthValue(expression) !== null) return sql;
  return literalOf(expression.name.name);
}
