import type { Expression, Node, SelectCore, Values } from '../ast.ts';

/** The expressions of one SELECT or VALUES: where aliases of result columns are unknown, and where they are known. */
export function expressionsOf(ast: SelectCore | Values): { plain: Node[]; aliased: Node[] } {
  if (ast.kind === 'values') return { plain: ast.rows.flatMap((row) => row.items), aliased: [] };
  const results = ast.columns.flatMap((c) => (c.kind === 'result-expression' ? [c.expression] : []));
  const rest: readonly (Node | null)[] = [
    ...joinConditions(ast),
    ast.where,
    ...(ast.groupBy ?? []),
    ast.having,
    ...(ast.windows ?? []),
  ];
  return {
    plain: [...functionArguments(ast.from), ...results],
    aliased: rest.filter((node) => node !== null),
  };
}

function joinConditions(ast: SelectCore): Expression[] {
  const found: Expression[] = [];
  const visit = (from: NonNullable<SelectCore['from']>): void => {
    for (const table of [from.first, ...from.joins.map((join) => join.table)]) {
      if (table.kind === 'nested-join') visit(table.from);
    }
    for (const join of from.joins) if (join.on !== null) found.push(join.on);
  };
  if (ast.from !== null) visit(ast.from);
  return found;
}

/** Arguments of table-valued functions: they may name the other tables of the FROM. */
function functionArguments(from: SelectCore['from']): Expression[] {
  if (from === null) return [];
  return [from.first, ...from.joins.map((join) => join.table)].flatMap((table) => {
    if (table.kind === 'table-function') return table.arguments;
    return table.kind === 'nested-join' ? functionArguments(table.from) : [];
  });
}
