import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import type { UniqueIndex } from '../schema/unique-index.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import { triggerStatement } from '../sql/analysis/view.ts';
import type { Delete, Insert, Update } from '../sql/ast.ts';
import type { Staged } from './plan.ts';
import { concerns } from './staged.ts';

/**
 * The indexes that keep UNIQUE over partitions whose entries a write may change, as `table (columns)`. Refuses conflict clauses
 * that would need a row of another partition while it runs, which is not looked for before (`staged`).
 */
export function uniquesOf(
  schema: Schema,
  table: Table,
  ast: Insert | Update | Delete,
  reaches: readonly string[],
  staged?: Staged,
): readonly string[] {
  if (schema.catalogue.uniques === undefined) return [];
  const reached = reaches.flatMap((name) => schema.table(name) ?? []);
  const fires = schema.triggersOn(table.name).length > 0;
  const own = schema.uniquesOf(table).filter((index) => fires || mayChange(index, table, ast));
  const changed = [...own, ...reached.flatMap((each) => schema.uniquesOf(each))];
  if (changed.length === 0) return [];
  if (own.length > 0 && ast.kind !== 'delete' && staged === undefined) refuseClauses(table, own, ast);
  for (const each of [table, ...reached]) refuseTriggers(schema, each);
  return changed.map((index) => textOf(schema, index));
}

function textOf(schema: Schema, { of, columns }: UniqueIndex): string {
  const owner = schema.catalogue.tables.find(({ id }) => id === of);
  return `${owner?.name} (${columns.join(', ')})`;
}

/** An UPDATE of other columns leaves an entry as it is. */
function mayChange({ columns, row }: UniqueIndex, table: Table, ast: Insert | Update | Delete): boolean {
  if (ast.kind !== 'update') return true;
  const needed = new Set([...columns, ...row].map(asciiLower));
  const own = new Set(table.columns.map(({ name }) => asciiLower(name)));
  const set = ast.set.flatMap((assignment) => assignment.columns.map(({ name }) => asciiLower(name)));
  // What is no column is another name of the rowid.
  return set.some((name) => needed.has(name) || !own.has(name));
}

function refuseClauses(
  table: Table,
  indexes: readonly UniqueIndex[],
  ast: Insert | Update,
  where = '',
): void {
  const shown = indexes.map(({ columns }) => `(${columns.join(', ')})`).join(', ');
  const why =
    `the rows in its way may be in other partitions, since UNIQUE ${shown} of "${table.name}" does not contain the ` +
    'partition key: ';
  const verb = ast.kind === 'insert' ? 'INSERT' : 'UPDATE';
  if (ast.or !== null && ast.or !== 'ABORT') {
    const clause = ast.or === 'REPLACE' && ast.kind === 'insert' ? 'REPLACE' : `${verb} OR ${ast.or}`;
    const instead =
      ast.kind === 'insert' && ast.or !== 'FAIL' && where === '' ? 'give its rows as VALUES, or ' : '';
    refuse(
      'needs-global-index',
      `${where}${clause}: ${why}${instead}leave the clause out, and do what it says when the statement fails with "constraint"`,
    );
  }
  if (ast.kind === 'update') return;
  if (!ast.upserts.some((upsert) => concerns(upsert, indexes))) return;
  refuse(
    'needs-global-index',
    `${where}ON CONFLICT: ${why}${where === '' ? 'give its rows as VALUES' : 'name a constraint with the partition key in it'}, or look the row up first`,
  );
}

function refuseTriggers(schema: Schema, table: Table): void {
  for (const trigger of schema.triggersOn(table.name)) {
    for (const statement of triggerStatement(trigger).body) {
      if (statement.kind !== 'insert' && statement.kind !== 'update') continue;
      const target = schema.table(statement.table.name.name);
      const indexes = target === undefined ? [] : schema.uniquesOf(target);
      if (target !== undefined && indexes.length > 0)
        refuseClauses(target, indexes, statement, `the trigger "${trigger.name}": `);
    }
  }
}
