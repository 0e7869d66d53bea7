import type { SqlValue } from '../../../base/sql-value.ts';
import { compareRows } from '../merge/order.ts';
import type { SortKey } from '../plan.ts';

type Row = readonly SqlValue[];

/** What one partition has from a place on, in order. */
export interface PartitionPage {
  readonly rows: readonly Row[];
  /** There are more behind these. */
  readonly more: boolean;
}

/** A row of the merged page; `list`: whose it is. */
export interface MergedRow {
  readonly row: Row;
  readonly list: number;
}

/**
 * The rows that surely come next, by ORDER BY's terms, of equal ones those of earlier lists first: up to where a list ends
 * that has more. `more`: there are rows behind them.
 */
export function mergePages(
  pages: readonly PartitionPage[],
  terms: readonly SortKey[],
): { readonly merged: readonly MergedRow[]; readonly more: boolean } {
  const places = pages.map(() => 0);
  const merged: MergedRow[] = [];
  for (;;) {
    let least: MergedRow | null = null;
    for (const [list, { rows, more }] of pages.entries()) {
      const row = rows[places[list] as number];
      if (row === undefined) {
        if (more) return { merged, more: true };
      } else if (least === null || compareRows(row, least.row, terms) < 0) least = { row, list };
    }
    if (least === null) return { merged, more: false };
    merged.push(least);
    places[least.list] = (places[least.list] as number) + 1;
  }
}
