import { asciiLower } from '../../base/ascii.ts';
import { definesConflicts } from './conflict-clause.ts';
import type { Table } from './table.ts';

/**
 * The INTEGER PRIMARY KEY of a table whose ids do not say where a row is, if clients may give them: equal ones need not meet in one
 * partition. Null: there is none, all rows are in one place, or the id is in the partition key; or the table's definition says what is
 * to be done with a row in the way, which may be in another partition.
 */
export function looseIdColumn(table: Table): string | null {
  let column = known.get(table);
  if (column === undefined) {
    column = find(table);
    known.set(table, column);
  }
  return column;
}

const known = new WeakMap<Table, string | null>();

function find({ placement, rowidColumn, sql }: Table): string | null {
  if (placement.kind === 'reference' || rowidColumn === null) return null;
  const id = asciiLower(rowidColumn);
  if (placement.key.some((name) => asciiLower(name) === id)) return null;
  return definesConflicts({ sql }) ? null : rowidColumn;
}
