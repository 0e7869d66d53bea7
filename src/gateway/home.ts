import type { PartitionId, Token } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { bindPin } from '../core/plan/bind.ts';
import type { ErrorCode } from '../protocol/error.ts';
import type { KnownNetwork } from './known-network.ts';
import { neededRole, type Planned, PlanRefusal } from './planned.ts';

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
  | { readonly kind: 'none'; readonly error: PlanRefusal };

/**
 * The one partition that runs all statements, or why there is none. What may run anywhere belongs to the owner of `token`;
 * where that is null, to whoever has the turn.
 */
export function homeOf(
  known: KnownNetwork,
  planned: readonly Planned[],
  token: Token | null,
): PartitionId | PlanRefusal {
  const places = planned.map((each) => placeOf(known, each));
  let home: PartitionId | null = null;
  for (const [index, place] of places.entries()) {
    const prefix = planned.length > 1 ? `statements[${index}]: ` : '';
    if (place.kind === 'none') {
      return new PlanRefusal(place.error.code, prefix + place.error.message);
    }
    if (place.kind !== 'partition') continue;
    home ??= place.partition;
    if (home !== place.partition) {
      const other = `it belongs to partition ${place.partition}, the statements before it to partition ${home}`;
      return apart(planned, prefix + other);
    }
  }
  const generates = places.some((place) => place.kind === 'data');
  if (generates && home === SYSTEM_PARTITION) {
    return apart(planned, 'it writes a reference table and a partitioned one');
  }
  if (home === null && !generates && places.some((place) => place.kind === 'reference'))
    home = SYSTEM_PARTITION;
  return home ?? (token === null ? anyPartition(known) : known.tokens.partitionOf(token));
}

function apart(planned: readonly Planned[], why: string): PlanRefusal {
  const writes = planned.some(({ plan }) => neededRole(plan) !== 'read');
  return new PlanRefusal(
    writes ? 'multi-partition-write' : 'unsupported',
    `${why}: a batch runs in one partition until transactions span them; send one batch per partition key, or say ` +
      '"atomicity":"partition"',
  );
}

function placeOf(known: KnownNetwork, { plan, args }: Planned): Place {
  switch (plan.kind) {
    case 'route': {
      const bound = bindPin(plan.pin, args, known.tokens);
      if (bound.kind === 'one') return { kind: 'partition', partition: bound.partition };
      if (bound.kind === 'any') {
        if (plan.access === 'write') return { kind: 'data' };
        return { kind: plan.tables.reference.length > 0 ? 'reference' : 'any' };
      }
      return none(
        'multi-partition-write',
        `its rows belong to partitions ${bound.partitions.join(', ')}: insert the rows of one partition key at a time, ` +
          'or say "atomicity":"partition"',
      );
    }
    case 'reference-write':
    case 'system':
      return { kind: 'partition', partition: SYSTEM_PARTITION };
    case 'pragma':
      return { kind: 'any' };
    case 'scatter-write':
      return none('multi-partition-write', plan.message);
    case 'scatter':
      return none('unsupported', 'it reads several partitions: send it to /v1/query by itself');
    default:
      return none(
        'unsupported',
        `${plan.kind} statements cannot be batched with others: send them by themselves`,
      );
  }
}

function none(code: ErrorCode, message: string): Place {
  return { kind: 'none', error: new PlanRefusal(code, message) };
}

let turn = 0;

/** Takes turns, so that work that may run anywhere is spread. */
function anyPartition(known: KnownNetwork): PartitionId {
  const partitions = known.tokens.partitions();
  turn = (turn + 1) % partitions.length;
  return partitions[turn] as PartitionId;
}
