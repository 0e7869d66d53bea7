import type { Analyzer } from '../../sql/analysis/analyzer.ts';
import type { SelectModel } from '../../sql/analysis/model.ts';
import { refuse } from '../../sql/analysis/refusal.ts';
import type { ParsedStatement, Select } from '../../sql/ast.ts';
import type { Pinned } from '../pin.ts';
import type { Plan, Tables } from '../plan.ts';

export interface ScatterQuestion {
  readonly parsed: ParsedStatement;
  readonly select: Select;
  readonly sql: string;
  readonly analyzer: Analyzer;
  readonly model: SelectModel;
  readonly pinned: Pinned | null;
  readonly tables: Tables;
}

export function planScatter({ tables }: ScatterQuestion): Plan {
  const names = tables.partitioned.map((name) => `"${name}"`).join(', ');
  return refuse('unsupported', `restrict the partition keys of ${names} to one value`);
}
