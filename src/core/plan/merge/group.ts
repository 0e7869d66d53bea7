import type { SqlValue } from '../../../base/sql-value.ts';
import { encodeKey } from '../../schema/partition-key.ts';
import type { Collation } from '../../schema/table.ts';

/**
 * A string that two lists of values share exactly when GROUP BY and DISTINCT call them equal: NULLs are equal,
 * 1 is 1.0, texts by collation. The encoding of partition keys without affinity says just that.
 */
export function groupKey(values: readonly SqlValue[], collations: readonly Collation[]): string {
  if (collations.length === 0) return '';
  const columns = collations.map((collation) => ({ affinity: 'BLOB' as const, collation }));
  const bytes = encodeKey(values.slice(0, collations.length), columns);
  let key = '';
  for (const byte of bytes) key += String.fromCharCode(byte);
  return key;
}
