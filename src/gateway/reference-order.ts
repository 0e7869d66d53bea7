import { asciiLower } from '../base/ascii.ts';
import type { Schema } from '../core/schema/catalogue.ts';
import type { CopyUse } from '../protocol/interactive.ts';
import type { KnownNetwork } from './known-network.ts';
import { type Planned, PlanRefusal } from './planned.ts';
import { changedInTheEnd, parentsOf, tablesOf } from './spread.ts';

/** What statements use in other partitions than the system partition, by lower-case names: the first that does. */
interface Used {
  /** Reference tables that they read. */
  readonly read: Map<string, number>;
  /** Reference tables that rows which they write refer to. */
  readonly parents: Map<string, number>;
  /** Partitioned tables. */
  readonly own: Map<string, number>;
}

/**
 * Reference tables are written before anything else of a transaction runs, so that all partitions have the rows. A statement that
 * uses such a table and stands before would see what comes after it. But rows may be taken away whose children go before.
 *
 * @throws PlanRefusal
 */
export function refuseUseBeforeWrite({ schema }: KnownNetwork, planned: readonly Planned[]): void {
  const used: Used = { read: new Map(), parents: new Map(), own: new Map() };
  for (const [index, each] of planned.entries()) {
    if (each.plan.kind !== 'reference-write') {
      note(used, each, index, schema);
      continue;
    }
    const written = [...each.plan.tables.reference, ...each.plan.reaches].map(asciiLower);
    const what = (name: string) => `writes the reference table "${name}"`;
    refuse(index, written, used.read, what, FIRST);
    if (!onlyTakes(each, schema)) refuse(index, written, used.parents, what, FIRST);
    const { acts = [] } = each.plan;
    const changes = (name: string) => `has foreign keys change rows of "${name}"`;
    refuse(index, acts.map(asciiLower), used.own, changes, 'send that in another request');
  }
}

function refuse(
  index: number,
  names: readonly string[],
  used: ReadonlyMap<string, number>,
  what: (name: string) => string,
  instead: string,
): void {
  const name = names.find((each) => used.has(each));
  if (name === undefined) return;
  throw new PlanRefusal(
    'unsupported',
    `statements[${index}] ${what(name)}, which statements[${used.get(name)}] uses: ${instead}`,
  );
}

const FIRST = 'put writes of reference tables first';

/** Whether no row comes, for others to refer to. */
function onlyTakes({ plan, parsed }: Planned, schema: Schema): boolean {
  if (parsed.statement.kind !== 'delete' || plan.kind !== 'reference-write') return false;
  return [...plan.tables.reference, ...plan.reaches].every((name) => schema.triggersOn(name).length === 0);
}

/** Of one statement, for the keeper of its transaction. */
export function copiesIn({ schema }: KnownNetwork, planned: Planned): CopyUse {
  const { plan } = planned;
  if (plan.kind === 'reference-write')
    return { used: [], written: [...plan.tables.reference, ...plan.reaches].map(asciiLower) };
  const used: Used = { read: new Map(), parents: new Map(), own: new Map() };
  note(used, planned, 0, schema);
  const isReference = (name: string) => schema.table(name)?.placement.kind === 'reference';
  return { used: [...used.read.keys(), ...[...used.parents.keys()].filter(isReference)], written: [] };
}

function note(used: Used, each: Planned, index: number, schema: Schema): void {
  const { plan } = each;
  if (!('tables' in plan) || plan.kind === 'system') return;
  // Reference tables alone are read where they are written, in turn.
  if (plan.tables.partitioned.length === 0) return;
  const noteIn = (map: Map<string, number>, names: readonly string[]) => {
    for (const name of names) if (!map.has(asciiLower(name))) map.set(asciiLower(name), index);
  };
  noteIn(used.own, [...tablesOf(plan), ...changedInTheEnd(plan)]);
  noteIn(used.read, plan.tables.reference);
  noteIn(used.parents, parentsOf(plan, schema));
  if (!tablesOf(plan).some((name) => schema.triggersOn(name).length > 0)) return;
  // What triggers read is not told.
  const references = schema.catalogue.tables.filter(({ placement }) => placement.kind === 'reference');
  noteIn(
    used.read,
    references.map(({ name }) => name),
  );
}
