import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import { isPartitionedById } from '../schema/keyed-by-id.ts';
import type { Table } from '../schema/table.ts';
import { Analyzer } from '../sql/analysis/analyzer.ts';
import { eventsOf, reachOf } from '../sql/analysis/reach.ts';
import { Refusal } from '../sql/analysis/refusal.ts';
import { analyseInsert } from '../sql/analysis/write.ts';
import type { Expression, Insert, ParsedStatement, Span, Values } from '../sql/ast.ts';
import { canonical, changedColumns, keyColumns, refuseIdChange, refuseKeyChange } from './change.ts';
import { givenIdsOf } from './given-ids.ts';
import { type InsertBase, planMoving } from './insert-moving.ts';
import { planFromSelect } from './insert-select.ts';
import { distinctKeys, equalTuples, keyOfRow } from './inserted-key.ts';
import { VIEW_READS_CLOCK, withInstant } from './instant.ts';
import { pinOf } from './pin.ts';
import type { InsertRows, KeyTuple, Plan, Staged } from './plan.ts';
import { planReferenceWrite } from './reference-write.ts';
import { concernsOf, refersOver } from './references.ts';
import { type Layout, layoutOf } from './row-values.ts';
import { refuseConnectionCalls } from './select.ts';
import { spliced } from './splice.ts';
import { stagedOf } from './staged.ts';
import { keyClassesOf, tablesOf } from './tables.ts';

export function planInsert(parsed: ParsedStatement, ast: Insert, sql: string, schema: Schema): Plan {
  const analyzer = new Analyzer(schema, sql);
  const model = analyseInsert(analyzer, ast, null);
  refuseConnectionCalls(analyzer);
  const { table } = model;
  const sets = ast.upserts.flatMap((upsert) => upsert.set ?? []);
  const changed = ast.or === 'REPLACE' ? null : changedColumns(sets);
  if (table.placement.kind === 'reference') return planReferenceWrite(analyzer, schema, table, ast, changed);
  const reaches = reachOf(schema, table, eventsOf(ast), changed);
  const layout = layoutOf(table, ast);
  const core = model.source?.cores.length === 1 ? model.source.cores[0] : undefined;
  const values = core?.ast.kind === 'values' ? core.ast : null;
  const rows = ast.source === null ? [[]] : (values?.rows.map(({ items }) => items) ?? null);
  const keys = rows === null ? null : keysOf(layout, rows);
  const looked =
    rows === null || !Array.isArray(keys) || refersOver(schema, table, ast, reaches, changed)
      ? undefined
      : stagedOf(schema, layout, ast, rows, distinctKeys(keys).length > 1);
  const byIndex = looked?.byIds === false;
  checkUpserts(table, ast, byIndex);
  const staged = looked?.byIds === true ? checkedByIds(looked, table, ast) : looked;
  const concerns = concernsOf(schema, table, ast, reaches, changed, byIndex ? staged : undefined);
  const ids = rows === null ? undefined : givenIdsOf(layout, ast, rows, staged);
  const base = {
    tables: tablesOf(analyzer, table),
    reaches,
    ...concerns,
    ...(staged !== undefined && { staged }),
    ...(ids !== undefined && { ids }),
  };
  if (keys === null) return planFromSelect(analyzer, model, layout, base, sql);
  if (keys instanceof Refusal) return planMoving(analyzer, model, base, sql, keys);
  const apart = whyReadElsewhere(analyzer, keys);
  if (apart !== null) return planMoving(analyzer, model, base, sql, apart);
  return planRows(
    analyzer,
    layout,
    keys,
    base,
    values === null ? null : () => cutRows(parsed, ast, sql, values),
  );
}

type RowKeys = readonly (KeyTuple | null)[];

/** Of each row; null: it is generated. Or why they are not known. */
function keysOf(layout: Layout, rows: readonly (readonly Expression[])[]): RowKeys | Refusal {
  try {
    return rows.map((row) => keyOfRow(layout, row));
  } catch (error) {
    if (error instanceof Refusal && error.code === 'unsupported') return error;
    throw error;
  }
}

/** Why the rows cannot be made where they belong: subqueries read other keys. Null: they do not. */
function whyReadElsewhere({ uses, graph }: Analyzer, keys: RowKeys): Refusal | null {
  const [use] = uses;
  if (use === undefined) return null;
  const pinned = pinOf(uses, graph);
  const tuples = distinctKeys(keys);
  const [tuple] = tuples;
  const isOne = pinned?.tuples.length === 1 && tuples.length === 1 && keys.every((key) => key !== null);
  if (isOne && tuple !== undefined && equalTuples(pinned.tuples[0] ?? [], tuple)) return null;
  return new Refusal(
    'unsupported',
    `a subquery reads "${use.table.name}" of another or an unknown partition key: read it first, then send the values`,
  );
}

/** VALUES and DEFAULT VALUES. */
function planRows(
  analyzer: Analyzer,
  layout: Layout,
  keys: RowKeys,
  base: InsertBase,
  splice: (() => CutRows) | null,
): Plan {
  const tuples = distinctKeys(keys);
  const columns = keyClassesOf(layout.table);
  const write = { kind: 'route', access: 'write', ...base } as const;
  if (tuples.length === 0) {
    return { ...write, pin: { kind: 'generated' }, reason: 'the partition that inserts generates the key' };
  }
  const generatesNull = isPartitionedById(layout.table);
  if (tuples.length === 1) {
    return {
      ...write,
      pin: { kind: 'key', columns, tuples, generatesNull },
      reason: 'all rows have one partition key',
    };
  }
  const cut = splice === null ? null : { ...splice(), keys, columns, generatesNull };
  return {
    kind: 'scatter-write',
    targets: { kind: 'keys', columns, tuples },
    rows: cut,
    perPartition: whyNotByRow(analyzer),
    ...base,
    reason: 'the rows have several partition keys',
  };
}

type CutRows = Pick<InsertRows, 'prefix' | 'rows' | 'suffix' | 'parameters'>;

/** Parameters get explicit numbers, so that leaving rows out moves none. */
function cutRows(parsed: ParsedStatement, ast: Insert, sql: string, values: Values): CutRows {
  const timed = withInstant(ast, sql);
  if (timed === null) {
    const edits = parsed.parameters.map(({ start, end, index }) => ({ start, end, text: `?${index}` }));
    return rowsOf((span) => spliced(sql, span, edits), ast, values);
  }
  return { ...rowsOf(timed.piece, ast, values), parameters: timed.parameters };
}

function rowsOf(piece: (span: Span) => string, ast: Insert, values: Values): CutRows {
  return {
    prefix: piece({ start: ast.start, end: values.rows[0]?.start ?? values.start }),
    rows: values.rows.map((row) => piece(row)),
    suffix: piece({ start: values.rows.at(-1)?.end ?? values.end, end: ast.end }),
  };
}

function whyNotByRow(analyzer: Analyzer): { sound: true } | { sound: false; message: string } {
  return analyzer.clockInView ? { sound: false, message: VIEW_READS_CLOCK } : { sound: true };
}

/** What an upsert must not do if it gives ids, so that the row in its way may be in another partition. */
function checkedByIds(staged: Staged, table: Table, ast: Insert): Staged {
  try {
    checkUpserts(table, ast, true);
    return staged;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { code, message } = error;
    return { ...staged, refusal: { code, message } };
  }
}

function checkUpserts(table: Table, ast: Insert, staged: boolean): void {
  const key = keyColumns(table);
  for (const upsert of ast.upserts) {
    for (const assignment of upsert.set ?? []) {
      for (const identifier of assignment.columns) {
        const column = canonical(table, identifier.name);
        const isTarget = upsert.target?.length === 1 && isColumn(upsert.target[0]?.expression, column);
        if ((!staged || isTarget) && !assignment.row && isExcluded(assignment.value, column)) continue;
        if (key.includes(column)) refuseKeyChange(table, identifier.name);
        refuseIdChange(table, column, identifier.name);
      }
    }
  }
}

/** The rows are equal in the target. */
function isColumn(expression: Expression | undefined, column: string): boolean {
  return expression?.kind === 'column' && asciiLower(expression.name.name) === column;
}

/**
 * `SET key = excluded.key` changes nothing that routing sees: rows conflict only on UNIQUE keys, which contain
 * the partition key, so both rows have the same token. Where they may be in different partitions, it would change one.
 */
function isExcluded(value: Expression, column: string): boolean {
  return (
    value.kind === 'column' &&
    asciiLower(value.table?.name ?? '') === 'excluded' &&
    asciiLower(value.name.name) === column
  );
}
