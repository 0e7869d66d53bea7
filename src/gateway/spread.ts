import { asciiLower } from '../base/ascii.ts';
import type { PartitionId } from '../base/brand.ts';
import type { Plan } from '../core/plan/plan.ts';
import type { Schema } from '../core/schema/catalogue.ts';
import type { RingRange } from '../protocol/transaction.ts';
import type { KnownNetwork } from './known-network.ts';
import { type Planned, PlanRefusal } from './planned.ts';

/** Whether the write may change rows, or entries of indexes, in other partitions than those that run it: only a transaction can. */
export function spreads(plan: Plan): boolean {
  if (takesReferred(plan)) return true;
  if (plan.kind !== 'route' && plan.kind !== 'scatter-write') return false;
  return plan.moves !== undefined || plan.indexes !== undefined;
}

/** Partitions without a part of their own, of a transaction in which all have one. */
export function otherPartitions(
  { tokens }: KnownNetwork,
  parts: readonly { readonly partition: PartitionId }[],
): PartitionId[] {
  const working = new Set(parts.map(({ partition }) => partition));
  return tokens.partitions().filter((partition) => !working.has(partition));
}

/** Whether it takes rows of a reference table away that rows of others may refer to, wherever these are. */
export function takesReferred(plan: Plan): boolean {
  return plan.kind === 'reference-write' && plan.referring !== undefined;
}

/** Whether the system partition writes for it. */
export function writesCopies(plan: Plan): boolean {
  return (plan.kind === 'gathered-insert' ? plan.insert : plan).kind === 'reference-write';
}

/** What an anchor needs to know of who owns what; undefined if it needs nothing. */
export function ringFor(known: KnownNetwork, planned: readonly Planned[]): RingRange[] | undefined {
  if (!planned.some(({ plan }) => spreads(plan))) return undefined;
  return ringOf(known);
}

export function ringOf(known: KnownNetwork): RingRange[] {
  return known.tokens.ranges.map(({ start, partition }) => [start, partition, known.epochOf(partition)]);
}

/**
 * Rows that a statement moves are where they belong only in the end, and what foreign keys over partitions do to rows is done
 * in the end. A later statement that uses their table would not see that.
 *
 * @throws PlanRefusal
 */
export function refuseUseOfMoved({ schema }: KnownNetwork, planned: readonly Planned[]): void {
  const moved = new Map<string, number>();
  for (const [index, { plan }] of planned.entries()) {
    const used = moved.size === 0 ? undefined : usedBy(plan, schema).find((name) => moved.has(name));
    if (used !== undefined) {
      const by = moved.get(used) ?? 0;
      const byKeys = planned[by]?.plan.kind === 'reference-write';
      throw new PlanRefusal(
        'unsupported',
        byKeys
          ? `statements[${index}] uses "${used}", whose rows the foreign keys of what statements[${by}] takes away may change: send it in another request`
          : `statements[${index}] uses "${used}", whose rows statements[${by}] may move or change over partitions once all have run: ` +
              'send it in a later request, or put it before',
      );
    }
    for (const name of changedInTheEnd(plan)) moved.set(asciiLower(name), index);
  }
}

/** Names of the tables whose rows a statement moves, or has foreign keys change: not in its turn. */
export function changedInTheEnd(plan: Plan): readonly string[] {
  if (plan.kind === 'gathered-insert') return changedInTheEnd(plan.insert);
  if (plan.kind === 'reference-write') return plan.acts ?? [];
  if (plan.kind !== 'route' && plan.kind !== 'scatter-write') return [];
  return [...(plan.moves ?? []), ...(plan.acts ?? [])];
}

/** Lower-case names of the tables that a statement reads or writes, and of those that rows which it writes refer to. */
function usedBy(plan: Plan, schema: Schema): string[] {
  return [...tablesOf(plan), ...parentsOf(plan, schema)];
}

/** Lower-case names of the tables that a statement reads or writes. */
export function tablesOf(plan: Plan): string[] {
  if (!('tables' in plan) || plan.kind === 'system') return [];
  const reached = 'reaches' in plan ? plan.reaches : [];
  return [...plan.tables.partitioned, ...reached].map(asciiLower);
}

/** Lower-case names of the tables that rows which it writes refer to, as SQLite looks for them. */
export function parentsOf(plan: Plan, schema: Schema): string[] {
  if (!('reaches' in plan)) return [];
  const written = [...plan.tables.partitioned, ...plan.reaches];
  return written.flatMap(
    (name) => schema.table(name)?.foreignKeys.map(({ parent }) => asciiLower(parent)) ?? [],
  );
}
