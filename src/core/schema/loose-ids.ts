import { asciiLower } from '../../base/ascii.ts';
import type { Table } from './table.ts';

/**
 * The INTEGER PRIMARY KEY of a table whose ids do not say where a row is: equal ones need not meet in one partition. Null:
 * there is none, or all rows are in one place, or the id is in the partition key.
 */
export function looseIdColumn({ placement, rowidColumn }: Table): string | null {
  if (placement.kind === 'reference' || rowidColumn === null) return null;
  const id = asciiLower(rowidColumn);
  return placement.key.some((name) => asciiLower(name) === id) ? null : rowidColumn;
}
