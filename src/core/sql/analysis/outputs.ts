import { asciiLower } from '../../../base/ascii.ts';
import type { Expression, ResultExpression, SelectCore, Values } from '../ast.ts';
import { columnOf } from './facts.ts';
import { nodeOf, type Output, type Scope, type Source, withoutAliases } from './model.ts';
import { refuse } from './refusal.ts';
import type { ExpressionClass } from './value-class.ts';

type ClassOf = (expression: Expression) => ExpressionClass;

/**
 * Result columns with stars expanded, named as SQLite names them (sqlite3GenerateColumnNames,
 * short_column_names on).
 */
export function outputsOf(ast: SelectCore | Values, scope: Scope, text: string, classOf: ClassOf): Output[] {
  if (ast.kind === 'values') {
    const [row] = ast.rows;
    return (row?.items ?? []).map((item, i) =>
      expressionOutput(item, `column${i + 1}`, null, scope, classOf),
    );
  }
  return ast.columns.flatMap((column) =>
    column.kind === 'result-star'
      ? starOutputs(column.table?.name ?? null, scope)
      : [namedOutput(column, scope, text, classOf)],
  );
}

function namedOutput(column: ResultExpression, scope: Scope, text: string, classOf: ClassOf): Output {
  const inner = withoutAliases(scope);
  const plain = columnOf(column.expression, inner);
  const written = text.slice(column.start, column.end);
  const name = column.alias?.name ?? plain?.name ?? written;
  return expressionOutput(column.expression, name, column.alias?.name ?? null, inner, classOf);
}

function expressionOutput(
  expression: Expression,
  name: string,
  alias: string | null,
  scope: Scope,
  classOf: ClassOf,
): Output {
  const { affinity, collation } = classOf(expression);
  const plain = columnOf(expression, scope);
  const own = plain !== null && plain.depth === 0 ? plain : null;
  return {
    name,
    expression,
    alias,
    affinity,
    collation,
    node: own === null ? null : nodeOf(own.source, own.name),
    nullable: own?.source.nullable ?? false,
  };
}

function starOutputs(qualifier: string | null, scope: Scope): Output[] {
  const sources =
    qualifier === null ? scope.sources : scope.sources.filter((s) => s.name === asciiLower(qualifier));
  if (sources.length === 0) {
    refuse(
      qualifier === null ? 'syntax' : 'no-such-table',
      qualifier === null ? 'no tables specified' : `no such table: ${qualifier}`,
    );
  }
  return sources.flatMap((source) => sourceOutputs(source, qualifier === null, scope));
}

function sourceOutputs(source: Source, merging: boolean, scope: Scope): Output[] {
  const outputs: Output[] = [];
  for (const { name, affinity, collation } of source.columns) {
    const lower = asciiLower(name);
    if (merging && source.merged.has(lower)) continue;
    const coalesced = merging && scope.coalesced.has(lower);
    const node = coalesced ? null : nodeOf(source, name);
    outputs.push({
      name,
      expression: null,
      alias: null,
      affinity,
      collation,
      node,
      nullable: source.nullable,
    });
  }
  return outputs;
}

/** Result columns with an alias, by name; the first of several. */
export function aliasesOf(ast: SelectCore): ReadonlyMap<string, Expression> {
  const aliases = new Map<string, Expression>();
  for (const column of ast.columns) {
    if (column.kind !== 'result-expression' || column.alias === null) continue;
    const name = asciiLower(column.alias.name);
    if (!aliases.has(name)) aliases.set(name, column.expression);
  }
  return aliases;
}
