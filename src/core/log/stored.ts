import type { SqlValue } from '../sqlite/value.ts';
import type { Change } from './commit.ts';
import { sameValue } from './encoding.ts';

/**
 * Equality of rows as SQLite stores them: −0.0 in a REAL column is stored as integer 0 and read back as
 * 0.0, while the image that a trigger took of it kept its sign.
 */
export function sameStored(left: readonly SqlValue[], right: readonly SqlValue[]): boolean {
  return (
    left.length === right.length &&
    left.every((value, i) => {
      const other = right[i] ?? null;
      return sameValue(value, other) || (value === 0 && other === 0);
    })
  );
}

export function sameChanges(left: readonly Change[], right: readonly Change[]): boolean {
  return (
    left.length === right.length &&
    left.every((change, i) => {
      const other = right[i];
      return (
        other !== undefined &&
        change.type === other.type &&
        change.layout === other.layout &&
        sameImage(change.before, other.before) &&
        sameImage(change.after, other.after)
      );
    })
  );
}

function sameImage(left: readonly SqlValue[] | null, right: readonly SqlValue[] | null): boolean {
  return left === null || right === null ? left === right : sameStored(left, right);
}
