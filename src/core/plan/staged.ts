import { asciiLower } from '../../base/ascii.ts';
import type { TableId } from '../../base/brand.ts';
import type { Schema } from '../schema/catalogue.ts';
import { looseIdColumn } from '../schema/loose-ids.ts';
import type { ForeignKey, Index, Table } from '../schema/table.ts';
import type { UniqueIndex } from '../schema/unique-index.ts';
import { Refusal, refuse } from '../sql/analysis/refusal.ts';
import type { Expression, Insert, Upsert } from '../sql/ast.ts';
import type { KeyClass, KeySource, KeyTuple, Staged, StagedConstraint } from './plan.ts';
import { type Layout, valueIn } from './row-values.ts';

/**
 * INSERT … VALUES with a clause for rows in its way that may be in other partitions: the router looks for them first, and they
 * are visitors in the partition that runs the statement (core/replica/visitors.ts). Undefined: it has no such clause. Refuses
 * what would need more of another partition than those rows. `apart`: the rows have several partition keys.
 */
export function stagedOf(
  schema: Schema,
  layout: Layout,
  ast: Insert,
  rows: readonly (readonly Expression[])[],
  apart: boolean,
): Staged | undefined {
  const { table } = layout;
  const indexes = schema.uniquesOf(table);
  const byIndex = indexes.length > 0 && looksFurther(ast, indexes);
  const id = givesIds(layout, ast, rows) ? looseIdColumn(table) : null;
  if (byIndex) return planStaged(schema, layout, ast, rows, { apart, id, byIds: false });
  if (id === null) return undefined;
  try {
    return planStaged(schema, layout, ast, rows, { apart, id, byIds: true });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { code, message } = error;
    const none = { constraints: [], rowsMayMeet: true, keeps: false, apart };
    return { table: table.name, ...none, byIds: true, refusal: { code, message } };
  }
}

interface Looking {
  readonly apart: boolean;
  /** The column of ids that are given, which do not say where their rows are; null: none are. */
  readonly id: string | null;
  readonly byIds: boolean;
}

function planStaged(
  schema: Schema,
  layout: Layout,
  ast: Insert,
  rows: readonly (readonly Expression[])[],
  { apart, id, byIds }: Looking,
): Staged {
  const { table } = layout;
  const indexes = schema.uniquesOf(table);
  if (indexes.some(({ state }) => state === 'filling')) {
    refuse(
      'needs-global-index',
      `${clauseOf(ast)}: an index of "${table.name}" is being built over its rows, and does not know all rows in the way yet: ` +
        'send it again when GET /v1/schema shows that it is there',
    );
  }
  const sets = setColumns(ast);
  const local = localConstraints(table, indexes);
  const unique = [...indexes.map(({ columns }) => columns), ...local];
  refuseSeveralTargets(table, ast, unique.length);
  if (schema.triggersOn(table.name).length > 0) {
    refuse(
      'needs-global-index',
      `${clauseOf(ast)}: "${table.name}" has triggers, and the rows in the way may be in other partitions: ` +
        'look the row up first, or drop the triggers',
    );
  }
  refuseRelatives(schema, table, ast, sets);
  const keeps =
    ast.or === 'REPLACE'
      ? unique.length === 1
      : !unique.some((columns) => columns.some((column) => sets.has(asciiLower(column))));
  const rowsMayMeet = rows.length === 1 || keeps;
  if (apart) refuseParents(schema, table, ast);
  const all = apart || !rowsMayMeet;
  if (all) refuseExpressions(table, ast);
  const constraint = (columns: readonly string[], index: TableId | null): StagedConstraint => {
    const everywhere = id !== null && columns.join() === id;
    return {
      index,
      everywhere,
      takesNull: !columns.some((column) => getsDefault(table, column, ast)),
      columns,
      classes: classesOf(table, columns),
      values: rows.map((row) => valuesOf(layout, columns, row, index !== null || everywhere || all, ast)),
    };
  };
  return {
    table: table.name,
    constraints: [
      ...indexes.map(({ table: { id }, columns }) => constraint(columns, id)),
      ...local.map((columns) => constraint(columns, null)),
    ],
    rowsMayMeet,
    keeps,
    apart,
    byIds,
  };
}

/** Whether rows may have ids of their own, and the statement says what to do with rows that have them. */
function givesIds(layout: Layout, ast: Insert, rows: readonly (readonly Expression[])[]): boolean {
  const id = looseIdColumn(layout.table);
  if (id === null || !layout.places.has(asciiLower(id))) return false;
  const values = rows.map((row) => valueIn(layout, asciiLower(id), row));
  return settles(ast) && !values.every((value) => value?.kind === 'literal' && value.value === null);
}

/** Whether the clause is for rows that may be anywhere. */
function looksFurther(ast: Insert, indexes: readonly UniqueIndex[]): boolean {
  const { upserts } = ast;
  return settles(ast) && (upserts.length === 0 || upserts.some((each) => concerns(each, indexes)));
}

/** Whether the statement says what becomes of rows in its way, and goes on. */
function settles({ or, upserts }: Insert): boolean {
  if (upserts.length > 0) return or === null || or === 'ABORT';
  return or === 'IGNORE' || or === 'REPLACE';
}

/** An upsert without a target stands for every constraint. */
export function concerns({ target }: Upsert, indexes: readonly Pick<UniqueIndex, 'columns'>[]): boolean {
  if (target === null || target === undefined) return true;
  const names = target.flatMap(({ expression }) =>
    expression.kind === 'column' ? [asciiLower(expression.name.name)] : [],
  );
  return indexes.some(
    ({ columns }) =>
      columns.length === names.length && columns.every((column) => names.includes(asciiLower(column))),
  );
}

export function clauseOf(ast: Insert): string {
  if (ast.upserts.length > 0) return 'ON CONFLICT';
  return ast.or === 'REPLACE' ? 'REPLACE' : `INSERT OR ${ast.or}`;
}

function setColumns({ upserts }: Insert): ReadonlySet<string> {
  const sets = upserts.flatMap((upsert) => upsert.set ?? []);
  return new Set(sets.flatMap(({ columns }) => columns.map(({ name }) => asciiLower(name))));
}

/** Constraints that each partition keeps by itself, the row's id too; those with expressions are left out. */
function localConstraints(table: Table, indexes: readonly UniqueIndex[]): (readonly string[])[] {
  const seen = new Set(indexes.map(({ columns }) => columns.map(asciiLower).join()));
  const id = table.rowidColumn ?? table.rowidName;
  const all = [...table.indexes.filter((index) => index.unique && !isOdd(table, index)).map(plainColumns)];
  if (id !== null) all.push([id]);
  return all.filter((columns) => {
    const key = columns.map(asciiLower).join();
    const fresh = !seen.has(key);
    seen.add(key);
    return fresh;
  });
}

function plainColumns({ columns }: Index): string[] {
  return columns.filter((name) => name !== null);
}

/** What it compares is not among the values of an INSERT. */
function isOdd(table: Table, { columns }: Index): boolean {
  return columns.some((name) => name === null || isGenerated(table, name));
}

/** That a value was in nobody's way is seen to where a row with it comes. Which clause takes effect must not depend on more. */
function refuseSeveralTargets(table: Table, { upserts }: Insert, constraints: number): void {
  const [first] = upserts;
  const open = (first?.target ?? null) === null && (first?.set ?? null) !== null && constraints > 1;
  if (upserts.length <= 1 && !open) return;
  refuse(
    'needs-global-index',
    `ON CONFLICT: "${table.name}" has constraints over partitions: name one of its constraints, in one clause`,
  );
}

/** Foreign keys are looked after where a row is, and its children and parents are. */
function refuseRelatives(schema: Schema, table: Table, ast: Insert, sets: ReadonlySet<string>): void {
  const children = schema.catalogue.tables.filter(({ placement }) => placement.kind === 'partitioned');
  const refering = children.flatMap((child) =>
    child.foreignKeys.flatMap((key) =>
      asciiLower(key.parent) === asciiLower(table.name)
        ? [{ child, columns: parentColumns(table, key) }]
        : [],
    ),
  );
  const [one] = refering;
  if (ast.or === 'REPLACE' && one !== undefined) {
    refuse(
      'needs-global-index',
      `REPLACE: rows of "${one.child.name}" refer to rows of "${table.name}", which may be in other partitions: use ON CONFLICT DO UPDATE`,
    );
  }
  const parents = table.foreignKeys.filter(
    ({ parent }) => schema.table(parent)?.placement.kind === 'partitioned',
  );
  const bound = [...refering.flatMap(({ columns }) => columns), ...parents.flatMap(({ columns }) => columns)];
  const set = bound.find((column) => sets.has(asciiLower(column)));
  if (set === undefined) return;
  refuse(
    'needs-global-index',
    `ON CONFLICT: "${set}" of "${table.name}" belongs to a foreign key, whose other row may be in another partition: leave it out of SET, and use UPDATE`,
  );
}

function parentColumns({ columns }: Table, { parentColumns: named }: ForeignKey): readonly string[] {
  if (named.length > 0) return named;
  return columns.filter(({ primaryKeyIndex }) => primaryKeyIndex > 0).map(({ name }) => name);
}

/** Rows that refer to others of theirs would not find these where the statement runs. */
function refuseParents(schema: Schema, table: Table, ast: Insert): void {
  const key = table.foreignKeys.find((each) => schema.table(each.parent)?.placement.kind === 'partitioned');
  if (key === undefined) return;
  refuse(
    'needs-global-index',
    `${clauseOf(ast)}: the rows refer to rows of "${key.parent}" in several partitions: insert rows of one partition key at a time`,
  );
}

function refuseExpressions(table: Table, ast: Insert): void {
  const odd = table.indexes.find((index) => index.unique && isOdd(table, index));
  if (odd === undefined) return;
  refuse(
    'needs-global-index',
    `${clauseOf(ast)}: what the index "${odd.name}" compares is not known before: insert one row at a time`,
  );
}

function isGenerated({ columns }: Table, name: string): boolean {
  return columns.some((column) => asciiLower(column.name) === asciiLower(name) && column.generated !== 'no');
}

function classesOf(table: Table, names: readonly string[]): KeyClass[] {
  return names.map((name) => {
    const column = table.columns.find((each) => asciiLower(each.name) === asciiLower(name));
    return { affinity: column?.affinity ?? 'INTEGER', collation: column?.collation ?? 'BINARY' };
  });
}

/** REPLACE puts the default in the place of a NULL that may not be: https://www.sqlite.org/lang_conflict.html. */
function getsDefault({ columns }: Table, name: string, { or }: Insert): boolean {
  const column = columns.find((each) => asciiLower(each.name) === asciiLower(name));
  return or === 'REPLACE' && column?.notNull === true && column.defaultSql !== null;
}

/** Null: nothing is equal to them, or they need not be known. */
function valuesOf(
  layout: Layout,
  columns: readonly string[],
  row: readonly Expression[],
  needed: boolean,
  ast: Insert,
): KeyTuple | null {
  const values: KeySource[] = [];
  for (const column of columns) {
    const value = valueIn(layout, asciiLower(column), row);
    if (value === null) {
      if (!needed) return null;
      refuse(
        'needs-global-index',
        `${clauseOf(ast)}: "${column}" of "${layout.table.name}" must be a literal or a parameter, since the row in its way is looked ` +
          'for first: compute it before',
      );
    }
    if (value.kind === 'literal' && value.value === null) {
      if (!getsDefault(layout.table, column, ast)) return null;
      refuse(
        'needs-global-index',
        `REPLACE: NULL for "${column}" of "${layout.table.name}" becomes its default, and the row in its way is looked for first: give the value`,
      );
    }
    values.push(value);
  }
  return values;
}
