import { asciiLower } from '../../../base/ascii.ts';
import type { Table } from '../../schema/table.ts';
import type { ValueClass } from './graph.ts';

/** What decides equality in each column of a table's partition key; a rowid is an INTEGER. */
export function keyClassesOf(table: Table): readonly ValueClass[] {
  if (table.placement.kind !== 'partitioned') return [];
  return table.placement.key.map((name) => {
    const column = table.columns.find((c) => asciiLower(c.name) === asciiLower(name));
    return { affinity: column?.affinity ?? 'INTEGER', collation: column?.collation ?? 'BINARY' };
  });
}
