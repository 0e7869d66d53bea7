import type { Table } from '../schema/table.ts';
import type { Analyzer } from '../sql/analysis/analyzer.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import type { ReferenceWritePlan } from './plan.ts';
import { tablesOf } from './tables.ts';

/** The system partition has reference tables only, so the statement may read nothing else. */
export function planReferenceWrite(
  analyzer: Analyzer,
  table: Table,
  reaches: readonly string[],
): ReferenceWritePlan {
  const [use] = analyzer.uses;
  if (use !== undefined) {
    refuse(
      'unsupported',
      `a write of the reference table "${table.name}" cannot read "${use.table.name}": read it first, then send the values`,
    );
  }
  return {
    kind: 'reference-write',
    tables: tablesOf(analyzer, table),
    reaches,
    reason: `"${table.name}" is a reference table: the system partition writes it for all`,
  };
}
