import type { Expression } from '../ast.ts';
import { type Constant, constantOf } from './constant.ts';
import { type ReachGraph, sameClass } from './graph.ts';
import { nodeOf, type Resolved, type Scope, type Source, withoutAliases } from './model.ts';
import { resolveColumn } from './resolve.ts';

/** Where a condition stands, and so which sources it restricts. */
export interface Condition {
  readonly scope: Scope;
  /** Rows of these that fail the condition can be absent. */
  readonly restricts: ReadonlySet<Source>;
  /** Besides those and outer scopes, values may be taken from these: the preserved side of an outer join. */
  readonly given: ReadonlySet<Source>;
  /** Sources that may be NULL-filled before the condition is judged: IS does not restrict them. */
  readonly nullable: ReadonlySet<Source>;
}

type Column = Resolved & { kind: 'column' };

/**
 * Reads the conjuncts of a condition into the graph: `column = constant`, `column IN (constants)`, `column =
 * column`, each only if the comparison happens under the column's own affinity and collation
 * (https://www.sqlite.org/datatype3.html section 4.2). A conjunct that is not true for NULL may remove rows
 * early even on the NULL-filled side of an outer join; IS may not.
 */
export function addFacts(expression: Expression, at: Condition, graph: ReachGraph): void {
  switch (expression.kind) {
    case 'binary':
      if (expression.operator === 'AND') {
        addFacts(expression.left, at, graph);
        addFacts(expression.right, at, graph);
      } else if (expression.operator === '=' || expression.operator === 'IS') {
        addEquality(expression.left, expression.right, expression.operator === 'IS', at, graph);
      }
      return;
    case 'in': {
      const column = columnOf(expression.operand, at.scope);
      if (expression.negated || expression.source.kind !== 'in-list' || column === null) return;
      const members = expression.source.items.map(constantOf);
      if (members.length > 0 && members.every((member) => member !== null)) pin(column, members, at, graph);
      return;
    }
    case 'null-test':
      if (!expression.negated) addIsConstant(expression.operand, { kind: 'literal', value: null }, at, graph);
      return;
    default:
  }
}

function addEquality(
  left: Expression,
  right: Expression,
  is: boolean,
  at: Condition,
  graph: ReachGraph,
): void {
  if (left.kind === 'row' && right.kind === 'row') {
    if (left.items.length !== right.items.length) return;
    left.items.forEach((item, i) => {
      addEquality(item, right.items[i] as Expression, is, at, graph);
    });
    return;
  }
  const [a, b] = [columnOf(left, at.scope), columnOf(right, at.scope)];
  if (a !== null && b !== null) {
    if (!is) connect(a, b, at, graph);
    return;
  }
  const column = a ?? b;
  const constant = constantOf(a === null ? left : right);
  if (column === null || constant === null) return;
  if (is) addIsConstant(a === null ? right : left, constant, at, graph);
  else pin(column, [constant], at, graph);
}

function addIsConstant(operand: Expression, constant: Constant, at: Condition, graph: ReachGraph): void {
  const column = columnOf(operand, at.scope);
  if (column !== null && !at.nullable.has(column.source)) pin(column, [constant], at, graph);
}

function pin(column: Column, members: readonly Constant[], at: Condition, graph: ReachGraph): void {
  if (column.depth > 0 || !at.restricts.has(column.source) || column.affinity === null) return;
  graph.pin(nodeOf(column.source, column.name), members);
}

function connect(a: Column, b: Column, at: Condition, graph: ReachGraph): void {
  if (!sameColumnClass(a, b)) return;
  if (mayGive(a, at) && restricted(b, at)) graph.edge(nodeOf(a.source, a.name), nodeOf(b.source, b.name));
  if (mayGive(b, at) && restricted(a, at)) graph.edge(nodeOf(b.source, b.name), nodeOf(a.source, a.name));
}

function sameColumnClass(a: Column, b: Column): boolean {
  if (a.affinity === null || b.affinity === null) return false;
  return sameClass(
    { affinity: a.affinity, collation: a.collation },
    { affinity: b.affinity, collation: b.collation },
  );
}

function restricted(column: Column, at: Condition): boolean {
  return column.depth === 0 && at.restricts.has(column.source);
}

function mayGive(column: Column, at: Condition): boolean {
  return column.depth > 0 || at.restricts.has(column.source) || at.given.has(column.source);
}

/** The column that an expression plainly is. `+a` and `a COLLATE x` are not: they compare otherwise. */
export function columnOf(expression: Expression, scope: Scope): Column | null {
  if (expression.kind !== 'column') return null;
  const resolved = resolveColumn(expression, scope);
  if (resolved.kind === 'column') return resolved;
  return resolved.kind === 'alias' && resolved.depth === 0
    ? columnOf(resolved.expression, withoutAliases(scope))
    : null;
}

/** `a.name = b.name` of USING and NATURAL. */
export function addUsing(a: Column, b: Column, at: Condition, graph: ReachGraph): void {
  connect(a, b, at, graph);
}
