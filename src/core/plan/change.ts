import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import { Analyzer } from '../sql/analysis/analyzer.ts';
import { constantKey, constantOf } from '../sql/analysis/constant.ts';
import { columnOf } from '../sql/analysis/facts.ts';
import type { PartitionedUse } from '../sql/analysis/model.ts';
import { eventsOf, reachOf } from '../sql/analysis/reach.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import { analyseChange, type ChangeModel } from '../sql/analysis/write.ts';
import type { Assignment, Delete, Update } from '../sql/ast.ts';
import { inEachPartition } from './each-partition.ts';
import { whyVolatile } from './instant.ts';
import { lookupOf } from './lookup.ts';
import { movesOf } from './move.ts';
import { type Pinned, pinOf } from './pin.ts';
import type { Plan, ScatterWritePlan } from './plan.ts';
import { planReferenceWrite } from './reference-write.ts';
import { concernsOf } from './references.ts';
import { refuseConnectionCalls } from './select.ts';
import { tablesOf } from './tables.ts';

/** UPDATE and DELETE. */
export function planChange(ast: Update | Delete, sql: string, schema: Schema): Plan {
  const analyzer = new Analyzer(schema, sql);
  const model = analyseChange(analyzer, ast, null);
  refuseConnectionCalls(analyzer);
  const changed = ast.kind === 'update' ? changedColumns(ast.set) : null;
  if (model.table.placement.kind === 'reference')
    return planReferenceWrite(analyzer, schema, model.table, ast, changed);
  const reaches = reachOf(schema, model.table, eventsOf(ast), changed);
  const tables = tablesOf(analyzer, model.table);
  const pinned = pinOf(analyzer.uses, analyzer.graph);
  const one = pinned !== null && pinned.tuples.length === 1 ? pinned : null;
  const key = ast.kind === 'update' ? changedKey(model, ast.set, one) : null;
  const moves =
    ast.kind === 'update' && key !== null
      ? movesOf(schema, model.table, { or: ast.or, columns: changed ?? [] }, key)
      : null;
  const concerns = concernsOf(schema, model.table, ast, reaches, changed);
  const spread = { ...(moves !== null && { moves }), ...concerns };
  if (one !== null) {
    return {
      kind: 'route',
      access: 'write',
      pin: { kind: 'key', ...one, generatesNull: false },
      tables,
      reaches,
      ...spread,
      reason: 'every partitioned table is restricted to one partition key',
    };
  }
  const lookup = lookupOf(analyzer, schema);
  const rest = { tables, reaches, ...spread, ...(lookup !== null && { lookup }) };
  return scatterWrite(analyzer, model, sql, pinned, rest);
}

function scatterWrite(
  analyzer: Analyzer,
  model: ChangeModel,
  sql: string,
  pinned: Pinned | null,
  rest: Pick<ScatterWritePlan, 'tables' | 'reaches' | 'moves' | 'indexes' | 'acts' | 'lookup'>,
): ScatterWritePlan {
  const why = whyNotPerPartition(analyzer, model);
  const reason = 'the partition key is not restricted to one value';
  return { ...inEachPartition(model.ast, sql, pinned, why), ...rest, reason };
}

/** Why running the statement in each partition would not be what it means; null: it is. */
export function whyNotPerPartition(analyzer: Analyzer, { ast, scope, target }: ChangeModel): string | null {
  if (ast.limit !== null) return 'LIMIT would count per partition: leave it out';
  const volatile = whyVolatile(analyzer, 1);
  if (volatile !== null) return volatile;
  const own = analyzer.uses.find((use) => use.source === target) as PartitionedUse;
  const reached = own.key.map((node) => analyzer.graph.reachedFrom(node));
  const apart = analyzer.uses.find(
    (use) => use.key.length !== own.key.length || !use.key.every((node, i) => reached[i]?.has(node) === true),
  );
  if (scope.sources.some((source) => source.nullable && source === target))
    return 'an outer join over the target';
  return apart === undefined
    ? null
    : `rows of "${apart.table.name}" in other partitions matter: join them on equal partition keys`;
}

/** The first column of the partition key that an UPDATE may set to another value, or null. Never an id that is not the key. */
function changedKey(model: ChangeModel, set: readonly Assignment[], pinned: Pinned | null): string | null {
  const { table, scope } = model;
  const key = keyColumns(table);
  let changed: string | null = null;
  for (const assignment of set) {
    assignment.columns.forEach((identifier, i) => {
      const column = canonical(table, identifier.name);
      const value = assignment.row
        ? assignment.value.kind === 'row'
          ? assignment.value.items[i]
          : undefined
        : assignment.value;
      const plain = value === undefined ? null : columnOf(value, scope);
      const same = plain !== null && plain.source === model.target && asciiLower(plain.name) === column;
      if (same) return;
      const place = key.indexOf(column);
      if (place >= 0) {
        const constant = value === undefined ? null : constantOf(value);
        const pin = pinned?.tuples[0]?.[place];
        if (constant !== null && pin !== undefined && constantKey(constant) === constantKey(pin)) return;
        changed ??= identifier.name;
      }
      refuseIdChange(table, column, identifier.name);
    });
  }
  return changed;
}

export function refuseKeyChange(table: Table, name: string): never {
  return refuse(
    'key-change',
    `"${name}" is part of the partition key of "${table.name}", which an upsert cannot change: use UPDATE, or delete the row and insert it anew`,
  );
}

export function refuseIdChange(table: Table, column: string, name: string): void {
  const id = table.rowidColumn ?? table.rowidName;
  if (id === null || asciiLower(id) !== column || keyColumns(table).includes(column)) return;
  if (table.placement.kind === 'reference') return;
  refuse(
    'needs-global-index',
    `"${name}" is the id of "${table.name}", which is not its partition key: it cannot be set`,
  );
}

export function keyColumns(table: Table): string[] {
  return table.placement.kind === 'partitioned' ? table.placement.key.map(asciiLower) : [];
}

/** A column's name in lower case; any name of the rowid as the one that the key would use. */
export function canonical(table: Table, name: string): string {
  const lower = asciiLower(name);
  if (table.columns.some((column) => asciiLower(column.name) === lower)) return lower;
  const isRowid = lower === 'rowid' || lower === '_rowid_' || lower === 'oid';
  const own = table.rowidColumn ?? table.rowidName;
  if (isRowid && own !== null) return asciiLower(own);
  return refuse('no-such-column', `no such column: ${name}`);
}

export function changedColumns(set: readonly Assignment[]): string[] {
  return [...new Set(set.flatMap((assignment) => assignment.columns.map((c) => asciiLower(c.name))))].sort();
}
