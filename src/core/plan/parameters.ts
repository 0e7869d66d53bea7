import { assert } from '../../base/assert.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { rowBound } from './merge/limit.ts';
import type { ParameterSource, ScatterPlan } from './plan.ts';

/**
 * What the partitions' parameters are bound to. `now`: the router's instant as {@link timeText}, the same for all
 * partitions.
 *
 * @throws MergeError if LIMIT or OFFSET is no integer
 */
export function bindParameters(plan: ScatterPlan, args: readonly SqlValue[], now: string): SqlValue[] {
  return plan.parameters.map((source) =>
    source.kind === 'row-bound' ? rowBound(plan.merge.limit, args) : boundTo(source, args, now),
  );
}

/** As {@link bindParameters}, of a write. */
export function bindTimed(
  parameters: readonly ParameterSource[],
  args: readonly SqlValue[],
  now: string,
): SqlValue[] {
  return parameters.map((source) => {
    assert(source.kind !== 'row-bound', 'a write has no merge');
    return boundTo(source, args, now);
  });
}

function boundTo(
  source: Exclude<ParameterSource, { kind: 'row-bound' }>,
  args: readonly SqlValue[],
  now: string,
): SqlValue {
  if (source.kind === 'now') return now;
  const value = args[source.index - 1] ?? null;
  return source.time && typeof value === 'string' && value.toLowerCase() === 'now' ? now : value;
}
