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
  const touched = touchedTables(plan, written, schema);
  return {
    touched: idsOf(touched ?? schema.catalogue.tables),
    written: idsOf(written),
    volatile: isVolatile(statement, args, written, schema),
  };
}

/** Of rows of these tables that others have made for this partition. */
export function accessOfRows(tables: readonly Table[], schema: Schema): Access {
  const touched = [...tables, ...tables.flatMap((table) => relatives(table, schema))];
  return { touched: idsOf(touched), written: idsOf(tables), volatile: false };
}

/** The statement's own target first; all tables where it is not known which. */
function writtenTables(statement: Statement, plan: Plan | null, schema: Schema): readonly Table[] {
  if (statement.kind !== 'insert' && statement.kind !== 'update' && statement.kind !== 'delete') return [];
  const target = schema.table(statement.table.name.name);
  if (target === undefined) return schema.catalogue.tables;
  if (plan?.kind === 'route' || plan?.kind === 'scatter-write')
    return [target, ...tablesNamed(plan.reaches, schema)];
  return [target, ...schema.catalogue.tables.filter((table) => table !== target)];
}

/** Null: it is not known which. */
function touchedTables(
  plan: Plan | null,
  written: readonly Table[],
  schema: Schema,
): readonly Table[] | null {
  if (plan?.kind !== 'route' && plan?.kind !== 'scatter' && plan?.kind !== 'scatter-write') return null;
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
