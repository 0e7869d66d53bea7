import { asciiLower } from '../../base/ascii.ts';
import type { PartitionId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { inColumn } from '../schema/affinity.ts';
import { looseIdColumn } from '../schema/loose-ids.ts';
import type { Table } from '../schema/table.ts';
import type { TokenMap } from '../schema/token-map.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import type { Expression, Insert } from '../sql/ast.ts';
import { hasConflictClause } from '../sql/conflict-clause.ts';
import { type Arguments, bindPin, partitionsOfRows } from './bind.ts';
import { keyColumns, refuseIdChange } from './change.ts';
import type { GivenIds, KeySource, Plan, Staged } from './plan.ts';
import { type Layout, valueIn } from './row-values.ts';

/**
 * The ids that an INSERT of rows gives itself, where ids do not say which partition has their rows: all partitions must have
 * looked that nobody has them (core/replica/claims.ts). Undefined: it gives none. A parameter may be NULL, as objects of an ORM
 * have it before they are saved; of what cannot claim ids the partition refuses what is not.
 */
export function givenIdsOf(
  layout: Layout,
  ast: Insert,
  rows: readonly (readonly Expression[])[],
  staged: Staged | undefined,
): GivenIds | undefined {
  const { table, places } = layout;
  const id = table.rowidColumn ?? table.rowidName;
  if (id === null || keyColumns(table).includes(asciiLower(id)) || !places.has(asciiLower(id)))
    return undefined;
  const values = rows.map((row) => valueIn(layout, asciiLower(id), row) ?? refuseExpression(table, id));
  const given = values.map((value) => (value.kind === 'literal' && value.value === null ? null : value));
  if (given.every((value) => value === null)) return undefined;
  // Rows in the way of those with a clause are looked for everywhere.
  const isSettled = !hasConflictClause(ast) || staged !== undefined;
  if (looseIdColumn(table) !== null && isSettled) return { table: table.name, values: given };
  if (given.some((value) => value?.kind === 'literal')) refuseGivenId(table, id, ast);
  return undefined;
}

function refuseExpression(table: Table, id: string): never {
  return refuse(
    'needs-global-index',
    `"${id}" is the id of "${table.name}", which is not its partition key: it must be a literal or a parameter, since all partitions are ` +
      'asked for it before; compute it before',
  );
}

function refuseGivenId(table: Table, id: string, ast: Insert): void {
  if (!hasConflictClause(ast)) refuseIdChange(table, asciiLower(id), id);
  refuse(
    'needs-global-index',
    `"${id}" is the id of "${table.name}", which is not its partition key: the row in its way may be in another partition, so that it can be ` +
      'given in an INSERT without this clause only; do what it says when that fails with "constraint"',
  );
}

/** Whether the statement gives ids with these arguments. */
export function givesIds(plan: Plan, args: Arguments): boolean {
  if ((plan.kind !== 'route' && plan.kind !== 'scatter-write') || plan.ids === undefined) return false;
  return plan.ids.values.some((source) => source !== null && givenValue(source, args) !== null);
}

/** An id that is given, and the partition that its row goes to. Null: it is no integer, for which SQLite refuses the row. */
export interface PlacedId {
  readonly table: string;
  readonly id: bigint | null;
  readonly partition: PartitionId;
}

/** What a statement gives with these arguments. */
export function placedIds(plan: Plan, args: Arguments, map: TokenMap): readonly PlacedId[] {
  if ((plan.kind !== 'route' && plan.kind !== 'scatter-write') || plan.ids === undefined) return [];
  const { table, values } = plan.ids;
  const given = values.map((source) => source && givenValue(source, args));
  if (given.every((value) => value === null)) return [];
  const partitions = plan.kind === 'route' ? null : plan.rows && partitionsOfRows(plan.rows, args, map);
  const bound = plan.kind === 'route' ? bindPin(plan.pin, args, map) : null;
  return given.flatMap((value, row) => {
    const partition = bound?.kind === 'one' ? bound.partition : partitions?.[row];
    return value === null || partition == null ? [] : [{ table, id: integerId(value), partition }];
  });
}

function givenValue(source: KeySource, args: Arguments): SqlValue {
  return source.kind === 'literal' ? source.value : (args[source.index - 1] ?? null);
}

/** The id that a value is as an INTEGER PRIMARY KEY; null: it is none. */
export function integerId(value: SqlValue): bigint | null {
  const stored = inColumn(value, 'INTEGER');
  return typeof stored === 'bigint' ? stored : null;
}
