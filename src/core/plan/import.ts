import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import { parseStatement } from '../sql/parse.ts';
import { quoteName } from '../sqlite/quote.ts';
import { keyColumns } from './change.ts';
import type { Plan } from './plan.ts';
import { planStatement } from './statement.ts';

/** The plan of an INSERT as an import makes it: of any row, with all its values but ids that are generated. */
export function importPlan(schema: Schema, table: Table): Plan {
  const key = keyColumns(table);
  const given = table.columns.filter(
    ({ name, generated }) =>
      generated === 'no' && (name !== table.rowidColumn || key.includes(asciiLower(name))),
  );
  const names = given.map(({ name }) => quoteName(name)).join(', ');
  const values = given.map(() => '?').join(', ');
  const what = given.length === 0 ? 'DEFAULT VALUES' : `(${names}) VALUES (${values})`;
  const sql = `INSERT INTO ${quoteName(table.name)} ${what}`;
  return planStatement(parseStatement(sql), sql, schema);
}
