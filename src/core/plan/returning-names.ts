import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Insert } from '../sql/ast.ts';

/** Names of the columns of RETURNING, as SQLite gives them; none without the clause. */
export function returningNames(schema: Schema, { returning, table }: Insert, sql: string): string[] {
  const columns = schema.table(table.name.name)?.columns ?? [];
  return (returning?.columns ?? []).flatMap((column) => {
    if (column.kind === 'result-star') return columns.map(({ name }) => name);
    const { expression, alias } = column;
    if (alias !== null) return [alias.name];
    const named =
      expression.kind === 'column'
        ? columns.find(({ name }) => asciiLower(name) === asciiLower(expression.name.name))
        : undefined;
    return [named?.name ?? sql.slice(expression.start, expression.end)];
  });
}
