import type { Delete, Insert, Update } from '../sql/ast.ts';
import { withInstant } from './instant.ts';
import type { Pinned } from './pin.ts';
import type { ScatterWritePlan } from './plan.ts';

/**
 * A write that each partition runs as it was written, with its own rows; those of `pinned` alone if it is given. `why`: what would not be
 * what the statement means; null: nothing.
 */
export function inEachPartition(
  ast: Insert | Update | Delete,
  sql: string,
  pinned: Pinned | null,
  why: string | null,
): Pick<ScatterWritePlan, 'kind' | 'targets' | 'rows' | 'timed' | 'perPartition'> {
  const timed = withInstant(ast, sql);
  return {
    kind: 'scatter-write',
    targets: pinned === null ? { kind: 'all' } : { kind: 'keys', ...pinned },
    rows: null,
    ...(timed !== null && { timed: { sql: timed.piece(ast), parameters: timed.parameters } }),
    perPartition: why === null ? { sound: true } : { sound: false, message: why },
  };
}
