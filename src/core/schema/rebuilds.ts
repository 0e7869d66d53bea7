import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import type { Catalogue } from './catalogue.ts';
import { rowidOf } from './copy.ts';
import type { PlainTable } from './introspect.ts';
import { includesName } from './name-list.ts';
import { areColocated } from './placement.ts';
import type { Table } from './table.ts';

/** Which columns of before a table's columns are, by lower-case names. */
type Origins = Map<string, string>;

interface Filled {
  readonly from: TableId;
  readonly carried: ReadonlyMap<string, string>;
}

/**
 * Tables that are rebuilt, as migration tools do what ALTER TABLE cannot: a new one is created and filled from the old one,
 * which is then dropped (https://www.sqlite.org/lang_altertable.html#otheralter). The new one is the old one from then on, by its
 * id: it keeps its place, its marks of generated ids, and what refers to it.
 */
export class Rebuilds {
  readonly #before: ReadonlyMap<TableId, Table>;
  /** New tables that were filled. */
  readonly #filled = new Map<TableId, Filled>();
  readonly #origins = new Map<TableId, Origins>();
  /** And by which name in lower case SQLite has others refer to them. */
  readonly #rebuilt = new Map<TableId, string>();

  constructor({ tables }: Catalogue) {
    this.#before = new Map(tables.map((table) => [table.id, table]));
  }

  /** Whether it was rebuilt so far. */
  has(table: TableId): boolean {
    return this.#rebuilt.has(table);
  }

  /** Whether those that refer to the table by its name still do. */
  isStillCalled({ id, name }: Pick<Table, 'id' | 'name'>): boolean {
    return this.#rebuilt.get(id) === asciiLower(name);
  }

  renameTable(table: TableId, from: string, to: string): void {
    // Who refers to another name does not follow.
    if (this.#rebuilt.get(table) === asciiLower(from)) this.#rebuilt.set(table, asciiLower(to));
  }

  /** Those that were filled and have not taken the place of what they were filled from. */
  get unfinished(): readonly TableId[] {
    return [...this.#filled.keys()];
  }

  /** Whether rows may be copied from it: others are new themselves. */
  wasThere(table: TableId): boolean {
    return this.#before.has(table);
  }

  isFilled(table: TableId): boolean {
    return this.#filled.has(table);
  }

  /** Between its copy and the DROP, on either side. */
  isUnderWay(table: TableId): boolean {
    return this.#filled.has(table) || this.heirOf(table) !== null;
  }

  fill(table: TableId, from: TableId, carried: ReadonlyMap<string, string>): void {
    this.#filled.set(table, { from, carried });
  }

  /** What was filled from the table, and is to take its place when it goes. */
  heirOf(table: TableId): { readonly heir: TableId; readonly carried: ReadonlyMap<string, string> } | null {
    for (const [heir, { from, carried }] of this.#filled) if (from === table) return { heir, carried };
    return null;
  }

  /** `as`: what the table was called. */
  takeOver(table: TableId, heir: TableId, as: string): void {
    const { carried } = present(this.#filled.get(heir), 'an heir was filled');
    const old = this.#originsOf(table);
    const origins: Origins = new Map();
    for (const [column, source] of carried) {
      const origin = old.get(source);
      if (origin !== undefined) origins.set(column, origin);
    }
    this.#origins.set(table, origins);
    this.#filled.delete(heir);
    if (!this.#rebuilt.has(table)) this.#rebuilt.set(table, asciiLower(as));
  }

  drop(table: TableId): void {
    this.#filled.delete(table);
  }

  renameColumn(table: TableId, from: string, to: string): void {
    if (!this.#before.has(table)) return;
    const origins = this.#originsOf(table);
    const origin = origins.get(asciiLower(from));
    origins.delete(asciiLower(from));
    if (origin !== undefined) origins.set(asciiLower(to), origin);
  }

  dropColumn(table: TableId, column: string): void {
    if (this.#before.has(table)) this.#originsOf(table).delete(asciiLower(column));
  }

  /** The partition key of before by the names of the rebuilt table's columns; null: not all of it was carried along. */
  keyOf(table: PlainTable, id: TableId): readonly string[] | null {
    const { placement } = this.#beforeOf(id);
    const origins = this.#originsOf(id);
    const hidden = table.rowidColumn === null ? rowidOf(table) : null;
    const names = [...table.columns.map(({ name }) => name), ...(hidden === null ? [] : [hidden])];
    const key = placement.kind === 'partitioned' ? placement.key : [];
    const now = key.map((column) => {
      const isOrigin = (name: string) => origins.get(asciiLower(name)) === asciiLower(column);
      // Another one by its name: the name is meant.
      const isNamed = this.#isColumn(id, column) && includesName(names, column);
      return isNamed && !isOrigin(column) ? undefined : names.find(isOrigin);
    });
    return now.every((name) => name !== undefined) ? now : null;
  }

  /**
   * Whether all rows of a rebuilt table are in the partitions where they belong, with ids that are nobody else's: its partition key
   * and its ids are those of before.
   */
  keepsRowsInPlace(table: Table): boolean {
    const before = this.#beforeOf(table.id);
    const id = rowidOf(table);
    if (id !== null && this.#originsOf(table.id).get(id) !== rowidOf(before)) return false;
    if (table.placement.kind === 'reference') return before.placement.kind === 'reference';
    const key = this.keyOf(table, table.id)?.map(asciiLower).join();
    return areColocated(table, before) && key === table.placement.key.map(asciiLower).join();
  }

  /** Whether a foreign key to these columns may have meant the PRIMARY KEY without naming it, which is another one now. */
  mayMeanPrimaryKey(table: Table, columns: readonly string[]): boolean {
    const origins = this.#originsOf(table.id);
    const now = primaryKeyOf(table).map((name) => origins.get(asciiLower(name)));
    const before = primaryKeyOf(this.#beforeOf(table.id)).map(asciiLower).join();
    return now.join() !== before && columns.map(asciiLower).join() === before;
  }

  /** {@link keyOf}, or the columns of the names that it had; null: they are not there for certain. */
  namedKeyOf(table: PlainTable, id: TableId): readonly string[] | null {
    const { placement } = this.#beforeOf(id);
    const key = placement.kind === 'partitioned' ? placement.key : [];
    const isNamed = key.length > 0 && key.every((column) => this.#isColumn(id, column));
    return this.keyOf(table, id) ?? (isNamed ? key : null);
  }

  /** Not a hidden rowid. */
  #isColumn(id: TableId, name: string): boolean {
    return includesName(
      this.#beforeOf(id).columns.map((column) => column.name),
      name,
    );
  }

  #beforeOf(id: TableId): Table {
    return present(this.#before.get(id), 'what is rebuilt was there');
  }

  #originsOf(table: TableId): Origins {
    let origins = this.#origins.get(table);
    if (origins === undefined) {
      const before = this.#beforeOf(table);
      const names = [...before.columns.map(({ name }) => asciiLower(name)), rowidOf(before)];
      origins = new Map(names.flatMap((name) => (name === null ? [] : [[name, name]])));
      this.#origins.set(table, origins);
    }
    return origins;
  }
}

function primaryKeyOf({ columns }: PlainTable): string[] {
  return columns
    .filter(({ primaryKeyIndex }) => primaryKeyIndex > 0)
    .sort((a, b) => a.primaryKeyIndex - b.primaryKeyIndex)
    .map(({ name }) => name);
}
