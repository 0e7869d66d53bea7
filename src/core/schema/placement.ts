import { asciiLower } from '../../base/ascii.ts';
import { assert } from '../../base/assert.ts';
import { AtollError } from '../../protocol/error.ts';
import type { PlainTable } from './introspect.ts';
import { includesName } from './name-list.ts';
import type { Column, ForeignKey, Placement, Table } from './table.ts';

/** What a CREATE TABLE or ALTER TABLE says about a table's place. */
export type DeclaredPlacement =
  | { readonly kind: 'partition-by'; readonly columns: readonly string[] }
  | { readonly kind: 'reference' };

type Placed = PlainTable & { readonly placement: Placement };

/**
 * A new table's placement. Said: as said. Not said: by the first foreign key that points at another table's
 * partition key, so that parents and children live together; else by the PRIMARY KEY; else by the rowid.
 *
 * @throws AtollError
 */
export function resolvePlacement(
  table: PlainTable,
  declared: DeclaredPlacement | undefined,
  placed: (name: string) => Placed | undefined,
): Placement {
  const placement = placementOf(table, declared, placed);
  if (placement.kind === 'partitioned') refuseIdBesideOthers(table, placement.key);
  return placement;
}

/**
 * Of a table that is made anew with its rows, and whose definition does not say where they live: as before, if `key`, the columns
 * of before by their names now, are there (null: they are not); else as a new table's.
 *
 * @throws AtollError
 */
export function placementOfRebuilt(
  table: PlainTable,
  key: readonly string[] | null,
  placed: (name: string) => Placed | undefined,
): Placement {
  if (key === null) return resolvePlacement(table, undefined, placed);
  const stored = table.columns.filter(({ generated }) => generated === 'no').map(({ name }) => name);
  if (key.every((column) => includesName(stored, column)))
    return resolvePlacement(table, { kind: 'partition-by', columns: key }, placed);
  const isHidden = table.rowidColumn === null && key.join() === table.rowidName;
  return isHidden ? { kind: 'partitioned', key } : resolvePlacement(table, undefined, placed);
}

/** An INTEGER PRIMARY KEY is unique by itself, and generated where its row is to be: beside other columns neither can be seen to. */
function refuseIdBesideOthers({ name, rowidColumn }: PlainTable, key: readonly string[]): void {
  if (key.length === 1 || rowidColumn === null || !key.includes(rowidColumn)) return;
  throw new AtollError(
    'needs-global-index',
    `${name}: the partition key (${key.join(', ')}) has the INTEGER PRIMARY KEY ${rowidColumn} beside other columns, which is unique without ` +
      'them: leave it out of PARTITION BY, or declare the table WITHOUT ROWID with a PRIMARY KEY of all of them',
  );
}

function placementOf(
  table: PlainTable,
  declared: DeclaredPlacement | undefined,
  placed: (name: string) => Placed | undefined,
): Placement {
  const rowidName = reachableRowid(table);
  if (declared?.kind === 'reference') return { kind: 'reference' };
  if (declared !== undefined) {
    const key = declared.columns.map((name) => keyColumn(table, name).name);
    const twice = key.find((name, index) => key.indexOf(name) < index);
    if (twice !== undefined) throw new AtollError('bad-request', `PARTITION BY names ${twice} twice`);
    return { kind: 'partitioned', key };
  }
  const colocated = colocatedKey(table, placed);
  if (colocated !== null) return { kind: 'partitioned', key: colocated };
  const primaryKey = table.columns
    .filter((column) => column.primaryKeyIndex > 0)
    .sort((a, b) => a.primaryKeyIndex - b.primaryKeyIndex)
    .map((column) => column.name);
  if (primaryKey.length > 0) return { kind: 'partitioned', key: primaryKey };
  assert(rowidName !== null, 'a table without a key has a rowid');
  return { kind: 'partitioned', key: [rowidName] };
}

/**
 * A name for the table's rowid, which the log and generated ids need; null in a WITHOUT ROWID table.
 *
 * @throws AtollError if columns have taken all of its names
 */
export function reachableRowid({ name, withoutRowid, rowidName }: PlainTable): string | null {
  if (withoutRowid || rowidName !== null) return rowidName;
  throw new AtollError(
    'unsupported',
    `${name}: columns named rowid, _rowid_ and oid hide the rowid; rename one`,
  );
}

function keyColumn(table: PlainTable, name: string): Column {
  const column = table.columns.find((each) => asciiLower(each.name) === asciiLower(name));
  if (column === undefined) {
    throw new AtollError('no-such-column', `PARTITION BY: ${table.name} has no column ${name}`);
  }
  if (column.generated !== 'no') {
    throw new AtollError(
      'unsupported',
      `PARTITION BY: ${table.name}.${name} is a generated column; name a stored one`,
    );
  }
  return column;
}

function colocatedKey(
  table: PlainTable,
  placed: (name: string) => Placed | undefined,
): readonly string[] | null {
  for (const foreignKey of table.foreignKeys) {
    if (asciiLower(foreignKey.parent) === asciiLower(table.name)) continue;
    const parent = placed(foreignKey.parent);
    if (parent === undefined || parent.placement.kind !== 'partitioned') continue;
    const key = childColumnsFor(foreignKey, parent, parent.placement.key);
    if (key !== null) return key;
  }
  return null;
}

/** The foreign key's own columns that stand for the parent's partition key, in that key's order; null if some do not. */
export function childColumnsFor(
  foreignKey: ForeignKey,
  parent: PlainTable,
  parentKey: readonly string[],
): readonly string[] | null {
  const parentColumns = parentColumnsOf(foreignKey, parent);
  const columns: string[] = [];
  for (const key of parentKey) {
    const index = parentColumns.findIndex((name) => asciiLower(name) === asciiLower(key));
    const column = index < 0 ? undefined : foreignKey.columns[index];
    if (column === undefined) return null;
    columns.push(column);
  }
  return columns;
}

/** A foreign key that names no parent columns means the PRIMARY KEY. */
export function parentColumnsOf(foreignKey: ForeignKey, parent: PlainTable): readonly string[] {
  if (foreignKey.parentColumns.length > 0) return foreignKey.parentColumns;
  return parent.columns
    .filter((column) => column.primaryKeyIndex > 0)
    .sort((a, b) => a.primaryKeyIndex - b.primaryKeyIndex)
    .map((column) => column.name);
}

/** Affinity and collation of a table's key columns: what its tokens depend on. */
export function keyColumns(table: Table): readonly Pick<Column, 'affinity' | 'collation'>[] {
  if (table.placement.kind !== 'partitioned') return [];
  return table.placement.key.map((name) => {
    const column = table.columns.find((each) => asciiLower(each.name) === asciiLower(name));
    return column ?? { affinity: 'INTEGER', collation: 'BINARY' };
  });
}

/** Whether equal keys of both tables are in the same partition. */
export function areColocated(a: Table, b: Table): boolean {
  if (a.placement.kind !== 'partitioned' || b.placement.kind !== 'partitioned') return false;
  const [left, right] = [keyColumns(a), keyColumns(b)];
  return (
    left.length === right.length &&
    left.every(
      (column, i) => column.affinity === right[i]?.affinity && column.collation === right[i]?.collation,
    )
  );
}

/** Parents before their children where possible, else as created: colocation looks at the parent's placement. */
export function inOrderOfParents(tables: readonly PlainTable[]): PlainTable[] {
  const ordered: PlainTable[] = [];
  const seen = new Set<PlainTable>();
  const visit = (table: PlainTable): void => {
    if (seen.has(table)) return;
    seen.add(table);
    for (const { parent } of table.foreignKeys) {
      const found = tables.find((each) => asciiLower(each.name) === asciiLower(parent));
      if (found !== undefined) visit(found);
    }
    ordered.push(table);
  };
  for (const table of tables) visit(table);
  return ordered;
}
