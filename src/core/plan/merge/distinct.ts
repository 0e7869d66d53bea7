import type { SqlValue } from '../../../base/sql-value.ts';
import type { Collation } from '../../schema/table.ts';
import { groupKey } from './group.ts';

/** The first of each set of rows that are equal in their visible columns. */
export function distinctRows(
  rows: readonly (readonly SqlValue[])[],
  collations: readonly Collation[],
): (readonly SqlValue[])[] {
  const seen = new Set<string>();
  return rows.filter((row) => {
    const key = groupKey(row, collations);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
