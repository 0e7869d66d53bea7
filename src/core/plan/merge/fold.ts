import type { SqlValue } from '../../../base/sql-value.ts';
import { compareValues } from '../evaluate/compare.ts';
import { MergeError } from '../evaluate/error.ts';
import { fitsInteger, realPrefix } from '../evaluate/number.ts';
import type { Fold } from '../plan.ts';
import { groupKey } from './group.ts';
import { RealSum } from './real-sum.ts';

type Row = readonly SqlValue[];

/** Folds one aggregate of one group from partial rows. */
export interface Folder {
  add(row: Row): void;
  result(): SqlValue;
}

/** `siblings`: the folders made before, for a carry to follow its extreme. */
export function folderOf(fold: Fold, siblings: readonly Folder[]): Folder {
  switch (fold.kind) {
    case 'count':
      return new Count(fold.column);
    case 'sum':
      return new Sum((row) => row[fold.column] ?? null);
    case 'total':
      return new Total(fold.column);
    case 'average':
      return new Average(fold.total, fold.count);
    case 'extreme':
      return new Extreme(fold);
    case 'carry':
      return new Carry(fold, fold.of === null ? null : (siblings[fold.of] as Extreme));
    case 'distinct':
      return new Distinct(fold);
  }
}

class Count implements Folder {
  #count = 0n;
  readonly #column: number;
  constructor(column: number) {
    this.#column = column;
  }
  add(row: Row): void {
    this.#count += BigInt((row[this.#column] ?? 0n) as bigint);
  }
  result(): SqlValue {
    return this.#count;
  }
}

/**
 * NULL without values ('nan': not a number); INTEGER, exactly, if all partial sums are; else REAL.
 * https://www.sqlite.org/lang_aggfunc.html#sumunc
 */
class Sum implements Folder {
  #exact = 0n;
  #seen = false;
  #isReal = false;
  readonly #real = new RealSum();
  readonly #value: (row: Row) => SqlValue;
  constructor(value: (row: Row) => SqlValue) {
    this.#value = value;
  }
  add(row: Row): void {
    this.addValue(this.#value(row));
  }
  addValue(value: SqlValue): void {
    if (value === null) return;
    this.#seen = true;
    if (value === 'nan') {
      this.#isReal = true;
      this.#real.add(Number.NaN);
    } else if (typeof value === 'bigint') {
      this.#exact += value;
      this.#real.add(Number(value));
    } else {
      this.#isReal = true;
      this.#real.add(value as number);
    }
  }
  result(): SqlValue {
    if (!this.#seen) return null;
    if (this.#isReal) return this.#real.result();
    if (!fitsInteger(this.#exact)) throw new MergeError('integer-overflow', 'integer overflow');
    return this.#exact;
  }
}

class Total implements Folder {
  readonly #sum = new RealSum();
  readonly #column: number;
  constructor(column: number) {
    this.#column = column;
  }
  add(row: Row): void {
    // total() is never NULL but for infinities of both signs.
    this.#sum.add(Number(row[this.#column] ?? Number.NaN));
  }
  result(): SqlValue {
    return this.#sum.result();
  }
}

/** Never an average of averages. */
class Average implements Folder {
  readonly #total: Total;
  readonly #count: Count;
  constructor(total: number, count: number) {
    this.#total = new Total(total);
    this.#count = new Count(count);
  }
  add(row: Row): void {
    this.#total.add(row);
    this.#count.add(row);
  }
  result(): SqlValue {
    const count = Number(this.#count.result());
    const total = this.#total.result();
    return count === 0 || total === null ? null : (total as number) / count;
  }
}

class Extreme implements Folder {
  best: SqlValue = null;
  /** The row that has it. */
  row: Row | null = null;
  readonly #fold: Fold & { kind: 'extreme' };
  constructor(fold: Fold & { kind: 'extreme' }) {
    this.#fold = fold;
  }
  add(row: Row): void {
    const { want, column, collation } = this.#fold;
    const value = row[column] ?? null;
    if (value === null) return;
    const order = this.row === null ? 0 : compareValues(value, this.best, collation);
    if (this.row !== null && (want === 'min' ? order >= 0 : order <= 0)) return;
    this.best = value;
    this.row = row;
  }
  result(): SqlValue {
    return this.best;
  }
}

/** A column of one row of the group: the extreme's, else of the first one that stands for rows at all. */
class Carry implements Folder {
  #row: Row | null = null;
  #empty = true;
  readonly #fold: Fold & { kind: 'carry' };
  readonly #extreme: Extreme | null;
  constructor(fold: Fold & { kind: 'carry' }, extreme: Extreme | null) {
    this.#fold = fold;
    this.#extreme = extreme;
  }
  add(row: Row): void {
    if (!this.#empty) return;
    const { rows } = this.#fold;
    this.#empty = rows !== null && row[rows] === 0n;
    if (this.#row === null || !this.#empty) this.#row = row;
  }
  result(): SqlValue {
    const row = this.#extreme?.row ?? this.#row;
    return row?.[this.#fold.column] ?? null;
  }
}

/** Over the distinct values of a column by which the partial rows are grouped too. */
class Distinct implements Folder {
  readonly #seen = new Set<string>();
  readonly #sum = new Sum(() => null);
  readonly #total = new RealSum();
  readonly #fold: Fold & { kind: 'distinct' };
  constructor(fold: Fold & { kind: 'distinct' }) {
    this.#fold = fold;
  }
  add(row: Row): void {
    const value = row[this.#fold.column] ?? null;
    if (value === null) return;
    const key = groupKey([value], [this.#fold.collation]);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    if (this.#fold.of === 'count') return;
    const number = numberOf(value);
    this.#sum.addValue(number);
    this.#total.add(Number(number));
  }
  result(): SqlValue {
    switch (this.#fold.of) {
      case 'count':
        return BigInt(this.#seen.size);
      case 'sum':
        return this.#sum.result();
      case 'total':
        return this.#total.result();
      case 'avg': {
        const total = this.#total.result();
        return this.#seen.size === 0 || total === null ? null : total / this.#seen.size;
      }
    }
  }
}

/** What sum() makes of a value: text counts by its numeric prefix, as REAL. */
function numberOf(value: SqlValue): bigint | number {
  if (typeof value === 'bigint' || typeof value === 'number') return value;
  if (typeof value === 'string') return realPrefix(value);
  throw new MergeError('unsupported', 'sum(DISTINCT) over blobs in several partitions');
}
