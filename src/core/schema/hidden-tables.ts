import type { TableId } from '../../base/brand.ts';
import type { Catalogue } from './catalogue.ts';
import {
  hasSameEntries,
  type KeyOver,
  type ReferenceIndex,
  referenceIndex,
  withColumnRenamed,
} from './reference-index.ts';
import type { Table } from './table.ts';
import { isSameIndex, type UniqueIndex, uniqueIndex, uniquesNeeded, withRenamed } from './unique-index.ts';

/** Where hidden tables are made. */
export interface Workshop {
  /** The id of the next table; `take` gives it away. */
  readonly nextId: () => TableId;
  readonly take: () => void;
  readonly create: (table: Table) => void;
  readonly drop: (table: Table) => void;
}

/** The hidden tables behind a schema while it is being changed. */
export class HiddenTables {
  /** Those whose entries are right if they are needed in the end. */
  #uniques: readonly UniqueIndex[];
  #references: readonly ReferenceIndex[];
  /** Foreign keys over partitions of tables that are still there. */
  #keys: readonly KeyOver[];
  readonly #before: readonly Table[];

  constructor({ uniques = [], references = [] }: Catalogue) {
    this.#uniques = uniques;
    this.#references = references;
    this.#keys = references;
    this.#before = [...uniques, ...references].map(({ table }) => table);
  }

  /** Foreign keys over partitions. */
  get keys(): readonly KeyOver[] {
    return this.#keys;
  }

  renameColumn(table: TableId, from: string, to: string): void {
    this.#uniques = this.#uniques.map((index) => (index.of === table ? withRenamed(index, from, to) : index));
    this.#references = this.#references.map((index) => withColumnRenamed(index, table, from, to));
    this.#keys = this.#keys.map((key) => withColumnRenamed(key, table, from, to));
  }

  dropTable(table: TableId): void {
    this.#keys = this.#keys.filter(({ of }) => of !== table);
  }

  /** The table's rows are others from now on, with the values of before in such columns alone. */
  keepsOnly(table: TableId, isCarried: (column: string) => boolean): void {
    this.#uniques = this.#uniques.filter(
      ({ of, columns, row }) => of !== table || [...columns, ...row].every(isCarried),
    );
    this.#references = this.#references.filter(
      ({ of, columns, row, parent, parentColumns }) =>
        (of !== table || [...columns, ...row].every(isCarried)) &&
        (parent !== table || parentColumns.every(isCarried)),
    );
  }

  /**
   * What there is to be for these tables and keys, besides the foreign keys of before: what is there already or is new;
   * the rest goes.
   */
  keep(
    tables: readonly Table[],
    fresh: readonly KeyOver[],
    workshop: Workshop,
  ): { readonly uniques: readonly UniqueIndex[]; readonly references: readonly ReferenceIndex[] } {
    const keys: readonly KeyOver[] = [...this.#keys, ...fresh];
    const uniques = tables.flatMap((table) => {
      const referred = keys.filter(({ parent }) => parent === table.id).map((key) => key.parentColumns);
      // What cannot be kept so is refused when the whole catalogue is there.
      const plain = uniquesNeeded(table, referred).filter((columns) => columns.length > 0);
      return plain.map((columns) => {
        const wanted = uniqueIndex(workshop.nextId(), table, columns);
        return this.#uniques.find((index) => isSameIndex(index, wanted)) ?? made(wanted, workshop);
      });
    });
    const byId = new Map(tables.map((table) => [table.id, table]));
    const left = [...this.#references];
    const references = keys.flatMap((key) => {
      const [child, parent] = [byId.get(key.of), byId.get(key.parent)];
      if (child === undefined || parent === undefined) return [];
      const wanted = referenceIndex(workshop.nextId(), key, child, parent, uniques);
      const { onDelete, onUpdate } = key;
      // Of several keys of the same columns each has its own.
      const index = left.findIndex((each) => hasSameEntries(each, wanted));
      if (index < 0) return [made(wanted, workshop)];
      return left.splice(index, 1).map((each) => ({ ...each, onDelete, onUpdate }));
    });
    const kept = new Set([...uniques, ...references].map(({ table }) => table.id));
    for (const table of this.#before) if (!kept.has(table.id)) workshop.drop(table);
    return { uniques, references };
  }
}

function made<T extends UniqueIndex | ReferenceIndex>(index: T, { take, create }: Workshop): T {
  take();
  create(index.table);
  return index;
}
