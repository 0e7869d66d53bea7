import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import { reachOf } from '../sql/analysis/reach.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import { triggerStatement } from '../sql/analysis/view.ts';
import type { Update } from '../sql/ast.ts';

/**
 * The tables whose rows may change their partition with an UPDATE that sets `columns` (lower case), `name` of its partition key: its target, and what its
 * triggers and cascades write. The statement runs where the rows were; they are created again where they belong, silently,
 * in the same transaction (core/replica/escapes.ts). Refused is what would need rows of the other partition while it runs.
 */
export function movesOf(
  schema: Schema,
  table: Table,
  { or, columns }: Pick<Update, 'or'> & { readonly columns: readonly string[] },
  name: string,
): readonly string[] {
  const id = table.rowidColumn ?? table.rowidName;
  if (id !== null && keyOf(table).includes(asciiLower(id))) {
    return refuse(
      'key-change',
      `"${name}" is part of the partition key of "${table.name}" and its id, which cannot be changed: delete the row and insert it anew`,
    );
  }
  if (or !== null && or !== 'ABORT') {
    return refuse(
      'unsupported',
      `UPDATE OR ${or} sets "${name}" of the partition key of "${table.name}": rows that are in the way may be in another partition; leave OR ${or} out`,
    );
  }
  const changed = [...columns].sort();
  const moved = [table.name, ...reachOf(schema, table, ['UPDATE'], changed, 'move')];
  refuseParents(schema, table, name);
  refuseMovingTriggers(schema, moved);
  return moved;
}

function keyOf({ placement }: Table): readonly string[] {
  return placement.kind === 'partitioned' ? placement.key.map(asciiLower) : [];
}

/** SQLite would look for the parent where the row was. What moves by a cascade has its parent with it. */
function refuseParents(schema: Schema, table: Table, name: string): void {
  for (const { parent } of table.foreignKeys) {
    if (schema.table(parent)?.placement.kind !== 'partitioned') continue;
    refuse(
      'key-change',
      `"${name}" is part of the partition key of "${table.name}", whose rows refer to rows of "${parent}" in the same partition: ` +
        `change the key of "${parent}" with ON UPDATE CASCADE, or delete the row and insert it anew`,
    );
  }
}

/** Of a trigger's own changes of keys it is not proved that they need no rows elsewhere. */
function refuseMovingTriggers(schema: Schema, moved: readonly string[]): void {
  const keys = new Map(moved.map((name) => [asciiLower(name), keyOf(schema.table(name) as Table)]));
  for (const trigger of schema.catalogue.triggers) {
    for (const statement of triggerStatement(trigger).body) {
      if (statement.kind !== 'update' && statement.kind !== 'insert') continue;
      const key = keys.get(asciiLower(statement.table.name.name)) ?? [];
      const set =
        statement.kind === 'update' ? statement.set : statement.upserts.flatMap((each) => each.set ?? []);
      if (!set.some(({ columns }) => columns.some((each) => key.includes(asciiLower(each.name))))) continue;
      refuse(
        'key-change',
        `the trigger "${trigger.name}" sets the partition key of "${statement.table.name.name}": rows cannot be moved while it is there`,
      );
    }
  }
}
