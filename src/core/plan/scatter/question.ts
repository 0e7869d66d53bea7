import type { Analyzer } from '../../sql/analysis/analyzer.ts';
import type { SelectModel } from '../../sql/analysis/model.ts';
import { refuse } from '../../sql/analysis/refusal.ts';
import type { ParsedStatement, Select } from '../../sql/ast.ts';
import type { Pinned } from '../pin.ts';
import type { Merge, Tables } from '../plan.ts';

export interface ScatterQuestion {
  readonly parsed: ParsedStatement;
  readonly select: Select;
  readonly sql: string;
  readonly analyzer: Analyzer;
  readonly model: SelectModel;
  readonly pinned: Pinned | null;
  readonly tables: Tables;
}

/** What the shapes of a scatter (whole, aggregate, compound) give. */
export interface Scattered {
  readonly sql: string;
  readonly merge: Merge;
  readonly reason: string;
}

/** SQLite allows 100 columns in workerd; one is kept free. */
export const MAX_COLUMNS = 99;

export function refuseSplit({ tables }: ScatterQuestion, why: string): never {
  const names = tables.partitioned.map((name) => `"${name}"`).join(', ');
  return refuse(
    'unsupported',
    `this cannot be answered from several partitions yet: ${why}. Restrict the partition keys of ${names} to one value, or join and group by them`,
  );
}

export function checkWidth(width: number): void {
  if (width > MAX_COLUMNS) {
    refuse(
      'unsupported',
      `${width} columns with those for sorting and partial results: at most ${MAX_COLUMNS}`,
    );
  }
}
