import { asciiLower } from '../base/ascii.ts';
import type { PartitionId, TableId } from '../base/brand.ts';
import { placedIds } from '../core/plan/given-ids.ts';
import type { ClaimedIds } from '../protocol/transaction.ts';
import type { KnownNetwork } from './known-network.ts';
import { type Planned, PlanRefusal } from './planned.ts';
import { changedInTheEnd } from './spread.ts';
import { NO_STAGE, type Stage } from './stage.ts';

/** Ids that statements give, and the partition that the row with each goes to: of several statements, the last one's. */
export type Claims = ReadonlyMap<TableId, ReadonlyMap<bigint, PartitionId>>;

/**
 * The ids that statements give in tables whose ids do not say where a row is: then they are a transaction over all partitions. Null:
 * they give none. Of statements that look for rows in their way: where they run, whose rows leave only then for where they belong, and
 * `met`, ids of rows that are known to be there, and are to make way or be changed.
 *
 * @throws PlanRefusal
 */
export function claimsOf(
  known: KnownNetwork,
  planned: readonly Planned[],
  { places, met }: Pick<Stage, 'places' | 'met'> = NO_STAGE,
): Claims | null {
  const claims = new Map<TableId, Map<bigint, PartitionId>>();
  for (const each of planned) {
    const { plan, args } = each;
    for (const { table: name, id, partition } of placedIds(plan, args, known.tokens)) {
      const table = known.schema.table(name)?.id as TableId;
      const own = claims.get(table) ?? new Map<bigint, PartitionId>();
      if (id !== null && met.get(table)?.has(id) !== true) own.set(id, places.get(each) ?? partition);
      claims.set(table, own);
    }
  }
  if (claims.size === 0) return null;
  refuseMoves(known, planned, claims);
  return claims;
}

/** Parts in all partitions, each asked for all ids. */
export function withClaims<Part extends { readonly partition: PartitionId }>(
  parts: readonly Part[],
  claims: Claims,
): (Part & { readonly ids: ClaimedIds[] })[] {
  return parts.map((part) => ({ ...part, ids: claimedIn(claims, part.partition) }));
}

/** What one partition is asked for. */
function claimedIn(claims: Claims, partition: PartitionId): ClaimedIds[] {
  return [...claims].map(([table, ids]) => {
    const texts = (isHere: boolean) =>
      [...ids].filter(([, at]) => (at === partition) === isHere).map(([id]) => String(id));
    return { table, here: texts(true), elsewhere: texts(false) };
  });
}

/** A row that comes to a partition in the end comes after that has looked. */
function refuseMoves({ schema }: KnownNetwork, planned: readonly Planned[], claims: Claims): void {
  const names = [...claims.keys()].map((id) => asciiLower(schema.stored.get(id)?.name ?? ''));
  for (const [index, { plan }] of planned.entries()) {
    const moved = changedInTheEnd(plan).find((name) => names.includes(asciiLower(name)));
    if (moved === undefined) continue;
    throw new PlanRefusal(
      'unsupported',
      `statements[${index}] may move or change rows of "${moved}" over partitions, for which another one gives an id: send it by itself`,
    );
  }
}
