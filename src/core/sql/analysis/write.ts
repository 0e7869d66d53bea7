import type { Table } from '../../schema/table.ts';
import type {
  Assignment,
  Delete,
  From,
  Insert,
  Node,
  OrderingTerm,
  Returning,
  TableName,
  Update,
  Upsert,
} from '../ast.ts';
import { type Analyzer, newFindings } from './analyzer.ts';
import type { Environment } from './environment.ts';
import { addJoinFacts, readFrom } from './from.ts';
import type { Scope, SelectModel, Source } from './model.ts';
import { refuse } from './refusal.ts';
import { isSystemTable } from './system-tables.ts';

export interface InsertModel {
  readonly table: Table;
  readonly ast: Insert;
  /** Of VALUES too; null for DEFAULT VALUES. */
  readonly source: SelectModel | null;
}

export interface ChangeModel {
  readonly table: Table;
  readonly ast: Update | Delete;
  readonly target: Source;
  readonly scope: Scope;
}

/** The table that a write names; common table expressions are no targets. */
export function targetTable(analyzer: Analyzer, { schema, name }: TableName): Table {
  if (schema !== null && schema.name.toLowerCase() !== 'main') {
    refuse('no-such-table', `no such table: ${schema.name}.${name.name}`);
  }
  const table = analyzer.schema.table(name.name);
  if (table !== undefined) return table;
  if (isSystemTable(name.name))
    refuse('internal-name', `"${name.name}" is Atoll's own table: it is read-only`);
  if (analyzer.schema.view(name.name) !== undefined) {
    refuse('unsupported', `"${name.name}" is a view: write to its tables`);
  }
  return refuse('no-such-table', `no such table: ${name.name}`);
}

export function analyseInsert(analyzer: Analyzer, ast: Insert, parent: Scope | null): InsertModel {
  const table = targetTable(analyzer, ast.table);
  const environment = ast.with === null ? null : analyzer.environment(ast.with, parent, null);
  const source = ast.source === null ? null : analyzer.select(ast.source, parent, environment);
  const target = analyzer.unread(table, ast.table.alias?.name ?? ast.table.name.name);
  const excluded = analyzer.pseudo(table, 'excluded');
  const ownScope = scopeOf([target], parent);
  for (const upsert of ast.upserts) {
    visitUpsert(analyzer, upsert, ownScope, scopeOf([target, excluded], parent), environment);
  }
  visitReturning(analyzer, ast.returning, ownScope, environment);
  return { table, ast, source };
}

function visitUpsert(
  analyzer: Analyzer,
  upsert: Upsert,
  own: Scope,
  both: Scope,
  environment: Environment | null,
): void {
  const visit = (node: Node | null, scope: Scope): void => {
    if (node !== null) analyzer.expression(node, scope, environment, newFindings());
  };
  for (const term of upsert.target ?? []) visit(term.expression, own);
  visit(upsert.targetWhere, own);
  for (const assignment of upsert.set ?? []) visit(assignment.value, both);
  visit(upsert.where, both);
}

export function analyseChange(analyzer: Analyzer, ast: Update | Delete, parent: Scope | null): ChangeModel {
  const table = targetTable(analyzer, ast.table);
  const environment = ast.with === null ? null : analyzer.environment(ast.with, parent, null);
  const target = analyzer.base(table, ast.table.alias?.name ?? ast.table.name.name);
  const from: From | null = ast.kind === 'update' ? ast.from : null;
  const read = readFrom(from, (source) => analyzer.source(source, parent, environment));
  const scope: Scope = { ...scopeOf([target, ...read.sources], parent), coalesced: read.coalesced };
  addJoinFacts(read, scope, analyzer.graph);
  if (ast.where !== null) analyzer.where(ast.where, scope);
  const assignments: readonly Assignment[] = ast.kind === 'update' ? ast.set : [];
  const order: readonly OrderingTerm[] = ast.orderBy ?? [];
  const nodes: (Node | null)[] = [
    ...read.steps.map((step) => step.join.on),
    ...assignments.map((assignment) => assignment.value),
    ast.where,
    ...order.map((term) => term.expression),
    ast.limit?.count ?? null,
    ast.limit?.offset ?? null,
  ];
  for (const node of nodes) {
    if (node !== null) analyzer.expression(node, scope, environment, newFindings());
  }
  visitReturning(analyzer, ast.returning, scope, environment);
  return { table, ast, target, scope };
}

function visitReturning(
  analyzer: Analyzer,
  returning: Returning | null,
  scope: Scope,
  environment: Environment | null,
): void {
  for (const column of returning?.columns ?? []) {
    if (column.kind === 'result-expression') {
      analyzer.expression(column.expression, scope, environment, newFindings());
    }
  }
}

export function scopeOf(sources: readonly Source[], parent: Scope | null): Scope {
  return { sources, parent, aliases: new Map(), coalesced: new Set() };
}
