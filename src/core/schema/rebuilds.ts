import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import type { Catalogue } from './catalogue.ts';
import { rowidOf } from './copy.ts';
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
  readonly #rebuilt = new Set<TableId>();

  constructor({ tables }: Catalogue) {
    this.#before = new Map(tables.map((table) => [table.id, table]));
  }

  /** Tables that were rebuilt so far; some may have been dropped since. */
  get rebuilt(): ReadonlySet<TableId> {
    return this.#rebuilt;
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

  fill(table: TableId, from: TableId, carried: ReadonlyMap<string, string>): void {
    this.#filled.set(table, { from, carried });
  }

  /** What was filled from the table, and is to take its place when it goes. */
  heirOf(table: TableId): { readonly heir: TableId; readonly carried: ReadonlyMap<string, string> } | null {
    for (const [heir, { from, carried }] of this.#filled) if (from === table) return { heir, carried };
    return null;
  }

  takeOver(table: TableId, heir: TableId): void {
    const { carried } = present(this.#filled.get(heir), 'an heir was filled');
    const old = this.#originsOf(table);
    const origins: Origins = new Map();
    for (const [column, source] of carried) {
      const origin = old.get(source);
      if (origin !== undefined) origins.set(column, origin);
    }
    this.#origins.set(table, origins);
    this.#filled.delete(heir);
    this.#rebuilt.add(table);
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

  /**
   * Whether all rows of a rebuilt table are in the partitions where they belong, with ids that are nobody else's: its partition key
   * and its ids are those of before.
   */
  keepsRowsInPlace(table: Table): boolean {
    const before = present(this.#before.get(table.id), 'what is rebuilt was there');
    const origins = this.#originsOf(table.id);
    const id = rowidOf(table);
    if (id !== null && origins.get(id) !== rowidOf(before)) return false;
    if (table.placement.kind === 'reference') return before.placement.kind === 'reference';
    if (before.placement.kind === 'reference' || !areColocated(table, before)) return false;
    const { key } = before.placement;
    return table.placement.key.every(
      (name, index) => origins.get(asciiLower(name)) === asciiLower(key[index] ?? ''),
    );
  }

  #originsOf(table: TableId): Origins {
    let origins = this.#origins.get(table);
    if (origins === undefined) {
      const before = present(this.#before.get(table), 'a table of before');
      const names = [...before.columns.map(({ name }) => asciiLower(name)), rowidOf(before)];
      origins = new Map(names.flatMap((name) => (name === null ? [] : [[name, name]])));
      this.#origins.set(table, origins);
    }
    return origins;
  }
}
