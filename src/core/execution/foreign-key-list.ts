import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { ForeignKey } from '../schema/table.ts';
import type { Statement } from '../sql/ast.ts';
import type { PortValue } from '../sqlite/port.ts';

/** The foreign keys over partitions that `PRAGMA foreign_key_list` asks for, of which the partition's SQLite does not know. */
export function keysAskedFor(statement: Statement, schema: Schema): readonly ForeignKey[] {
  if (statement.kind !== 'pragma' || asciiLower(statement.name.name.name) !== 'foreign_key_list') return [];
  const table = schema.table(statement.value?.text ?? '');
  if (table === undefined) return [];
  return schema.foreignKeysOf(table).filter((key) => !table.foreignKeys.includes(key));
}

/** The PRAGMA's rows with these keys, as if they had been written last: SQLite counts from the last one. */
export function withKeys(
  rows: readonly (readonly PortValue[])[],
  keys: readonly ForeignKey[],
): readonly (readonly PortValue[])[] {
  if (keys.length === 0) return rows;
  const over = keys
    .toReversed()
    .flatMap(({ columns, parent, parentColumns, onDelete, onUpdate }, id) =>
      columns.map((column, seq) => [
        id,
        seq,
        parent,
        column,
        parentColumns[seq] ?? null,
        onUpdate,
        onDelete,
        'NONE',
      ]),
    );
  return [...over, ...rows.map(([id, ...rest]) => [Number(id) + keys.length, ...rest])];
}
