import { asciiLower } from '../../base/ascii.ts';
import type { TableId } from '../../base/brand.ts';
import type { ColumnDefinition, CreateTable, References } from '../sql/ast.ts';
import type { Edit } from '../sql/splice.ts';
import { renamed } from './name-list.ts';
import { areColocated, childColumnsFor } from './placement.ts';
import type { KeyOver } from './reference-index.ts';
import type { ForeignKey, Table } from './table.ts';

/** A foreign key in a definition that is being run. */
export interface WrittenKey extends ForeignKey {
  readonly of: TableId;
  /** Which of the definitions, and what is cut out of it where SQLite is not to know of the key. */
  readonly definition: number;
  readonly cuts: readonly Edit[];
}

type Place = Pick<WrittenKey, 'of' | 'definition'>;

/** Those of CREATE TABLE, in the order in which SQLite counts them. */
export function keysOfTable(place: Place, { columns, constraints }: CreateTable): WrittenKey[] {
  const keys = columns.flatMap((column) => keysOfColumn(place, column));
  let end = columns.at(-1)?.end ?? 0;
  for (const constraint of constraints) {
    if (constraint.kind === 'foreign-key-table') {
      const { references } = constraint;
      const names = constraint.columns.map(({ name }) => name);
      // With the comma before it.
      const cuts = [{ start: end, end: constraint.end, text: '' }];
      keys.push({ ...place, ...readReferences(names, references), cuts });
    }
    end = constraint.end;
  }
  return keys;
}

/** Those of a column that is defined, there or by ALTER TABLE. */
export function keysOfColumn(place: Place, { name, constraints }: ColumnDefinition): WrittenKey[] {
  const keys: WrittenKey[] = [];
  for (const constraint of constraints) {
    const cut = { start: constraint.start, end: constraint.end, text: '' };
    const last = keys.at(-1);
    if (constraint.kind === 'references-column')
      keys.push({ ...place, ...readReferences([name.name], constraint.references), cuts: [cut] });
    else if (constraint.kind === 'deferrable-column' && last !== undefined)
      keys[keys.length - 1] = { ...last, cuts: [...last.cuts, cut] };
  }
  return keys;
}

function readReferences(columns: readonly string[], references: References): ForeignKey {
  return {
    columns,
    parent: references.table.name,
    parentColumns: references.columns?.map(({ name }) => name) ?? [],
    onDelete: references.onDelete ?? 'NO ACTION',
    onUpdate: references.onUpdate ?? 'NO ACTION',
  };
}

/** The key once a table has another name. */
export function withTableRenamed(key: WrittenKey, from: string, to: string): WrittenKey {
  return asciiLower(key.parent) === asciiLower(from) ? { ...key, parent: to } : key;
}

/** The key once a column of a table, which is called `name`, has another name. */
export function withColumnOf(
  key: WrittenKey,
  table: { readonly id: TableId; readonly name: string },
  from: string,
  to: string,
): WrittenKey {
  return {
    ...key,
    ...(key.of === table.id && { columns: renamed(key.columns, from, to) }),
    ...(asciiLower(key.parent) === asciiLower(table.name) && {
      parentColumns: renamed(key.parentColumns, from, to),
    }),
  };
}

/** Whether a foreign key joins rows that may be in different partitions. */
export function isOver(key: ForeignKey, child: Table, parent: Table): boolean {
  if (child.placement.kind === 'reference' || parent.placement.kind === 'reference') return false;
  const columns = childColumnsFor(key, parent, parent.placement.key);
  const own = child.placement.key;
  const same =
    columns !== null &&
    columns.length === own.length &&
    columns.every((column, i) => asciiLower(column) === asciiLower(own[i] ?? ''));
  return !same || !areColocated(child, parent);
}

/** The written keys that are over partitions, and what they are by the tables' ids. */
export function keysOver(
  written: readonly WrittenKey[],
  tables: readonly Table[],
  parentColumnsOf: (key: ForeignKey, parent: Table) => readonly string[],
): { readonly key: WrittenKey; readonly over: KeyOver }[] {
  return written.flatMap((key) => {
    const child = tables.find(({ id }) => id === key.of);
    const parent = tables.find(({ name }) => asciiLower(name) === asciiLower(key.parent));
    if (child === undefined || parent === undefined || !isOver(key, child, parent)) return [];
    const { of, columns, onDelete, onUpdate } = key;
    const over = {
      of,
      columns,
      parent: parent.id,
      parentColumns: parentColumnsOf(key, parent),
      onDelete,
      onUpdate,
    };
    return [{ key, over }];
  });
}
