import type { SqlValue } from '../../../base/sql-value.ts';
import { rowBound } from '../merge/limit.ts';
import type { ScatterPlan } from '../plan.ts';

/**
 * What the partitions' parameters are bound to. `now`: the router's instant, `YYYY-MM-DD HH:MM:SS.SSS` in UTC, the
 * same for all partitions.
 *
 * @throws MergeError if LIMIT or OFFSET is no integer
 */
export function bindParameters(plan: ScatterPlan, args: readonly SqlValue[], now: string): SqlValue[] {
  return plan.parameters.map((source) => {
    if (source.kind === 'now') return now;
    if (source.kind === 'row-bound') return rowBound(plan.merge.limit, args);
    const value = args[source.index - 1] ?? null;
    return source.time && typeof value === 'string' && value.toLowerCase() === 'now' ? now : value;
  });
}
