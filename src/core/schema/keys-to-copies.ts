import type { Schema } from './catalogue.ts';
import { parentColumnsOf } from './placement.ts';
import type { ForeignKey, Table } from './table.ts';

/** A foreign key of a partitioned table to a reference table: every partition has both sides. */
export interface KeyToCopy extends ForeignKey {
  readonly child: Table;
  readonly parentTable: Table;
  /** Never empty. */
  readonly parentColumns: readonly string[];
}

export function keysToCopies(schema: Schema, child: Table): readonly KeyToCopy[] {
  if (child.placement.kind === 'reference' || child.foreignKeys.length === 0) return [];
  return child.foreignKeys.flatMap((foreignKey) => {
    const parentTable = schema.table(foreignKey.parent);
    if (parentTable?.placement.kind !== 'reference') return [];
    return [{ ...foreignKey, child, parentTable, parentColumns: parentColumnsOf(foreignKey, parentTable) }];
  });
}

/** Whether there are any. */
export function hasKeysToCopies(schema: Schema): boolean {
  return schema.catalogue.tables.some((table) => keysToCopies(schema, table).length > 0);
}
