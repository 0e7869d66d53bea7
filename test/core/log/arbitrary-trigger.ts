import fc from 'fast-check';
import { quoteName } from '../../../src/core/sqlite/quote.ts';
import { KEY, type Shape } from './arbitrary-schema.ts';

/** A table that triggers write what they saw into. */
export const AUDIT = 'audit';

export interface RandomTrigger {
  readonly table: number;
  readonly sql: string;
}

/** Random triggers on tables. */
export function trigger(shapes: readonly Shape[], index: number): fc.Arbitrary<RandomTrigger> {
  return fc
    .record({
      table: fc.nat({ max: shapes.length - 1 }),
      other: fc.nat({ max: shapes.length - 1 }),
      time: fc.constantFrom('BEFORE', '', 'AFTER', 'AFTER'),
      event: fc.constantFrom('INSERT', 'UPDATE', 'DELETE'),
      body: fc.constantFrom('audit', 'same', 'touch', 'delete', 'ignore', 'insert'),
      when: fc.boolean(),
    })
    .map(({ table, other, time, event, body, when }) => {
      const own = shapes[table];
      const target = shapes[other];
      const name = quoteName(own?.name ?? '');
      const value = quoteName(own?.columns[0]?.name ?? '');
      const row = event === 'DELETE' ? 'OLD' : 'NEW';
      const bodies: Record<string, string> = {
        audit: `INSERT INTO ${AUDIT}(what, v) VALUES ('${time} ${event}', ${row}.${value});`,
        same: `UPDATE ${name} SET ${value} = coalesce(${value}, 0) + 10 WHERE ${KEY} = ${row}.${KEY} AND (typeof(${value}) <> 'integer' OR ${value} < 30);`,
        touch: `UPDATE ${quoteName(target?.name ?? '')} SET ${quoteName(target?.columns[0]?.name ?? '')} = ${row}.${value} WHERE ${KEY} = 2;`,
        delete: `DELETE FROM ${quoteName(target?.name ?? '')} WHERE ${KEY} = 3;`,
        insert: `INSERT OR REPLACE INTO ${quoteName(target?.name ?? '')}(${KEY}) VALUES (5);`,
        ignore: `SELECT raise(IGNORE) WHERE ${row}.${KEY} = 4;`,
      };
      // A cluster refuses it: SQLite itself may be left with two rows of one UNIQUE value.
      const keeps = body === 'ignore' && event === 'DELETE' && time !== 'AFTER';
      const condition = when ? `WHEN ${row}.${KEY} IS NOT 1 OR ${row}.${value} IS NULL -- c\n` : '';
      return {
        table,
        sql: `CREATE TRIGGER "trigger ${index}" ${time} ${event} ON ${name} FOR EACH ROW ${condition}BEGIN ${bodies[keeps ? 'audit' : body]} END`,
      };
    });
}

export function viewName(index: number): string {
  return `view${index}`;
}

/** A view on each table that can be written: its triggers write the table. */
export function createView({ name, columns }: Shape, index: number): string[] {
  const table = quoteName(name);
  const value = quoteName(columns[0]?.name ?? KEY);
  const view = viewName(index);
  return [
    `CREATE VIEW ${view} AS SELECT ${KEY}, ${value} AS v FROM ${table}`,
    `CREATE TRIGGER ${view}i INSTEAD OF INSERT ON ${view} BEGIN INSERT OR REPLACE INTO ${table}(${KEY}, ${value}) VALUES (NEW.${KEY}, NEW.v); END`,
    `CREATE TRIGGER ${view}u INSTEAD OF UPDATE ON ${view} WHEN NEW.${KEY} IS NOT 3 BEGIN UPDATE ${table} SET ${KEY} = NEW.${KEY}, ${value} = NEW.v WHERE ${KEY} IS OLD.${KEY}; END`,
    `CREATE TRIGGER ${view}d INSTEAD OF DELETE ON ${view} BEGIN DELETE FROM ${table} WHERE ${KEY} = OLD.${KEY}; END`,
  ];
}
