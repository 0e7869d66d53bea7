import { asciiLower } from '../../../base/ascii.ts';
import type { Schema } from '../../schema/catalogue.ts';
import type { Table } from '../../schema/table.ts';
import { Analyzer } from '../../sql/analysis/analyzer.ts';
import { type CoreModel, nodeOf, type Output, type Source } from '../../sql/analysis/model.ts';
import { Refusal, refuse } from '../../sql/analysis/refusal.ts';
import { resolveColumn } from '../../sql/analysis/resolve.ts';
import type { OrderingTerm, ParsedStatement, Select, SelectCore } from '../../sql/ast.ts';
import { findAll } from '../../sql/walk.ts';
import { quoteName } from '../../sqlite/quote.ts';
import type { RowLimit, SortKey } from '../plan.ts';
import { limitOf } from '../scatter/select.ts';
import { sortKey, sortTarget } from '../scatter/sort.ts';

/**
 * How a SELECT is read page by page. Its rows are put in an order that is total within a partition: what ORDER BY says, and
 * then the keys of the tables it reads, which identify a row of FROM. So a page is what comes behind the last row of the
 * one before, wherever and by whichever plan it is read, and no position has to be kept or counted.
 */
export interface Paging {
  readonly sql: string;
  readonly core: SelectCore;
  /** Where the statement begins: at its WITH, if it has one. */
  readonly start: number;
  /** Parameters up to the end of WHERE: those of LIMIT are the router's. */
  readonly parameters: number;
  /** Columns of the answer; hidden ones follow. */
  readonly width: number;
  readonly hidden: readonly string[];
  /** What rows are sorted by: ORDER BY's terms, and then, from `terms` on, keys. */
  readonly sorting: readonly Sorting[];
  readonly terms: number;
  /** The statement's own. */
  readonly limit: RowLimit | null;
}

export interface Sorting extends SortKey {
  /** To be compared in WHERE. */
  readonly text: string;
  /** ` COLLATE x` where the expression's own is another one, or none. */
  readonly collate: string;
  /** Never NULL. */
  readonly notNull: boolean;
}

/** How a SELECT is paged; or, as text, why it cannot be. */
export function pagingOf(parsed: ParsedStatement, sql: string, schema: Schema): Paging | string {
  const { statement } = parsed;
  if (statement.kind !== 'select') return 'it is no SELECT';
  try {
    return planPaging(parsed, statement, sql, schema);
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

function planPaging(parsed: ParsedStatement, select: Select, sql: string, schema: Schema): Paging {
  const analyzer = new Analyzer(schema, sql);
  const model = analyzer.select(select, null, null);
  const [core] = model.cores as [CoreModel];
  const ast = pagedCore(model.cores, core);
  const limit = limitOf(select);
  if (limit?.offset != null) cannot('it has OFFSET: leave that out');
  const width = core.outputs.length;
  const hidden: string[] = [];
  const add = (text: string): number => width + hidden.push(text) - 1;
  const sorting = model.orderBy.map((term) => termSorting(analyzer, core, sql, term, add));
  for (const source of core.scope.sources) sorting.push(...keySorting(source, add));
  const indexes = parsed.parameters.filter(({ start }) => start < ast.end).map(({ index }) => index);
  return {
    sql,
    core: ast,
    start: select.start,
    parameters: Math.max(0, ...indexes),
    width,
    hidden,
    sorting,
    terms: model.orderBy.length,
    limit,
  };
}

/** Rows of it are rows of FROM, one for one. */
function pagedCore(cores: readonly CoreModel[], { ast, aggregates, windows, scope }: CoreModel): SelectCore {
  if (cores.length > 1) cannot('it is a compound of several SELECTs: send these by themselves');
  if (ast.kind === 'values' || ast.from === null) return cannot('it reads no table');
  if (ast.distinct) cannot('it has DISTINCT');
  if (ast.groupBy !== null || ast.having !== null || aggregates.length > 0) cannot('it aggregates');
  if (ast.windows !== null || windows.length > 0) cannot('it has window functions');
  const names = scope.sources.map(({ name }) => name);
  if (new Set(names).size < names.length) cannot('two of its tables have one name: give them aliases');
  return ast;
}

function keySorting(source: Source, add: (text: string) => number): Sorting[] {
  const { table, nullable } = source;
  if (table === null)
    return cannot('its FROM has something that is no table: a view, a subquery, or a function');
  return keyColumns(table).map((name): Sorting => {
    const text = textOf(source, name);
    const own = columnOf(table, name)?.collation ?? 'BINARY';
    return {
      text,
      column: add(text),
      descending: false,
      nulls: 'first',
      // What differs by any collation differs by bytes.
      collation: 'BINARY',
      collate: own === 'BINARY' ? '' : ' COLLATE BINARY',
      notNull: !nullable,
    };
  });
}

/** What identifies a row: its rowid, or the PRIMARY KEY of a table WITHOUT ROWID. */
function keyColumns({ name, columns, withoutRowid, rowidColumn, rowidName }: Table): readonly string[] {
  if (!withoutRowid) return [rowidColumn ?? rowidName ?? cannot(`"${name}" has no name for its rowid`)];
  return columns
    .filter(({ primaryKeyIndex }) => primaryKeyIndex > 0)
    .sort((a, b) => a.primaryKeyIndex - b.primaryKeyIndex)
    .map((column) => column.name);
}

function termSorting(
  analyzer: Analyzer,
  core: CoreModel,
  sql: string,
  term: OrderingTerm,
  add: (text: string) => number,
): Sorting {
  const { outputs, scope } = core;
  const target = sortTarget(term, outputs, scope);
  if (target.kind === 'output') {
    const output = outputs[target.index] as Output;
    const own = output.collation ?? 'BINARY';
    const collation = target.collate ?? own;
    const { text, notNull } = outputText(core, sql, output);
    const collate = collation === own ? '' : ` COLLATE ${collation}`;
    return { ...sortKey(term, target.index, collation), text, collate, notNull };
  }
  const { expression } = target;
  refuseUnrepeatable(expression);
  const aliased = findAll(expression, 'column').some((name) => resolveColumn(name, scope).kind === 'alias');
  if (aliased) cannot('ORDER BY computes with a name that AS gives: write the expression there');
  const collation = analyzer.classOf(expression, scope).collation ?? 'BINARY';
  const text = `(${sql.slice(expression.start, expression.end)})`;
  return { ...sortKey(term, add(text), collation), text, collate: '', notNull: false };
}

/** A result column as it is to be written in WHERE, where its alias may mean something else. */
function outputText(
  { scope }: CoreModel,
  sql: string,
  output: Output,
): { readonly text: string; readonly notNull: boolean } {
  const { expression, name, node } = output;
  const source = scope.sources.find((each) => node === nodeOf(each, name)) ?? null;
  if (expression !== null) {
    refuseUnrepeatable(expression);
    return { text: `(${sql.slice(expression.start, expression.end)})`, notNull: isNeverNull(source, name) };
  }
  if (source === null) return cannot('ORDER BY names a column that USING makes of two: name its table');
  return { text: textOf(source, name), notNull: isNeverNull(source, name) };
}

function isNeverNull(source: Source | null, name: string): boolean {
  if (source === null || source.nullable || source.table === null) return false;
  const { table } = source;
  const { rowidColumn } = table;
  if (rowidColumn !== null && asciiLower(rowidColumn) === asciiLower(name)) return true;
  return columnOf(table, name)?.notNull ?? false;
}

function columnOf({ columns }: Table, name: string) {
  return columns.find((column) => asciiLower(column.name) === asciiLower(name));
}

function textOf({ name }: Source, column: string): string {
  return `${name === null ? '' : `${quoteName(name)}.`}${quoteName(column)}`;
}

/** Written twice, a `?` would be another one, and a subquery twice the work. */
function refuseUnrepeatable(expression: OrderingTerm['expression']): void {
  const { length } = [...findAll(expression, 'parameter'), ...findAll(expression, 'subquery')];
  if (length > 0) cannot('ORDER BY names something with a parameter or a subquery in it');
}

function cannot(why: string): never {
  return refuse('unsupported', why);
}
