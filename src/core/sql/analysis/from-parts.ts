import type { Expression, SelectCore } from '../ast.ts';

export function joinConditions(ast: SelectCore): Expression[] {
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
export function functionArguments(from: SelectCore['from']): Expression[] {
  if (from === null) return [];
  return [from.first, ...from.joins.map((join) => join.table)].flatMap((table) => {
    if (table.kind === 'table-function') return table.arguments;
    return table.kind === 'nested-join' ? functionArguments(table.from) : [];
  });
}
