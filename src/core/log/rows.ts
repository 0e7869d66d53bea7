import { RawText, type SqlValue } from '../../base/sql-value.ts';
import { bindExact, selectExact } from '../sqlite/exact.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { quoteName } from '../sqlite/quote.ts';
import type { Image } from './commit.ts';
import { sameValue } from './encoding.ts';
import type { Layout } from './layout.ts';

/**
 * Statements on single rows of a logged table, with exact values. OR ABORT overrules conflict clauses of the
 * table's own (`UNIQUE ON CONFLICT REPLACE`), which would change other rows.
 */

/** A column of the layout as SQL. A hidden rowid stays bare: quoted it might be taken for text. */
export function columnSql(layout: Layout, index: number): string {
  const name = layout.columns[index] ?? '';
  return layout.hiddenRowid && index === 0 ? name : quoteName(name);
}

export function insertRow(port: SqlitePort, layout: Layout, image: Image): void {
  const bound = image.map(bindExact);
  const columns = layout.columns.map((_, index) => columnSql(layout, index));
  port.query(
    `INSERT OR ABORT INTO ${quoteName(layout.table)}(${columns.join(', ')}) VALUES (${bound.map((each) => each.sql).join(', ')})`,
    ...bound.map((each) => each.binding),
  );
}

/** What is bound to one statement: SQLITE_LIMIT_VARIABLE_NUMBER in workerd (imposed). */
const VARIABLES_MAX = 100;

/**
 * Inserts rows in their order, many by one statement. With `REPLACE` a row takes the place of those that stand in its way,
 * else it is an error, and rows of earlier statements stay.
 */
export function insertRows(
  port: SqlitePort,
  layout: Layout,
  images: readonly Image[],
  conflict: 'ABORT' | 'REPLACE',
): void {
  const columns = layout.columns.map((_, index) => columnSql(layout, index)).join(', ');
  const head = `INSERT OR ${conflict} INTO ${quoteName(layout.table)}(${columns}) VALUES `;
  const rowsMax = Math.floor(VARIABLES_MAX / layout.columns.length);
  const texts = new Map<string, string>();
  for (let from = 0; from < images.length; from += rowsMax) {
    const bindings: PortValue[] = [];
    let sql = head;
    for (let i = from; i < Math.min(from + rowsMax, images.length); i++) {
      sql += i === from ? '(' : ', (';
      const image = images[i] ?? [];
      for (let column = 0; column < image.length; column++) {
        const bound = bindExact(image[column] ?? null);
        sql += column === 0 ? bound.sql : `, ${bound.sql}`;
        bindings.push(bound.binding);
      }
      sql += ')';
    }
    // The same string object each time: the port looks statements up by their text.
    const known = texts.get(sql);
    if (known === undefined) texts.set(sql, sql);
    port.query(known ?? sql, ...bindings);
  }
}

export function deleteRow(port: SqlitePort, layout: Layout, image: Image): void {
  const { sql, bindings } = whereKey(layout, image);
  port.query(`DELETE FROM ${quoteName(layout.table)} ${sql}`, ...bindings);
}

/**
 * Makes the row `from` the row `to`. Only what differs is set: fewer parameters than the 100 that workerd
 * allows, less work on indexes; the log has whole images all the same.
 */
export function updateRow(port: SqlitePort, layout: Layout, from: Image, to: Image): void {
  const changed = layout.columns.flatMap((_, i) => (sameValue(from[i] ?? null, to[i] ?? null) ? [] : [i]));
  if (changed.length === 0) changed.push(layout.key[0] ?? 0);
  const bound = changed.map((index) => bindExact(to[index] ?? null));
  const sets = changed.map((index, i) => `${columnSql(layout, index)} = ${bound[i]?.sql ?? 'NULL'}`);
  const { sql, bindings } = whereKey(layout, from, bound.length);
  port.query(
    `UPDATE OR ABORT ${quoteName(layout.table)} SET ${sets.join(', ')} ${sql}`,
    ...bound.map((each) => each.binding),
    ...bindings,
  );
}

/**
 * The row with exactly the key of `image`; null if there is none. SQLite also finds 1 for 1.0, or `A` for `a` under
 * NOCASE: that is another row to the log, which for SQLite cannot be there at the same time.
 */
export function readRow(port: SqlitePort, layout: Layout, image: Image): SqlValue[] | null {
  const columns = layout.columns.map((_, index) => columnSql(layout, index));
  const { sql, bindings } = whereKey(layout, image);
  const row = selectExact(port, columns, `FROM ${quoteName(layout.table)} ${sql}`, bindings)[0];
  if (row === undefined) return null;
  return layout.key.every((index) => sameValue(row[index] ?? null, image[index] ?? null)) ? row : null;
}

/**
 * The row with a key, and none that a column's collation would take for it: the key's index may have another. The
 * first comparison uses an index of the column's collation, the second a binary one. `before`: parameters that the
 * statement has already.
 */
function whereKey(layout: Layout, image: Image, before = 0): { sql: string; bindings: PortValue[] } {
  const bound = layout.key.map((index) => bindExact(image[index] ?? null));
  const terms = layout.key.flatMap((index, i) => {
    const name = columnSql(layout, index);
    const value = (bound[i]?.sql ?? 'NULL').replace('?', `?${before + i + 1}`);
    const isText = typeof image[index] === 'string' || image[index] instanceof RawText;
    return isText ? [`${name} = ${value}`, `${name} COLLATE BINARY = ${value}`] : [`${name} = ${value}`];
  });
  return { sql: `WHERE ${terms.join(' AND ')}`, bindings: bound.map((each) => each.binding) };
}
