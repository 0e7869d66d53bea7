import type { PartitionId, Token } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { bindPin } from '../core/plan/bind.ts';
import type { KnownNetwork } from './known-network.ts';
import type { Planned } from './planned.ts';

/** Where a statement may run. */
type Place =
  | { readonly kind: 'partition'; readonly partition: PartitionId }
  /** Any partition but the system partition: it inserts rows whose key it generates. */
  | { readonly kind: 'data' }
  /**
   * Anywhere, since it reads reference tables only; alone, where they are written: copies take a write one after another,
   * and a client must not see it come and go.
   */
  | { readonly kind: 'reference' }
  | { readonly kind: 'any' }
  /** In several partitions, or by a way of its own. */
  | { readonly kind: 'none' };

/**
 * The one partition that runs all statements; null if there is none. What may run anywhere belongs to the owner of `token`;
 * where that is null, to whoever has the turn.
 */
export function homeOf(
  known: KnownNetwork,
  planned: readonly Planned[],
  token: Token | null,
): PartitionId | null {
  const places = planned.map((each) => placeOf(known, each));
  let home: PartitionId | null = null;
  for (const place of places) {
    if (place.kind === 'none') return null;
    if (place.kind !== 'partition') continue;
    home ??= place.partition;
    if (home !== place.partition) return null;
  }
  const generates = places.some((place) => place.kind === 'data');
  if (generates && home === SYSTEM_PARTITION) return null;
  if (home === null && !generates && places.some((place) => place.kind === 'reference'))
    home = SYSTEM_PARTITION;
  return home ?? (token === null ? anyPartition(known) : known.tokens.partitionOf(token));
}

function placeOf(known: KnownNetwork, { plan, args }: Planned): Place {
  switch (plan.kind) {
    case 'route': {
      const bound = bindPin(plan.pin, args, known.tokens);
      if (bound.kind === 'one') return { kind: 'partition', partition: bound.partition };
      if (bound.kind !== 'any') return { kind: 'none' };
      if (plan.access === 'write') return { kind: 'data' };
      return { kind: plan.tables.reference.length > 0 ? 'reference' : 'any' };
    }
    case 'reference-write':
    case 'system':
      return { kind: 'partition', partition: SYSTEM_PARTITION };
    case 'pragma':
      return { kind: 'any' };
    default:
      return { kind: 'none' };
  }
}

let turn = 0;

/** Takes turns, so that work that may run anywhere is spread. */
function anyPartition(known: KnownNetwork): PartitionId {
  const partitions = known.tokens.partitions();
  turn = (turn + 1) % partitions.length;
  return partitions[turn] as PartitionId;
}
