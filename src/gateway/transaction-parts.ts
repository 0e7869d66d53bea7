import type { PartitionId } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { bindPin } from '../core/plan/bind.ts';
import type { WireStatement } from '../protocol/execute.ts';
import type { RingRange, TransactionPart } from '../protocol/transaction.ts';
import { claimsOf, withClaims } from './claims.ts';
import { type GroupPart, gatheredParts } from './group-parts.ts';
import type { KeyedRequest } from './keyed-request.ts';
import type { KnownNetwork } from './known-network.ts';
import { partsByPartition, placesOf, writeParts } from './parts.ts';
import { neededRole, type Planned, PlanRefusal } from './planned.ts';
import { refuseUseBeforeWrite } from './reference-order.ts';
import { scatterParts } from './scatter-parts.ts';
import { otherPartitions, refuseUseOfMoved, ringFor, ringOf, takesReferred, writesCopies } from './spread.ts';
import { running, type Stage } from './stage.ts';

/** What partitions do for a transaction over several, and who coordinates them. */
export interface Arranged {
  readonly anchor: PartitionId;
  /** Nobody changes anything. */
  readonly read: boolean;
  /** Of those that have something to answer: their statements, as the client's. */
  readonly work: readonly (readonly [PartitionId, readonly GroupPart[]])[];
  readonly parts: readonly TransactionPart[];
  readonly ring: readonly RingRange[] | undefined;
}

/** `instant`: the statements' present time, Unix ms. @throws PlanRefusal */
export function arrange(
  known: KnownNetwork,
  planned: readonly Planned[],
  keyed: KeyedRequest | null,
  stage: Stage,
  instant: number,
): Arranged {
  const all = running(planned, stage);
  refuseUseOfMoved(known, all);
  refuseUseBeforeWrite(known, all);
  const claims = claimsOf(known, all, stage);
  const ring = claims === null ? ringFor(known, all) : ringOf(known);
  // Where the others run does not depend on what was read.
  const fixed = planned.filter((each) => !stage.gathered.has(each));
  const partsOfOne = (each: Planned) => {
    const at = stage.places.get(each);
    return at === undefined
      ? partsOf(known, each, fixed, { instant, keyed })
      : ([[at, each.statement]] as const);
  };
  const work = [
    ...partsByPartition<Omit<GroupPart, 'index'>>(planned, (each) => {
      const gathered = stage.gathered.get(each);
      if (gathered !== undefined)
        return gatheredParts(gathered, partsOfOne, (insert) => placesOf(known, insert));
      return partsOfOne(each).map(([partition, statement]) => [partition, { statements: [statement] }]);
    }),
  ];
  const own = work.map(([partition, each]) => {
    const visitors = stage.visitors.get(partition);
    return {
      ...transactionPart(known, planned, partition, each),
      ...(visitors !== undefined && { visitors }),
    };
  });
  const everywhere = claims !== null || all.some(({ plan }) => takesReferred(plan));
  const everybody = everywhere ? withIdle(known, own) : own;
  const parts = claims === null ? everybody : withClaims(everybody, claims);
  return {
    anchor: anchorOf(known, planned, parts, keyed),
    // That nothing was there to be inserted is the answer to the key for good.
    read: parts.every((part) => part.read) && (keyed === null || stage.gathered.size === 0),
    work,
    parts,
    ring,
  };
}

/**
 * The home of a key depends on the key alone: a retry meets its record there, however it is planned. But for reference tables, which are
 * written by the system partition whatever is written beside them.
 */
function anchorOf(
  known: KnownNetwork,
  planned: readonly Planned[],
  parts: readonly TransactionPart[],
  keyed: KeyedRequest | null,
): PartitionId {
  if (planned.some(({ plan }) => writesCopies(plan))) return SYSTEM_PARTITION;
  if (keyed !== null) return known.tokens.partitionOf(keyed.token);
  return (parts.find((part) => !part.read) ?? parts[0])?.partition as PartitionId;
}

/** What decides where statements run that may run anywhere: the same for a repeat under the same key. */
interface Turn {
  readonly instant: number;
  readonly keyed: KeyedRequest | null;
}

/** Where a statement's parts are, and what each runs. */
function partsOf(
  known: KnownNetwork,
  each: Planned,
  all: readonly Planned[],
  turn: Turn,
): readonly (readonly [PartitionId, WireStatement])[] {
  const { plan, args, statement } = each;
  const { instant } = turn;
  switch (plan.kind) {
    case 'scatter': {
      const parts = scatterParts(known, each, plan, instant);
      return parts.partitions.map((partition) => [partition, parts.statement]);
    }
    case 'route':
      if (bindPin(plan.pin, args, known.tokens).kind === 'any')
        return [[anywhere(known, each, all, turn), statement]];
      return writeParts(known, each, instant);
    case 'scatter-write':
      return writeParts(known, each, instant);
    case 'reference-write':
      return [[SYSTEM_PARTITION, statement]];
    default:
      throw new PlanRefusal(
        'unsupported',
        `${plan.kind} statements cannot be batched with others: send them by themselves`,
      );
  }
}

/** Reference tables are read where they are written; what has no rows yet goes where others are, or by its key or the time to one of all. */
function anywhere(
  known: KnownNetwork,
  { plan }: Planned,
  all: readonly Planned[],
  { instant, keyed }: Turn,
): PartitionId {
  if (plan.kind === 'route' && plan.access === 'read' && plan.tables.reference.length > 0)
    return SYSTEM_PARTITION;
  for (const other of all) {
    if (other.plan.kind !== 'route') continue;
    const bound = bindPin(other.plan.pin, other.args, known.tokens);
    if (bound.kind === 'one') return bound.partition;
  }
  if (keyed !== null) return known.tokens.partitionOf(keyed.token);
  const partitions = known.tokens.partitions();
  return partitions[instant % partitions.length] as PartitionId;
}

function transactionPart(
  known: KnownNetwork,
  planned: readonly Planned[],
  partition: PartitionId,
  parts: readonly GroupPart[],
): TransactionPart {
  const part = {
    partition,
    epoch: known.epochOf(partition),
    read: parts.every((each) => isRead(each, planned)),
    statements: parts.flatMap(({ statements }) => statements),
  };
  if (parts.every(({ statements, expects }) => statements.length === 1 && expects === undefined)) return part;
  return {
    ...part,
    groups: parts.map(({ statements, expects }) => ({
      count: statements.length,
      ...(expects !== undefined && { expects }),
    })),
  };
}

function isRead({ index, statements, expects }: GroupPart, planned: readonly Planned[]): boolean {
  const own = statements.length - (expects === undefined ? 0 : 1);
  return own === 0 || neededRole((planned[index] as Planned).plan) === 'read';
}

/** Every partition has a part, which may have to change something. */
function withIdle(known: KnownNetwork, parts: readonly TransactionPart[]): TransactionPart[] {
  const idle = otherPartitions(known, parts).map((partition) => transactionPart(known, [], partition, []));
  // No row of a partitioned table is in the system partition.
  return [...parts, ...idle].map((part) => ({
    ...part,
    read: part.partition === SYSTEM_PARTITION && part.read,
  }));
}
