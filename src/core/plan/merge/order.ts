import type { SqlValue } from '../../../base/sql-value.ts';
import { compareValues } from '../evaluate/compare.ts';
import type { SortKey } from '../plan.ts';

type Row = readonly SqlValue[];

/** Order of two rows by ORDER BY's keys. */
export function compareRows(a: Row, b: Row, keys: readonly SortKey[]): number {
  for (const { column, descending, nulls, collation } of keys) {
    const x = a[column] ?? null;
    const y = b[column] ?? null;
    if (x === null || y === null) {
      if (x === y) continue;
      return (x === null) === (nulls === 'first') ? -1 : 1;
    }
    const order = compareValues(x, y, collation);
    if (order !== 0) return descending ? -order : order;
  }
  return 0;
}

/** Merges sorted lists into one; of equal rows, those of earlier lists come first. `wanted`: no more are needed. */
export function mergeSorted(
  lists: readonly (readonly Row[])[],
  keys: readonly SortKey[],
  wanted: number,
): Row[] {
  const places = lists.map(() => 0);
  const result: Row[] = [];
  while (result.length < wanted) {
    let least = -1;
    let row: Row | undefined;
    lists.forEach((list, i) => {
      const candidate = list[places[i] as number];
      if (candidate === undefined) return;
      if (row === undefined || compareRows(candidate, row, keys) < 0) {
        row = candidate;
        least = i;
      }
    });
    if (row === undefined) break;
    result.push(row);
    places[least] = (places[least] as number) + 1;
  }
  return result;
}
