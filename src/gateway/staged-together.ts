import { asciiLower } from '../base/ascii.ts';
import type { PartitionId } from '../base/brand.ts';
import type { SqlValue } from '../base/sql-value.ts';
import type { Image } from '../core/log/commit.ts';
import { latin1 } from '../core/log/encoding.ts';
import { definitionOf } from '../core/log/layout.ts';
import { givesIds } from '../core/plan/given-ids.ts';
import type { KeyClass, RoutePlan, ScatterWritePlan, Staged } from '../core/plan/plan.ts';
import { encodeKey } from '../core/schema/partition-key.ts';
import type { Table } from '../core/schema/table.ts';
import { isErrorCode } from '../protocol/error.ts';
import { encodeRow } from '../protocol/json-value.ts';
import type { KnownNetwork } from './known-network.ts';
import { type Planned, PlanRefusal } from './planned.ts';
import { parentsOf, tablesOf } from './spread.ts';

/** INSERTs that look for rows in their way first (staged.ts), and other statements with them in one transaction. */

export type StagedPlan = (RoutePlan | ScatterWritePlan) & { readonly staged: Staged };

export function stagedPlan({ plan, args }: Pick<Planned, 'plan' | 'args'>): StagedPlan | null {
  if (plan.kind !== 'route' && plan.kind !== 'scatter-write') return null;
  const { staged } = plan;
  if (staged === undefined || (staged.byIds && !givesIds(plan, args))) return null;
  if (staged.refusal !== undefined) {
    const { code, message } = staged.refusal;
    throw new PlanRefusal(isErrorCode(code) ? code : 'unsupported', message);
  }
  return plan as StagedPlan;
}

/** Equal for values that are. */
export function valueText(values: readonly SqlValue[], classes: readonly KeyClass[]): string {
  return latin1(encodeKey(values, classes));
}

/** Such a statement among those of a request. */
export interface Looking {
  readonly each: Planned;
  readonly plan: StagedPlan;
  /** Where it runs. */
  readonly place: PartitionId;
  readonly sought: readonly Sought[];
}

/** Values of one constraint: rows with them are in the way. */
export interface Sought {
  /** Of the hidden table that says where; null: `home` has them. */
  readonly index: NonNullable<Staged['constraints'][number]['index']> | null;
  readonly home: PartitionId;
  readonly columns: readonly string[];
  readonly classes: readonly KeyClass[];
  readonly values: readonly SqlValue[];
}

/** A row in the way of a statement that runs at `place`. */
export interface Visit {
  readonly place: PartitionId;
  readonly table: Table;
  readonly image: Image;
}

/**
 * The rows in the way are looked for before any statement runs, and are where they do not belong while the statements run. Nothing
 * else may use them then, but INSERTs of the same kind that leave all values as they are.
 *
 * @throws PlanRefusal
 */
export function refuseUseOfStaged({ schema }: KnownNetwork, planned: readonly Planned[]): void {
  for (const [at, each] of planned.entries()) {
    const looking = stagedPlan(each);
    if (looking === null) continue;
    const { staged, kind } = looking;
    const table = asciiLower(staged.table);
    for (const [index, next] of planned.entries()) {
      if (index === at) continue;
      const { plan } = next;
      const other = stagedPlan(next)?.staged;
      if (other !== undefined && asciiLower(other.table) === table) {
        if (staged.keeps && other.keeps) continue;
        throw new PlanRefusal(
          'needs-global-index',
          `statements[${index}] and statements[${at}] may change values of "${staged.table}" that are unique over partitions, and look for rows ` +
            'with such values before either runs: send them in requests of their own',
        );
      }
      // Rows of one key come where they belong, and so do those that refer to them there.
      const isParent = kind !== 'route' && parentsOf(plan, schema).includes(table);
      const acts = 'acts' in plan ? (plan.acts ?? []) : [];
      if (!isParent && !tablesOf(plan).includes(table) && !acts.map(asciiLower).includes(table)) continue;
      throw new PlanRefusal(
        'needs-global-index',
        `statements[${index}] uses "${staged.table}", where statements[${at}] looks for rows in its way, which may be in other partitions, before ` +
          'any statement runs: send it in a request of its own',
      );
    }
  }
}

/** Statements that run in different places do not see each other's rows. @throws PlanRefusal */
export function refuseMeeting(looking: readonly Looking[]): void {
  for (const [table, own] of Map.groupBy(looking, ({ plan }) => plan.staged.table)) {
    const places = new Set(own.map(({ place }) => place));
    if (places.size > 1 && own.some(({ plan }) => plan.staged.apart)) throw apart(table);
  }
  const seen = new Map<string, PartitionId>();
  for (const { plan, place, sought } of looking) {
    for (const { columns, classes, values } of sought) {
      const text = `${asciiLower(plan.staged.table)} ${columns.join()} ${valueText(values, classes)}`;
      if ((seen.get(text) ?? place) !== place) throw apart(plan.staged.table);
      seen.set(text, place);
    }
  }
}

/** @throws PlanRefusal */
export function refuseSharedVisitor(visits: readonly Visit[]): void {
  const seen = new Map<string, PartitionId>();
  for (const { place, table, image } of visits) {
    const text = `${table.id} ${rowText(table, image)}`;
    if ((seen.get(text) ?? place) !== place) throw apart(table.name);
    seen.set(text, place);
  }
}

function apart(table: string): PlanRefusal {
  return new PlanRefusal(
    'unsupported',
    `two statements of the batch are about the same row of "${table}" or the same unique value, and theirs belong to different partitions: ` +
      'send one of them in a later request',
  );
}

/** Tells a row of the table from others. */
export function rowText(table: Table, image: Image): string {
  return encodeRow(definitionOf(table).key.map((at) => image[at] ?? null));
}
