import { present } from '../../base/assert.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import type { Expression, Insert, ParsedStatement, ResultColumn, Select, Statement } from '../sql/ast.ts';
import { type Edit, splice } from '../sql/splice.ts';
import { quoteName } from '../sqlite/quote.ts';
import type { SqlValue } from '../sqlite/value.ts';
import { type BindingClass, bindingClass, parameterSql } from './bindings.ts';
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
  /** Set when the numbers of each result column are told apart by their columns alone. */
  readonly classes: readonly NumberClass[] | null;
  /** Texts for one combination of the arguments' classes, by that combination. */
  readonly variants: Map<string, string>;
  /** Names of a SELECT's result columns once they are known. */
  columns: readonly string[] | null;
}

/** `parsed` is a SELECT, INSERT, UPDATE or DELETE that the plan has let through. */
export function prepare(sql: string, parsed: ParsedStatement, schema: Schema): Prepared {
  const { statement } = parsed;
  const target = targetOf(statement, schema);
  return {
    sql,
    parsed,
    access: statement.kind === 'select' ? 'read' : 'write',
    target,
    identifiers:
      statement.kind === 'insert' && target !== null ? insertIdentifiers(statement, target, sql) : null,
    insertsAll:
      statement.kind === 'insert' && target !== null ? rowsOfPlainInsert(statement, target, schema) : null,
    classes: statement.kind === 'select' ? numberClasses(statement, schema) : null,
    variants: new Map(),
    columns: null,
  };
}

/** A conflict clause or a trigger's RAISE(IGNORE) may leave rows out. */
function rowsOfPlainInsert(insert: Insert, target: Table, schema: Schema): number | null {
  const { or, upserts, source } = insert;
  if (upserts.length > 0 || (or !== null && or !== 'ABORT') || schema.triggersOn(target.name).length > 0)
    return null;
  if (/\bON\s+CONFLICT\b/i.test(target.sql)) return null;
  if (source === null) return 1;
  const { body, compounds, limit } = source;
  return body.kind === 'values' && compounds.length === 0 && limit === null ? body.rows.length : null;
}

function targetOf(statement: Statement, schema: Schema): Table | null {
  if (statement.kind !== 'insert' && statement.kind !== 'update' && statement.kind !== 'delete') return null;
  return schema.table(statement.table.name.name) ?? null;
}

/** The combination of classes of the arguments: key of {@link Prepared.variants}. */
export function classesOfArguments(args: readonly SqlValue[]): string {
  let key = '';
  for (const value of args) key += bindingClass(value)[0];
  return key;
}

/** Replaces every parameter by the text for its argument's class, and keeps result columns' names. */
export function parameterEdits(prepared: Prepared, args: readonly SqlValue[]): Edit[] {
  const edits: Edit[] = [];
  for (const parameter of prepared.parsed.parameters) {
    const kind: BindingClass = bindingClass(args[parameter.index - 1] ?? null);
    edits.push({ start: parameter.start, end: parameter.end, text: parameterSql(parameter.index, kind) });
  }
  const { statement } = prepared.parsed;
  if (statement.kind === 'select') edits.push(...nameEdits(prepared, resultColumnsOf(statement)));
  else edits.push(...returningEdits(prepared, args));
  return edits;
}

/** The rewritten SELECT as it stands, cached by the arguments' classes. */
export function selectSql(prepared: Prepared, args: readonly SqlValue[]): string {
  const key = classesOfArguments(args);
  let sql = prepared.variants.get(key);
  if (sql === undefined) {
    // Without a trailing `;`, which would end a statement that this text is embedded in.
    sql = splice(prepared.sql.slice(0, prepared.parsed.end), parameterEdits(prepared, args));
    prepared.variants.set(key, sql);
  }
  return sql;
}

/** A SELECT that yields no row, only its columns' names. */
export function namesOnlySql(prepared: Prepared): string {
  const select = prepared.parsed.statement as Select;
  const edits: Edit[] = prepared.parsed.parameters
    .filter((parameter) => select.limit === null || parameter.start < select.limit.start)
    .map((parameter) => ({ start: parameter.start, end: parameter.end, text: 'NULL' }));
  edits.push(...nameEdits(prepared, resultColumnsOf(select)));
  if (select.limit === null) edits.push({ start: select.end, end: select.end, text: '\nLIMIT 0' });
  else edits.push({ start: select.limit.start, end: select.limit.end, text: 'LIMIT 0' });
  return splice(prepared.sql.slice(0, prepared.parsed.end), edits);
}

function resultColumnsOf(select: Select): readonly ResultColumn[] {
  return select.body.kind === 'select-core' ? select.body.columns : [];
}

/** SQLite names a column without an alias by its source text, which rewriting a parameter in it would change. */
function nameEdits(prepared: Prepared, columns: readonly ResultColumn[]): Edit[] {
  const edits: Edit[] = [];
  for (const column of columns) {
    if (column.kind !== 'result-expression' || column.alias !== null) continue;
    const touched = prepared.parsed.parameters.some(
      (parameter) => parameter.start >= column.start && parameter.end <= column.end,
    );
    if (!touched) continue;
    const name = prepared.sql.slice(column.start, column.end);
    edits.push({ start: column.end, end: column.end, text: ` AS ${quoteName(name)}` });
  }
  return edits;
}

/** Appends the tag column to RETURNING. */
function returningEdits(prepared: Prepared, args: readonly SqlValue[]): Edit[] {
  const { statement } = prepared.parsed;
  if (statement.kind !== 'insert' && statement.kind !== 'update' && statement.kind !== 'delete') return [];
  const { returning } = statement;
  if (returning === null) return [];
  const target = present(prepared.target, 'a write that returns rows has a table');
  const expressions: string[] = [];
  for (const column of returning.columns) {
    if (column.kind === 'result-star') {
      expressions.push(...target.columns.map((each) => quoteName(each.name)));
    } else {
      expressions.push(`(${expressionText(prepared, column.expression, args)})`);
    }
  }
  const edits = nameEdits(prepared, returning.columns);
  const last = present(returning.columns.at(-1), 'RETURNING has a column');
  edits.push({ start: last.end, end: last.end, text: `, ${tagsSql(expressions)}` });
  return edits;
}

/** An expression's rewritten text, which may be written a second time since its parameters are numbered. */
function expressionText(prepared: Prepared, expression: Expression, args: readonly SqlValue[]): string {
  const { start, end } = expression;
  const edits = prepared.parsed.parameters
    .filter((parameter) => parameter.start >= start && parameter.end <= end)
    .map((parameter) => ({
      start: parameter.start - start,
      end: parameter.end - start,
      text: parameterSql(parameter.index, bindingClass(args[parameter.index - 1] ?? null)),
    }));
  return splice(prepared.sql.slice(start, end), edits);
}
