import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import { hiddenColumn, hiddenTable, rowKeyOf } from './hidden-table.ts';
import { renamed } from './name-list.ts';
import type { Column, ForeignKey, Table } from './table.ts';
import type { UniqueIndex } from './unique-index.ts';

/** A foreign key over partitions: its columns, by what the tables are called now. */
export interface KeyOver {
  /** The table that refers. */
  readonly of: TableId;
  readonly columns: readonly string[];
  /** The table that is referred to, and a column of it for each of `columns`. */
  readonly parent: TableId;
  readonly parentColumns: readonly string[];
  readonly onDelete: string;
  readonly onUpdate: string;
}

/**
 * What keeps a foreign key whose parents may be in other partitions than the children. SQLite does not know of the key there.
 * A hidden table has an entry for every row that refers to a parent, and lives with the key that is referred to, where it is
 * known whether there is a parent.
 */
export interface ReferenceIndex extends KeyOver {
  /** The hidden table of the index over partitions that knows the parents' keys; null: the parents' own rows are there. */
  readonly unique: TableId | null;
  /** Columns that say which row refers, and where it is: of its partition key, and of the row's key. */
  readonly row: readonly string[];
  /** Hidden: the values `v0` … as the parents' columns would store them, and those of the row, `r0` …. */
  readonly table: Table;
}

/** @throws AtollError for a key that cannot be kept */
export function referenceIndex(
  id: TableId,
  key: KeyOver,
  child: Table,
  parent: Table,
  uniques: readonly UniqueIndex[],
): ReferenceIndex {
  checkColumns(key, child, parent);
  const { by, unique } = authorityOf(key, child, parent, uniques);
  const partitionKey = child.placement.kind === 'partitioned' ? child.placement.key : [];
  const rowKey = rowKeyOf(child);
  const row = [...rowKey, ...partitionKey.filter((name) => !includes(rowKey, name))];
  const { columns: _, ...rest } = key;
  const described = [
    ...key.parentColumns.map((column, i) => hiddenColumn(parent, column, `v${i}`, i + 1)),
    ...row.map((column, i) =>
      hiddenColumn(child, column, `r${i}`, i < rowKey.length ? key.columns.length + i + 1 : 0),
    ),
  ];
  const placed = by.map((column) => `v${placeOf(key.parentColumns, column)}`);
  const table = hiddenTable(id, `_atoll_reference_${id}`, described, placed);
  return { ...rest, columns: key.columns, unique, row, table };
}

/** Whether an index has the entries that another one would have, of the tables as they are now; names and actions may have changed. */
export function hasSameEntries(a: ReferenceIndex, b: ReferenceIndex): boolean {
  const shape = ({ of, columns, parent, parentColumns, unique, row, table }: ReferenceIndex) =>
    JSON.stringify([
      [of, columns.map(asciiLower), parent, parentColumns.map(asciiLower)],
      [unique, row.map(asciiLower), table.placement],
      table.columns.map(({ affinity, collation }) => [affinity, collation]),
    ]);
  return shape(a) === shape(b);
}

/** The key once a column of a table has another name. */
export function withColumnRenamed<T extends KeyOver & Partial<ReferenceIndex>>(
  key: T,
  table: TableId,
  from: string,
  to: string,
): T {
  return {
    ...key,
    ...(key.of === table && { columns: renamed(key.columns, from, to) }),
    ...(key.of === table && key.row !== undefined && { row: renamed(key.row, from, to) }),
    ...(key.parent === table && { parentColumns: renamed(key.parentColumns, from, to) }),
  };
}

/** As a foreign key that SQLite would know. */
export function asForeignKey(key: KeyOver, parent: Table): ForeignKey {
  const { columns, parentColumns, onDelete, onUpdate } = key;
  return { columns, parent: parent.name, parentColumns, onDelete, onUpdate };
}

/** What the key is called in messages. */
export function keyOverText(
  key: Pick<KeyOver, 'columns'>,
  child: Table | undefined,
  parent: Table | undefined,
): string {
  return `${child?.name} (${key.columns.join(', ')}) REFERENCES ${parent?.name}`;
}

/** Tells {@link keyOverText} from the text of another index over partitions. */
export function isKeyOver(text: string): boolean {
  return text.includes(' REFERENCES ');
}

/** Whether the parent's columns are its PRIMARY KEY or UNIQUE, as SQLite demands it of a foreign key. */
function isUnique(parent: Table, columns: readonly string[]): boolean {
  if (parent.rowidColumn !== null && sameNames([parent.rowidColumn], columns)) return true;
  return parent.indexes.some((index) => {
    const names = index.columns.filter((name) => name !== null);
    return (
      index.unique && !index.partial && names.length === index.columns.length && sameNames(names, columns)
    );
  });
}

/** Who knows whether there is a parent: its own rows, if the key says where they are; else an index over partitions. */
function authorityOf(
  key: KeyOver,
  child: Table,
  parent: Table,
  uniques: readonly UniqueIndex[],
): { readonly by: readonly string[]; readonly unique: TableId | null } {
  const own = parent.placement.kind === 'partitioned' ? parent.placement.key : [];
  if (own.every((name) => includes(key.parentColumns, name))) return { by: own, unique: null };
  const index = uniques.find((each) => each.of === parent.id && sameNames(each.columns, key.parentColumns));
  const found = present(index, () => `${keyOverText(key, child, parent)}: no index over partitions`);
  if (found.state === 'filling') {
    throw new AtollError(
      'schema-conflict',
      `${keyOverText(key, child, parent)}: the index of these columns is being built; try again when it is there`,
    );
  }
  return { by: found.columns, unique: found.table.id };
}

function checkColumns(key: KeyOver, child: Table, parent: Table): void {
  const name = keyOverText(key, child, parent);
  for (const { placement, name: table } of [child, parent]) {
    if (placement.kind === 'partitioned') continue;
    throw new AtollError(
      'unsupported',
      `${name}: it joins rows over partitions, which it cannot with a reference table: create ${child.name} anew, after ${table}`,
    );
  }
  if (key.columns.length !== key.parentColumns.length || !isUnique(parent, key.parentColumns)) {
    throw new AtollError(
      'unsupported',
      `${name}: foreign key mismatch: (${key.parentColumns.join(', ')}) of ${parent.name} is neither its PRIMARY KEY nor UNIQUE`,
    );
  }
  for (const [table, columns] of [
    [child, key.columns],
    [parent, key.parentColumns],
  ] as const) {
    const wrong = columns.find((column) => columnOf(table, column)?.generated !== 'no');
    if (wrong === undefined) continue;
    throw new AtollError(
      'unsupported',
      `${name}: ${table.name}.${wrong} is a generated column or none, which a foreign key over partitions cannot have`,
    );
  }
}

function columnOf({ columns }: Table, name: string): Column | undefined {
  return columns.find((column) => asciiLower(column.name) === asciiLower(name));
}

function placeOf(names: readonly string[], name: string): number {
  return names.findIndex((each) => asciiLower(each) === asciiLower(name));
}

function includes(names: readonly string[], name: string): boolean {
  return placeOf(names, name) >= 0;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => includes(b, name));
}
