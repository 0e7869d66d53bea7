import { asciiLower } from '../../../base/ascii.ts';
import type { Collation } from '../../schema/table.ts';
import { columnOf } from '../../sql/analysis/facts.ts';
import { nodeOf, type Output, type Scope, withoutAliases } from '../../sql/analysis/model.ts';
import { refuse } from '../../sql/analysis/refusal.ts';
import { collationNamed } from '../../sql/analysis/value-class.ts';
import type { Expression, OrderingTerm } from '../../sql/ast.ts';
import type { SortKey } from '../plan.ts';
import { fingerprint } from './fingerprint.ts';

/** Where the values of an ORDER BY term are: a visible column, or an expression of its own. */
export type SortTarget =
  | { readonly kind: 'output'; readonly index: number; readonly collate: Collation | null }
  | { readonly kind: 'expression'; readonly expression: Expression };

/** As SQLite's resolveOrderGroupBy: an alias, a position, an equal result column, else an expression. */
export function sortTarget(term: OrderingTerm, outputs: readonly Output[], scope: Scope | null): SortTarget {
  let expression = term.expression;
  let collate: Collation | null = null;
  while (expression.kind === 'collate') {
    collate ??= collationNamed(expression.collation.name);
    expression = expression.operand;
  }
  const index = outputIndex(expression, outputs, scope);
  return index === null
    ? { kind: 'expression', expression: term.expression }
    : { kind: 'output', index, collate };
}

function outputIndex(expression: Expression, outputs: readonly Output[], scope: Scope | null): number | null {
  if (expression.kind === 'column' && expression.table === null) {
    const name = asciiLower(expression.name.name);
    const index = outputs.findIndex((output) => output.alias !== null && asciiLower(output.alias) === name);
    if (index >= 0) return index;
  }
  if (expression.kind === 'literal' && expression.type === 'integer') {
    const position = Number(expression.value);
    if (position >= 1 && position <= outputs.length) return position - 1;
    refuse('syntax', `ORDER BY term out of range - should be between 1 and ${outputs.length}`);
  }
  if (scope === null) return null;
  const plain = columnOf(expression, scope);
  const node = plain === null || plain.depth > 0 ? null : nodeOf(plain.source, plain.name);
  const wanted = fingerprint(expression, scope);
  const index = outputs.findIndex((output) =>
    output.expression === null
      ? node !== null && output.node === node
      : fingerprint(output.expression, withoutAliases(scope)) === wanted,
  );
  return index >= 0 ? index : null;
}

/** ` DESC NULLS LAST`, as written. */
export function directionText(term: OrderingTerm): string {
  return `${term.direction === 'DESC' ? ' DESC' : ''}${term.nulls === null ? '' : ` NULLS ${term.nulls}`}`;
}

export function sortKey(term: OrderingTerm, column: number, collation: Collation): SortKey {
  const descending = term.direction === 'DESC';
  const first = term.nulls === null ? !descending : term.nulls === 'FIRST';
  return { column, descending, nulls: first ? 'first' : 'last', collation };
}
