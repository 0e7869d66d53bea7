import type { SqlValue } from '../../../base/sql-value.ts';
import type { Merge } from '../plan.ts';
import { aggregateRows } from './aggregate.ts';
import { distinctRows } from './distinct.ts';
import { windowOf } from './limit.ts';
import { compareRows, mergeSorted } from './order.ts';

type Row = readonly SqlValue[];

/** One partition's answer to a scatter. */
export interface PartitionRows {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/**
 * The answer of a scatter from those of its partitions (at least one), with SQLite's semantics.
 *
 * @throws MergeError
 */
export function mergeAnswers(
  merge: Merge,
  answers: readonly PartitionRows[],
  args: readonly SqlValue[],
): PartitionRows {
  const columns = merge.columns ?? answers[0]?.columns.slice(0, merge.width) ?? [];
  const { skip, count } = windowOf(merge.limit, args);
  const wanted = count === null || merge.distinct !== null ? Number.POSITIVE_INFINITY : Number(skip + count);
  const lists = answers.map((answer) => answer.rows);
  let rows: readonly Row[];
  if (merge.aggregate !== null) {
    rows = aggregateRows(lists.flat(), merge.aggregate, args);
    if (merge.order.length > 0) rows = rows.toSorted((a, b) => compareRows(a, b, merge.order));
  } else if (merge.order.length > 0) {
    rows = mergeSorted(lists, merge.order, wanted);
  } else {
    rows = lists.length === 1 ? (lists[0] as readonly Row[]) : lists.flat();
  }
  if (merge.distinct !== null) rows = distinctRows(rows, merge.distinct);
  if (skip > 0n || count !== null) {
    rows = rows.slice(Number(skip), count === null ? undefined : Number(skip + count));
  }
  const cut = rows.some((row) => row.length > merge.width);
  return { columns, rows: cut ? rows.map((row) => row.slice(0, merge.width)) : rows };
}
