import type { SqlValue } from '../../../base/sql-value.ts';
import { storedAs } from '../../schema/affinity.ts';
import { MergeError } from '../evaluate/error.ts';
import { evaluate } from '../evaluate/evaluate.ts';
import { fitsInteger } from '../evaluate/number.ts';
import type { RowLimit, Scalar } from '../plan.ts';

/** Null: no bound. */
export interface RowWindow {
  readonly skip: bigint;
  readonly count: bigint | null;
}

/** A negative LIMIT is none, a negative OFFSET is 0: https://www.sqlite.org/lang_select.html#limitoffset */
export function windowOf(limit: RowLimit | null, args: readonly SqlValue[]): RowWindow {
  if (limit === null) return { skip: 0n, count: null };
  const count = integerOf(limit.count, args);
  const offset = limit.offset === null ? 0n : integerOf(limit.offset, args);
  return { skip: offset < 0n ? 0n : offset, count: count < 0n ? null : count };
}

/** What a partition is asked for: all that the window may need, or −1 for everything. */
export function rowBound(limit: RowLimit | null, args: readonly SqlValue[]): bigint {
  const { skip, count } = windowOf(limit, args);
  if (count === null) return -1n;
  return fitsInteger(skip + count) ? skip + count : -1n;
}

/** LIMIT takes what losslessly is an integer (OP_MustBeInt). */
function integerOf(scalar: Scalar, args: readonly SqlValue[]): bigint {
  const value = storedAs(evaluate(scalar, { args, slots: [] }), 'NUMERIC');
  if (typeof value === 'bigint') return value;
  throw new MergeError('datatype-mismatch', 'datatype mismatch');
}
