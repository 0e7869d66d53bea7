import { present } from '../../base/assert.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { AtollError } from '../../protocol/error.ts';
import type { Schema } from '../schema/catalogue.ts';
import { definesConflicts } from '../schema/conflict-clause.ts';
import type { ForeignKey, Table } from '../schema/table.ts';
import type { Expression, Insert, ParsedStatement, Select, Statement } from '../sql/ast.ts';
import { hasConflictClause } from '../sql/conflict-clause.ts';
import { recursionEdits } from '../sql/recursion.ts';
import { type Edit, splice } from '../sql/splice.ts';
import { findAll } from '../sql/walk.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import { type BindingClass, bindingClass, parameterSql } from './bindings.ts';
import { keysAskedFor } from './foreign-key-list.ts';
import { type InsertIdentifiers, insertIdentifiers } from './insert-identifiers.ts';
import { type NumberClass, numberClasses } from './result-columns.ts';
import { tagsSql } from './typed-sql.ts';

/**
 * One statement made ready for one schema version: everything that does not depend on its arguments' values.
 * Kept by SQL text; statements are the hot path's only big objects.
 */
export interface Prepared {
  readonly sql: string;
  readonly parsed: ParsedStatement;
  readonly access: 'read' | 'write';
  /** The table written, or null for a SELECT. */
  readonly target: Table | null;
  readonly identifiers: InsertIdentifiers | null;
  /** Rows of an INSERT … VALUES that either inserts all of them or fails; null where SQLite must be asked. */
  readonly insertsAll: number | null;
  /** Columns that `RETURNING *` stands for, of a table or a view. */
  readonly targetColumns: readonly string[];
  /** Set when the numbers of each result column are told apart by their columns alone. */
  readonly classes: readonly NumberClass[] | null;
  /** Its result columns give another value, or much work again, when they are evaluated twice. */
  readonly evaluateOnce: boolean;
  /** What every execution inserts, whatever the arguments are. */
  readonly constantEdits: readonly Edit[];
  /** Of a PRAGMA: what it says besides. */
  readonly keys: readonly ForeignKey[];
  /** Texts for one combination of the arguments' classes, by that combination. */
  readonly variants: Map<string, string>;
  /** Names of a SELECT's result columns once they are known. */
  columns: readonly string[] | null;
}

/** `parsed` is a SELECT, INSERT, UPDATE, DELETE or a reading PRAGMA that the plan has let through. */
export function prepare(sql: string, parsed: ParsedStatement, schema: Schema): Prepared {
  const { statement } = parsed;
  const target = targetOf(statement, schema);
  return {
    sql,
    parsed,
    access: statement.kind === 'select' || statement.kind === 'pragma' ? 'read' : 'write',
    target,
    targetColumns:
      target === null ? viewColumnsOf(statement, schema) : target.columns.map(({ name }) => name),
    identifiers:
      statement.kind === 'insert' && target !== null ? insertIdentifiers(statement, target, sql) : null,
    insertsAll:
      statement.kind === 'insert' && target !== null ? rowsOfPlainInsert(statement, target, schema) : null,
    classes: statement.kind === 'select' ? numberClasses(statement, schema) : null,
    evaluateOnce: mustEvaluateOnce(statement, schema),
    constantEdits: [...recursionEdits(statement, sql), ...nameEdits(sql, parsed)],
    keys: keysAskedFor(statement, schema),
    variants: new Map(),
    columns: null,
  };
}

/** A conflict clause or a trigger's RAISE(IGNORE) may leave rows out. */
function rowsOfPlainInsert(insert: Insert, target: Table, schema: Schema): number | null {
  const { source } = insert;
  if (hasConflictClause(insert) || definesConflicts(target) || schema.triggersOn(target.name).length > 0)
    return null;
  if (source === null) return 1;
  const { body, compounds, limit } = source;
  return body.kind === 'values' && compounds.length === 0 && limit === null ? body.rows.length : null;
}

function targetOf(statement: Statement, schema: Schema): Table | null {
  if (statement.kind !== 'insert' && statement.kind !== 'update' && statement.kind !== 'delete') return null;
  return schema.table(statement.table.name.name) ?? null;
}

/** Whoever writes to what is neither a table nor a view of the schema is refused. */
function viewColumnsOf(statement: Statement, schema: Schema): readonly string[] {
  if (statement.kind !== 'insert' && statement.kind !== 'update' && statement.kind !== 'delete') return [];
  const { name } = statement.table.name;
  const view = schema.view(name);
  if (view === undefined) throw new AtollError('no-such-table', `no such table: ${name}`);
  return view.columns;
}

const RANDOM = /random/i;

function mustEvaluateOnce(statement: Statement, schema: Schema): boolean {
  if (findAll(statement, 'function').some((call) => RANDOM.test(call.function))) return true;
  if (findAll(statement, 'table').some(({ name }) => RANDOM.test(schema.view(name.name)?.sql ?? '')))
    return true;
  return findAll(statement, 'result-expression').some((column) => findAll(column, 'subquery').length > 0);
}

/** The combination of classes of the arguments: key of {@link Prepared.variants}. */
export function classesOfArguments(args: readonly SqlValue[]): string {
  let key = '';
  for (const value of args) key += bindingClass(value)[0];
  return key;
}

/** Replaces every parameter by the text for its argument's class. */
export function parameterEdits(prepared: Prepared, args: readonly SqlValue[]): Edit[] {
  const edits: Edit[] = [...prepared.constantEdits];
  for (const parameter of prepared.parsed.parameters) {
    const kind: BindingClass = bindingClass(args[parameter.index - 1] ?? null);
    edits.push({ start: parameter.start, end: parameter.end, text: parameterSql(parameter.index, kind) });
  }
  edits.push(...returningEdits(prepared, args));
  return edits;
}

/** The rewritten SELECT as it stands, cached by the arguments' classes. */
export function selectSql(prepared: Prepared, args: readonly SqlValue[]): string {
  const key = classesOfArguments(args);
  let sql = prepared.variants.get(key);
  if (sql === undefined) {
    // Without a trailing `;`, which would end a statement that this text is embedded in.
    sql = splice(prepared.sql.slice(0, prepared.parsed.end), parameterEdits(prepared, args));
    keepVariant(prepared, key, sql);
  }
  return sql;
}

/** Texts kept for one statement (chosen: few arguments change their class from one execution to the next). */
const VARIANTS_MAX = 64;

export function keepVariant({ variants }: Prepared, key: string, sql: string): void {
  if (variants.size >= VARIANTS_MAX) variants.clear();
  variants.set(key, sql);
}

/** Names of a SELECT's result columns, which are those of its first body. */
export function columnNames(prepared: Prepared, port: SqlitePort): readonly string[] {
  const { body } = prepared.parsed.statement as Select;
  if (body.kind === 'values') return body.rows[0]?.items.map((_, index) => `column${index + 1}`) ?? [];
  return port.query(namesOnlySql(prepared, body.end)).columns;
}

/** The statement up to the end of its first body, yielding no row. */
function namesOnlySql(prepared: Prepared, end: number): string {
  const edits = prepared.parsed.parameters
    .filter((parameter) => parameter.end <= end)
    .map((parameter): Edit => ({ start: parameter.start, end: parameter.end, text: 'NULL' }));
  const constant = prepared.constantEdits.filter((edit) => edit.end <= end);
  return `${splice(prepared.sql.slice(0, end), [...constant, ...edits])}\nLIMIT 0`;
}

/**
 * SQLite names a column without an alias by its source text, which rewriting a parameter in it would change. Of
 * subqueries too: `*` hands their columns' names on.
 */
function nameEdits(sql: string, { statement, parameters }: ParsedStatement): Edit[] {
  const edits: Edit[] = [];
  for (const column of findAll(statement, 'result-expression')) {
    if (column.alias !== null) continue;
    const touched = parameters.some(({ start, end }) => start >= column.start && end <= column.end);
    if (!touched) continue;
    const name = (
      sql.slice(column.start, column.end) + (COMMENTS.exec(sql.slice(column.end))?.[0] ?? '')
    ).trimEnd();
    edits.push({ start: column.end, end: column.end, text: ` AS ${quoteName(name)}` });
  }
  return edits;
}

/** SQLite's name for an expression reaches to the next token. */
const COMMENTS = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/;

/** Appends the tag column to RETURNING. */
function returningEdits(prepared: Prepared, args: readonly SqlValue[]): Edit[] {
  const { statement } = prepared.parsed;
  if (statement.kind !== 'insert' && statement.kind !== 'update' && statement.kind !== 'delete') return [];
  const { returning } = statement;
  if (returning === null) return [];
  const expressions: string[] = [];
  for (const column of returning.columns) {
    if (column.kind === 'result-star') {
      expressions.push(...prepared.targetColumns.map(quoteName));
    } else {
      expressions.push(`(${expressionText(prepared, column.expression, args)})`);
    }
  }
  const last = present(returning.columns.at(-1), 'RETURNING has a column');
  return [{ start: last.end, end: last.end, text: `, ${tagsSql(expressions)}` }];
}

/** An expression's rewritten text, which may be written a second time since its parameters are numbered. */
function expressionText(prepared: Prepared, expression: Expression, args: readonly SqlValue[]): string {
  const { start, end } = expression;
  const edits: Edit[] = [...prepared.constantEdits];
  for (const parameter of prepared.parsed.parameters) {
    const text = parameterSql(parameter.index, bindingClass(args[parameter.index - 1] ?? null));
    edits.push({ start: parameter.start, end: parameter.end, text });
  }
  return splice(
    prepared.sql.slice(start, end),
    edits
      // What is inserted behind the expression, such as its name, is no part of it.
      .filter((edit) => edit.start >= start && edit.start < end && edit.end <= end)
      .map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start })),
  );
}
