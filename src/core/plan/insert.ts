import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import { Analyzer } from '../sql/analysis/analyzer.ts';
import { type Constant, constantKey, constantOf } from '../sql/analysis/constant.ts';
import { columnOf } from '../sql/analysis/facts.ts';
import { eventsOf, reachOf } from '../sql/analysis/reach.ts';
import { Refusal, refuse } from '../sql/analysis/refusal.ts';
import { analyseInsert, type InsertModel } from '../sql/analysis/write.ts';
import type { Expression, Insert, ParsedStatement, Span, Values } from '../sql/ast.ts';
import { canonical, changedColumns, keyColumns, refuseIdChange, refuseKeyChange } from './change.ts';
import { givenIdsOf } from './given-ids.ts';
import { VIEW_READS_CLOCK, withInstant } from './instant.ts';
import { pinOf } from './pin.ts';
import type { InsertRows, KeyTuple, Plan, RoutePlan, Staged } from './plan.ts';
import { planReferenceWrite } from './reference-write.ts';
import { concernsOf, refersOver } from './references.ts';
import { type Layout, layoutOf, valueIn } from './row-values.ts';
import { refuseConnectionCalls } from './select.ts';
import { spliced } from './splice.ts';
import { stagedOf } from './staged.ts';
import { keyClassesOf, keyNames, tablesOf } from './tables.ts';

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
  const looked =
    rows === null || refersOver(schema, table, ast, reaches, changed)
      ? undefined
      : stagedOf(schema, layout, ast, rows, keysOf(layout, rows).length > 1);
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
  if (rows !== null) {
    const splice = values === null ? null : () => cutRows(parsed, ast, sql, values);
    return planRows(analyzer, layout, rows, base, splice);
  }
  return planFromSelect(analyzer, model, layout, base);
}

type Base = Pick<RoutePlan, 'tables' | 'reaches' | 'indexes' | 'acts' | 'staged' | 'ids'>;

/** VALUES and DEFAULT VALUES. */
function planRows(
  analyzer: Analyzer,
  layout: Layout,
  rows: readonly (readonly Expression[])[],
  base: Base,
  splice: (() => CutRows) | null,
): Plan {
  const keys = rows.map((row) => keyOfRow(layout, row));
  const tuples = distinctKeys(keys);
  const columns = keyClassesOf(layout.table);
  if (analyzer.uses.length > 0) {
    const pinned = pinOf(analyzer.uses, analyzer.graph);
    const [tuple] = tuples;
    const same = pinned?.tuples.length === 1 && tuples.length === 1 && keys.every((key) => key !== null);
    if (!same || tuple === undefined || !equalTuples(pinned.tuples[0] ?? [], tuple)) {
      const name = analyzer.uses[0]?.table.name ?? '';
      refuse(
        'unsupported',
        `a subquery reads "${name}" of another or an unknown partition key: read it first, then send the values`,
      );
    }
  }
  const write = { kind: 'route', access: 'write', ...base } as const;
  if (tuples.length === 0) {
    return { ...write, pin: { kind: 'generated' }, reason: 'the partition that inserts generates the key' };
  }
  const generatesNull = isGeneratedKey(layout.table);
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
    message:
      `the rows belong to several partitions: insert rows of one partition key (${keyNames(layout.table)}) at a time, ` +
      'or send atomicity:"partition"',
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

/** Of the rows whose key is not generated, each once. */
function keysOf(layout: Layout, rows: readonly (readonly Expression[])[]): KeyTuple[] {
  return distinctKeys(rows.map((row) => keyOfRow(layout, row)));
}

function distinctKeys(keys: readonly (KeyTuple | null)[]): KeyTuple[] {
  const distinct = new Map<string, KeyTuple>();
  for (const key of keys) if (key !== null) distinct.set(key.map(constantKey).join('|'), key);
  return [...distinct.values()];
}

function whyNotByRow(analyzer: Analyzer): { sound: true } | { sound: false; message: string } {
  return analyzer.clockInView ? { sound: false, message: VIEW_READS_CLOCK } : { sound: true };
}

function equalTuples(a: KeyTuple, b: KeyTuple): boolean {
  return (
    a.length === b.length && a.every((source, i) => constantKey(source) === constantKey(b[i] as Constant))
  );
}

/** Whether the whole key is the id that SQLite would generate. */
function isGeneratedKey(table: Table): boolean {
  const key = keyColumns(table);
  const id = table.rowidColumn ?? table.rowidName;
  return key.length === 1 && id !== null && key[0] === asciiLower(id);
}

/** The row's key; null: the executing partition generates it. */
function keyOfRow(layout: Layout, row: readonly Expression[]): KeyTuple | null {
  const { table } = layout;
  const key = keyColumns(table).map((name) => keyValue(layout, name, row));
  const [only] = key;
  const isNull = only !== undefined && only.kind === 'literal' && only.value === null;
  return isGeneratedKey(table) && isNull ? null : key;
}

function keyValue(layout: Layout, name: string, row: readonly Expression[]): Constant {
  const value = valueIn(layout, name, row);
  if (value !== null) return value;
  const { table, places } = layout;
  if (!places.has(name)) return refuseDefault(table, name);
  return refuse(
    'unsupported',
    `the partition key "${name}" of "${table.name}" must be a literal or a parameter here, not an expression`,
  );
}

function refuseDefault(table: Table, name: string): never {
  return refuse(
    'unsupported',
    `the default of the partition key "${name}" of "${table.name}" is not a plain constant: insert its value`,
  );
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

/** INSERT … SELECT: provable if what is read and the inserted key are restricted to the same constant. */
function planFromSelect(analyzer: Analyzer, model: InsertModel, layout: Layout, base: Base): Plan {
  const { table } = layout;
  const source = model.source;
  const why = `INSERT … SELECT into "${table.name}": `;
  if (source === null) return refuse('unsupported', `${why}it has no rows`);
  const id = asciiLower(table.rowidColumn ?? table.rowidName ?? '');
  if (!keyColumns(table).includes(id) && layout.places.has(id)) refuseIdChange(table, id, id);
  const tuples = source.cores.map((core) =>
    keyColumns(table).map((name) => selectedKey(analyzer, core, layout, name, why)),
  );
  const [tuple] = tuples;
  const columns = keyClassesOf(table);
  const uses = pinOf(analyzer.uses, analyzer.graph);
  if (tuple === undefined || !tuples.every((other) => equalTuples(other, tuple))) {
    return refuse('unsupported', `${why}its arms give different partition keys`);
  }
  const pinnedSame = uses?.tuples.length === 1 && equalTuples(uses.tuples[0] ?? [], tuple);
  const sameClasses = uses === null || JSON.stringify(uses.columns) === JSON.stringify(columns);
  if (analyzer.uses.length > 0 && !(pinnedSame && sameClasses)) {
    return refuse(
      'unsupported',
      `${why}restrict the tables that it reads to the partition key that it inserts`,
    );
  }
  return {
    kind: 'route',
    access: 'write',
    pin: { kind: 'key', columns, tuples: [tuple], generatesNull: false },
    ...base,
    reason: 'what it reads and the key that it inserts are restricted to one partition key',
  };
}

function selectedKey(
  analyzer: Analyzer,
  core: NonNullable<InsertModel['source']>['cores'][number],
  { table, places }: Layout,
  name: string,
  why: string,
): Constant {
  const place = places.get(name);
  if (place === undefined) {
    const value = valueIn({ table, places }, name, []);
    if (!isGeneratedKey(table)) return value ?? refuseDefault(table, name);
    return refuse('unsupported', `${why}generated partition keys need VALUES`);
  }
  const output = core.outputs[place];
  const constant = output?.expression == null ? null : constantOf(output.expression);
  if (constant !== null && !isGeneratedKey(table)) return constant;
  const column = output?.expression == null ? null : columnOf(output.expression, core.scope);
  const node = output?.node ?? null;
  if (node !== null && output?.nullable === false && (column === null || column.depth === 0)) {
    const own = keyClassesOf(table)[keyColumns(table).indexOf(name)];
    const fits =
      own !== undefined &&
      output.affinity === own.affinity &&
      (output.collation ?? 'BINARY') === own.collation;
    const set = analyzer.graph.constantsOf(node).find((candidate) => candidate.members.length === 1);
    const member = set?.members[0];
    if (fits && member !== undefined) return member;
  }
  return refuse(
    'unsupported',
    `${why}its partition key "${name}" must be a constant, or a column that WHERE restricts to one`,
  );
}
