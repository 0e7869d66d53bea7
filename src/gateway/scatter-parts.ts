import type { PartitionId } from '../base/brand.ts';
import type { SqlValue } from '../base/sql-value.ts';
import { timeText } from '../core/clock/moment.ts';
import { bindTargets } from '../core/plan/bind.ts';
import { bindParameters } from '../core/plan/parameters.ts';
import type { ScatterPlan } from '../core/plan/plan.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import { encodeValue } from '../protocol/json-value.ts';
import type { KnownNetwork } from './known-network.ts';
import { mergeFailure } from './merge-failure.ts';
import type { Planned } from './planned.ts';

/** @throws AtollError `sql` for a LIMIT that is no integer */
function boundValues(plan: ScatterPlan, args: Planned['args'], instant: number): SqlValue[] {
  try {
    return bindParameters(plan, args, timeText(instant));
  } catch (error) {
    throw mergeFailure(error);
  }
}

/** What every partition is asked for a read over several, and which they are. `instant`: the read's present time, Unix ms. */
export function scatterParts(
  known: KnownNetwork,
  { args }: Pick<Planned, 'args'>,
  plan: ScatterPlan,
  instant: number,
): { readonly partitions: readonly PartitionId[]; readonly statement: WireStatement } {
  const bound = bindTargets(plan.targets, args, known.tokens);
  // `key IN ()` owns nothing, but the answer still has columns, and an aggregate a row.
  const partitions = bound.length > 0 ? bound : known.tokens.partitions().slice(0, 1);
  const values = boundValues(plan, args, instant);
  return {
    partitions,
    statement: { sql: plan.sql, args: parseJson(`[${values.map(encodeValue).join(',')}]`) },
  };
}
