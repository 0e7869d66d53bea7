import { asciiLower } from '../../base/ascii.ts';
import type { TableId } from '../../base/brand.ts';
import { hiddenColumn, hiddenTable, rowKeyOf } from './hidden-table.ts';
import { renamed } from './name-list.ts';
import type { Index, Table } from './table.ts';

/**
 * A UNIQUE or PRIMARY KEY that does not contain its table's partition key, so that no partition alone can see whether it
 * holds. A hidden table has an entry for every row, and lives with the indexed values: equal ones meet there.
 */
export interface UniqueIndex {
  /** Of the table that has the constraint. */
  readonly of: TableId;
  /** Its indexed columns, in their order. */
  readonly columns: readonly string[];
  /** Other columns that say which row it is and where: of the partition key, and of the row's key. */
  readonly row: readonly string[];
  /** Hidden: the indexed values `v0` …, which are its key, then those of the row, `r0` …. */
  readonly table: Table;
  /**
   * It is being made for rows that were there before it: writes keep it, but rows may lack their entries, so that nothing can be
   * looked up in it. Absent: every row has its entry.
   */
  readonly state?: 'filling';
}

/**
 * The columns of those constraints that the partitions cannot keep by themselves, each once. Ids are unique as they are
 * generated, and have an index only where foreign keys over partitions refer to them: `referred` are the columns of such.
 */
export function uniquesNeeded(
  table: Table,
  referred: readonly (readonly string[])[] = [],
): readonly (readonly string[])[] {
  const { placement, rowidColumn } = table;
  if (placement.kind === 'reference') return [];
  const needed = new Map<string, readonly string[]>();
  for (const index of table.indexes) {
    if (!index.unique || holdsLocally(index, placement.key)) continue;
    const columns = index.columns.filter((name) => name !== null);
    needed.set(columns.map(asciiLower).join(), columns);
  }
  const id = rowidColumn === null ? null : asciiLower(rowidColumn);
  const isId = ([name, ...more]: readonly string[]) =>
    name !== undefined && asciiLower(name) === id && more.length === 0;
  if (rowidColumn !== null && referred.some(isId) && !isPartOf(placement.key, [rowidColumn]))
    needed.set(asciiLower(rowidColumn), [rowidColumn]);
  return [...needed.values()];
}

/** Equal values have equal partition keys. */
export function holdsLocally({ columns }: Index, key: readonly string[]): boolean {
  return isPartOf(key, columns);
}

function isPartOf(key: readonly string[], columns: readonly (string | null)[]): boolean {
  const names = new Set(columns.map((name) => (name === null ? null : asciiLower(name))));
  return key.every((name) => names.has(asciiLower(name)));
}

/** `columns` are stored columns of `owner`. */
export function uniqueIndex(id: TableId, owner: Table, columns: readonly string[]): UniqueIndex {
  const row = rowColumns(owner, columns);
  const described = [
    ...columns.map((column, index) => hiddenColumn(owner, column, `v${index}`, index + 1)),
    ...row.map((column, index) => hiddenColumn(owner, column, `r${index}`, 0)),
  ];
  const key = columns.map((_, index) => `v${index}`);
  return { of: owner.id, columns, row, table: hiddenTable(id, `_atoll_unique_${id}`, described, key) };
}

/** The index when every row has its entry. */
export function enforced({ state: _, ...index }: UniqueIndex): UniqueIndex {
  return index;
}

/** Whether an index serves the same constraint of the table as it is now; names may have changed. */
export function isSameIndex(a: UniqueIndex, b: UniqueIndex): boolean {
  const shape = ({ of, columns, row, table }: UniqueIndex) =>
    JSON.stringify([
      of,
      columns.map(asciiLower),
      row.map(asciiLower),
      table.columns.map(({ affinity, collation }) => [affinity, collation]),
    ]);
  return shape(a) === shape(b);
}

/** The index once a column of its table has another name. */
export function withRenamed(index: UniqueIndex, from: string, to: string): UniqueIndex {
  return { ...index, columns: renamed(index.columns, from, to), row: renamed(index.row, from, to) };
}

function rowColumns(owner: Table, indexed: readonly string[]): string[] {
  const key = owner.placement.kind === 'partitioned' ? owner.placement.key : [];
  const seen = new Set(indexed.map(asciiLower));
  return [...key, ...rowKeyOf(owner)].filter((name) => {
    const fresh = !seen.has(asciiLower(name));
    seen.add(asciiLower(name));
    return fresh;
  });
}
