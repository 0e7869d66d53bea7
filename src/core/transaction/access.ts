import { asciiLower } from '../../base/ascii.ts';
import type { TableId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Plan } from '../plan/plan.ts';
import { FIRST_USER_TABLE_ID, type Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import type { Statement } from '../sql/ast.ts';
import { isVolatile } from './volatility.ts';

/** What decides whether a statement's answer and effects still hold. */
export interface Access {
  /** Tables whose rows it depends on. */
  readonly touched: ReadonlySet<TableId>;
  /** Tables that it may change. */
  readonly written: ReadonlySet<TableId>;
  /** Executed again on the same rows, it may do otherwise. */
  readonly volatile: boolean;
}

/** `plan`: null, or not that of a statement on rows: it may touch whatever there is. */
export function accessOf(
  statement: Statement,
  plan: Plan | null,
  args: readonly SqlValue[],
  schema: Schema,
): Access {
  const written = writtenTables(statement, plan, schema);
  const touched = touchedTables(plan, written, schema) ?? schema.catalogue.tables;
  return {
    touched: idsOf([...touched, ...judgedWith(written, schema)]),
    written: idsOf(written),
    volatile: isVolatile(statement, args, written, schema),
  };
}

/**
 * Of what others have made for this partition: rows of `tables` come and go, silently, and foreign keys act on rows of `acted`.
 * What actions do is not done a second time: their triggers and defaults may read anything.
 */
export function accessOfIncoming(tables: readonly Table[], acted: readonly Table[], schema: Schema): Access {
  const written = [...tables, ...acted];
  const fires = acted.some(({ name }) => schema.triggersOn(name).length > 0);
  const touched = fires ? schema.catalogue.tables : written.flatMap((table) => relatives(table, schema));
  return {
    touched: idsOf([...written, ...touched, ...judgedWith(written, schema)]),
    written: idsOf(written),
    volatile: acted.length > 0,
  };
}

/** What tells whether foreign keys over partitions hold: the entries of rows that refer, and who knows the keys that they refer to. */
function judgedWith(written: readonly Table[], schema: Schema): readonly Table[] {
  const ids = new Set(written.map(({ id }) => id));
  return (schema.catalogue.references ?? []).flatMap(({ table, unique, parent }) => {
    const authority = schema.stored.get(unique ?? parent);
    if (authority === undefined || !(ids.has(table.id) || ids.has(authority.id))) return [];
    return [table, authority];
  });
}

/** The statement's own target first; all tables where it is not known which. */
function writtenTables(statement: Statement, plan: Plan | null, schema: Schema): readonly Table[] {
  if (statement.kind !== 'insert' && statement.kind !== 'update' && statement.kind !== 'delete') return [];
  const target = schema.table(statement.table.name.name);
  if (target === undefined) return schema.catalogue.tables;
  if (plan?.kind === 'route' || plan?.kind === 'scatter-write' || plan?.kind === 'reference-write')
    return [target, ...tablesNamed(plan.reaches, schema)];
  return [target, ...schema.catalogue.tables.filter((table) => table !== target)];
}

/** Null: it is not known which. */
function touchedTables(
  plan: Plan | null,
  written: readonly Table[],
  schema: Schema,
): readonly Table[] | null {
  if (plan === null || !('tables' in plan) || plan.kind === 'system') return null;
  // A trigger's body may read anything.
  if (written.some(({ name }) => schema.triggersOn(name).length > 0)) return null;
  const { partitioned, reference } = plan.tables;
  return [
    ...tablesNamed([...partitioned, ...reference], schema),
    ...written,
    ...written.flatMap((table) => relatives(table, schema)),
  ];
}

/** Foreign keys look at rows of these when one of the table changes. */
function relatives(table: Table, schema: Schema): readonly Table[] {
  const parents = tablesNamed(
    table.foreignKeys.map(({ parent }) => parent),
    schema,
  );
  const own = asciiLower(table.name);
  const children = schema.catalogue.tables.filter(({ foreignKeys }) =>
    foreignKeys.some(({ parent }) => asciiLower(parent) === own),
  );
  return [...parents, ...children];
}

function tablesNamed(names: readonly string[], schema: Schema): readonly Table[] {
  return names.flatMap((name) => schema.table(name) ?? []);
}

function idsOf(tables: readonly Table[]): ReadonlySet<TableId> {
  return new Set(tables.map(({ id }) => id).filter((id) => id >= FIRST_USER_TABLE_ID));
}
