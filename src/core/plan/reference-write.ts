import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import type { Analyzer } from '../sql/analysis/analyzer.ts';
import { wholeReachOf } from '../sql/analysis/reach.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import type { Delete, Insert, Update } from '../sql/ast.ts';
import type { ReferenceWritePlan } from './plan.ts';
import { eventsIn, refuseActed } from './references.ts';
import { tablesOf } from './tables.ts';

/**
 * The system partition has reference tables only, so the statement may read nothing else. Rows that refer to what it takes away are
 * in all partitions, which then do what their foreign keys say.
 */
export function planReferenceWrite(
  analyzer: Analyzer,
  schema: Schema,
  table: Table,
  ast: Insert | Update | Delete,
  changed: readonly string[] | null,
): ReferenceWritePlan {
  const reach = wholeReachOf(schema, table, eventsIn(table, ast), changed);
  const [use] = analyzer.uses;
  if (use !== undefined) {
    refuse(
      'unsupported',
      `a write of the reference table "${table.name}" cannot read "${use.table.name}": read it first, then send the values`,
    );
  }
  refuseActed(schema, reach);
  const referring = [...new Set(reach.referring.map(({ child }) => child.name))];
  return {
    kind: 'reference-write',
    tables: tablesOf(analyzer, table),
    reaches: reach.reached,
    ...(reach.acted.length > 0 && { acts: reach.acted }),
    ...(referring.length > 0 && { referring }),
    reason: `"${table.name}" is a reference table: the system partition writes it for all`,
  };
}
