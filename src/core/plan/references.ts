import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import { keyOverText, type ReferenceIndex } from '../schema/reference-index.ts';
import type { Table } from '../schema/table.ts';
import { eventsOf, type Reach, type WriteEvent, wholeReachOf } from '../sql/analysis/reach.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import { triggerStatement, viewSelect } from '../sql/analysis/view.ts';
import { walk } from '../sql/analysis/walk.ts';
import type { Delete, Insert, Node, Update } from '../sql/ast.ts';
import { movesOf } from './move.ts';
import type { RoutePlan, Staged } from './plan.ts';
import { uniquesOf } from './unique.ts';

/**
 * What a write concerns beside the rows' own partition: indexes over partitions, and rows elsewhere that foreign keys act on.
 * Nothing: one partition does all of it. `changed`: the columns that an UPDATE or an upsert sets, lower case; null: any.
 */
export function concernsOf(
  schema: Schema,
  table: Table,
  ast: Insert | Update | Delete,
  reaches: readonly string[],
  changed: readonly string[] | null,
  staged?: Staged,
): Pick<RoutePlan, 'indexes' | 'acts'> {
  const indexes = [
    ...uniquesOf(schema, table, ast, reaches, staged),
    ...referencesOf(schema, table, ast, reaches, changed),
  ];
  if (schema.catalogue.references === undefined) return indexes.length === 0 ? {} : { indexes };
  const reach = wholeReachOf(schema, table, eventsIn(table, ast), changed);
  const { acted } = reach;
  refuseActed(schema, reach);
  if (acted.length > 0) refuseTriggers(schema, [table.name, ...reaches], acted);
  return { ...(indexes.length > 0 && { indexes }), ...(acted.length > 0 && { acts: acted }) };
}

/** @throws Refusal for what foreign keys cannot do to rows of other partitions */
export function refuseActed(schema: Schema, { acted, cascaded, actions, referring }: Reach): void {
  for (const { index, event } of actions) {
    const child = schema.stored.get(index.of);
    if (event !== 'UPDATE' || child === undefined) continue;
    refuseAction(schema, child, index.columns, keyOverText(index, child, schema.stored.get(index.parent)));
  }
  for (const { child, foreignKey, does } of referring) {
    if (does !== 'UPDATE') continue;
    const text = keyOverText(foreignKey, child, schema.table(foreignKey.parent));
    refuseAction(schema, child, foreignKey.columns, text);
  }
  // What such a trigger writes itself is there.
  if (acted.length > 0) refuseTriggers(schema, acted, cascaded);
}

/** Whether foreign keys over partitions may be concerned: rows of theirs are judged where they belong, not as visitors. */
export function refersOver(...write: Parameters<typeof referencesOf>): boolean {
  return referencesOf(...write).length > 0;
}

/** Foreign keys over partitions whose entries the write may change, or whose parents. */
function referencesOf(
  schema: Schema,
  table: Table,
  ast: Insert | Update | Delete,
  reaches: readonly string[],
  changed: readonly string[] | null,
): string[] {
  const { references } = schema.catalogue;
  if (references === undefined) return [];
  const reached = new Set(reaches.map(asciiLower));
  const anything = schema.triggersOn(table.name).length > 0 || replaces(table, ast);
  return references.flatMap((index) => {
    const [child, parent] = [schema.stored.get(index.of), schema.stored.get(index.parent)];
    const isReached = [child, parent].some(
      (each) => each !== undefined && reached.has(asciiLower(each.name)),
    );
    const isChild =
      child?.id === table.id && (anything || ast.kind !== 'update' || sets(table, index, 'row', changed));
    const isParent =
      parent?.id === table.id &&
      (anything || ast.kind === 'delete' || sets(table, index, 'parentColumns', changed));
    return isReached || isChild || isParent ? [keyOverText(index, child, parent)] : [];
  });
}

/** Whether columns are set that matter to the row that refers, or to the one that is referred to. */
function sets(
  table: Table,
  index: ReferenceIndex,
  side: 'row' | 'parentColumns',
  changed: readonly string[] | null,
): boolean {
  if (changed === null) return true;
  const own = side === 'row' ? [...index.columns, ...index.row] : index.parentColumns;
  const needed = new Set(own.map(asciiLower));
  const known = new Set(table.columns.map(({ name }) => asciiLower(name)));
  // What is no column is another name of the rowid.
  return changed.some((name) => needed.has(name) || !known.has(name));
}

/** Rows in its way may go: by its own clause, or by one of the table's definition. */
function replaces({ sql }: Table, ast: Insert | Update | Delete): boolean {
  return ast.kind !== 'delete' && (ast.or === 'REPLACE' || /\bON\s+CONFLICT\s+REPLACE\b/i.test(sql));
}

/** What a write does to rows of its table, those in its way included. */
export function eventsIn(table: Table, ast: Insert | Update | Delete): readonly WriteEvent[] {
  const events = eventsOf(ast);
  return replaces(table, ast) && !events.includes('DELETE') ? [...events, 'DELETE'] : events;
}

/** A trigger has fired long before the foreign keys act: it would not see what they do, as it does in SQLite. */
function refuseTriggers(schema: Schema, written: readonly string[], later: readonly string[]): void {
  const changed = new Set(later.map(asciiLower));
  for (const name of new Set(written)) {
    for (const trigger of schema.triggersOn(name)) {
      const used = tablesIn(schema, triggerStatement(trigger)).find(
        (each) => asciiLower(each) !== asciiLower(name) && changed.has(asciiLower(each)),
      );
      if (used === undefined) continue;
      refuse(
        'unsupported',
        `the trigger "${trigger.name}" on "${name}" uses "${used}", whose rows foreign keys change over partitions when the trigger has run: ` +
          'drop the trigger, or change those rows first',
      );
    }
  }
}

/** Tables that a trigger's body or a view names. */
function tablesIn(schema: Schema, node: Node): string[] {
  const names: string[] = [];
  walk(node, (each) => {
    if (each.kind !== 'table' && each.kind !== 'qualified-name') return undefined;
    const view = schema.view(each.name.name);
    names.push(...(view === undefined ? [each.name.name] : tablesIn(schema, viewSelect(view))));
    return undefined;
  });
  return names;
}

/** A foreign key cannot do to a row what no statement can. */
function refuseAction(schema: Schema, child: Table, set: readonly string[], keyText: string): void {
  const columns = set.map(asciiLower);
  const id = child.rowidColumn ?? child.rowidName;
  if (id !== null && columns.includes(asciiLower(id))) {
    refuse(
      'key-change',
      `the foreign key ${keyText} would change the id of rows of "${child.name}", which cannot be: change or delete those rows first`,
    );
  }
  const key = child.placement.kind === 'partitioned' ? child.placement.key : [];
  const moved = key.find((name) => columns.includes(asciiLower(name)));
  if (moved !== undefined) movesOf(schema, child, { or: null, columns }, moved);
}
