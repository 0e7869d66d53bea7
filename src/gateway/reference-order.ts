import { asciiLower } from '../base/ascii.ts';
import type { Schema } from '../core/schema/catalogue.ts';
import type { KnownNetwork } from './known-network.ts';
import { type Planned, PlanRefusal } from './planned.ts';
import { parentsOf, tablesOf } from './spread.ts';

/**
 * Reference tables are written before anything else of a transaction runs, so that all partitions have the rows. A statement that
 * uses such a table and stands before would see what comes after it.
 *
 * @throws PlanRefusal
 */
export function refuseUseBeforeWrite({ schema }: KnownNetwork, planned: readonly Planned[]): void {
  const used = new Map<string, number>();
  for (const [index, each] of planned.entries()) {
    if (each.plan.kind === 'reference-write') {
      const written = [...each.plan.tables.reference, ...each.plan.reaches].find((name) =>
        used.has(asciiLower(name)),
      );
      if (written === undefined) continue;
      throw new PlanRefusal(
        'unsupported',
        `statements[${index}] writes the reference table "${written}", which statements[${used.get(asciiLower(written))}] uses: ` +
          'put writes of reference tables first',
      );
    }
    for (const name of usedElsewhere(each, schema)) if (!used.has(name)) used.set(name, index);
  }
}

/** Lower-case names of the reference tables that a statement uses in other partitions than the one that writes them. */
function usedElsewhere({ plan }: Planned, schema: Schema): string[] {
  if (!('tables' in plan) || plan.kind === 'system') return [];
  // Reference tables alone are read where they are written, in turn.
  if (plan.tables.partitioned.length === 0) return [];
  const fires = tablesOf(plan).some((name) => schema.triggersOn(name).length > 0);
  if (!fires) return [...plan.tables.reference.map(asciiLower), ...parentsOf(plan, schema)];
  // What triggers read is not told.
  return schema.catalogue.tables.flatMap(({ name, placement }) =>
    placement.kind === 'reference' ? [asciiLower(name)] : [],
  );
}
