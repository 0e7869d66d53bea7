import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Insert } from '../sql/ast.ts';

const ROWIDS: ReadonlySet<string> = new Set(['rowid', 'oid', '_rowid_']);

/** Names of the columns of RETURNING, as SQLite gives them; none without the clause. */
export function returningNames(schema: Schema, { returning, table }: Insert, sql: string): string[] {
  const { columns = [], rowidColumn } = schema.table(table.name.name) ?? {};
  return (returning?.columns ?? []).flatMap((column) => {
    if (column.kind === 'result-star') return columns.map(({ name }) => name);
    const { expression, alias } = column;
    if (alias !== null) return [alias.name];
    const text = sql.slice(expression.start, expression.end);
    if (expression.kind !== 'column') return [text];
    const own = asciiLower(expression.name.name);
    const named = columns.find(({ name }) => asciiLower(name) === own)?.name;
    return [named ?? (ROWIDS.has(own) ? (rowidColumn ?? own) : text)];
  });
}
