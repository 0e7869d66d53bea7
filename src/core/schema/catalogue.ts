import { asciiLower } from '../../base/ascii.ts';
import type { SchemaVersion, TableId } from '../../base/brand.ts';
import { asForeignKey, type ReferenceIndex } from './reference-index.ts';
import type { ForeignKey, Table, Trigger } from './table.ts';
import type { UniqueIndex } from './unique-index.ts';

export interface View {
  readonly name: string;
  /** The whole CREATE VIEW statement, as SQLite keeps it. */
  readonly sql: string;
  readonly columns: readonly string[];
}

/**
 * A database's schema at one version: plain data that travels as JSON. The system partition makes it by
 * asking SQLite after a change (`introspect.ts`); everybody else receives it.
 */
export interface Catalogue {
  readonly version: SchemaVersion;
  /** The next table's id; ids are never used twice. */
  readonly nextTableId: TableId;
  readonly tables: readonly Table[];
  readonly views: readonly View[];
  readonly triggers: readonly Trigger[];
  /** What keeps UNIQUE over partitions; schemas of before have none. Their hidden tables are not among `tables`. */
  readonly uniques?: readonly UniqueIndex[];
  /** Foreign keys over partitions, which are not among those of `tables`, and what keeps them: likewise. */
  readonly references?: readonly ReferenceIndex[];
  /** Id of the restore that fills the tables: until it ends, partitions serve nobody else. */
  readonly restoring?: string;
}

/** Lower ids are Atoll's own tables', for ever: `core/replica/bookkeeping.ts` and `system-tables.ts`. */
export const FIRST_USER_TABLE_ID = 100 as TableId;

export const EMPTY_CATALOGUE: Catalogue = {
  version: 0 as SchemaVersion,
  nextTableId: FIRST_USER_TABLE_ID,
  tables: [],
  views: [],
  triggers: [],
};

/** Look-ups over a catalogue. SQLite's names are equal when they differ in ASCII case only. */
export class Schema {
  readonly catalogue: Catalogue;
  readonly version: SchemaVersion;
  readonly #tables = new Map<string, Table>();
  readonly #views = new Map<string, View>();
  readonly #triggers = new Map<string, Trigger[]>();
  #stored: ReadonlyMap<TableId, Table> | null = null;
  readonly #uniques: ReadonlyMap<TableId, readonly UniqueIndex[]>;
  readonly #referencesOf: ReadonlyMap<TableId, readonly ReferenceIndex[]>;
  readonly #referencesTo: ReadonlyMap<TableId, readonly ReferenceIndex[]>;

  constructor(catalogue: Catalogue) {
    this.catalogue = catalogue;
    this.version = catalogue.version;
    for (const table of catalogue.tables) this.#tables.set(asciiLower(table.name), table);
    for (const view of catalogue.views) this.#views.set(asciiLower(view.name), view);
    for (const trigger of catalogue.triggers) {
      const key = asciiLower(trigger.table);
      const list = this.#triggers.get(key);
      if (list === undefined) this.#triggers.set(key, [trigger]);
      else list.push(trigger);
    }
    const { uniques = [], references = [] } = catalogue;
    this.#uniques = Map.groupBy(uniques, ({ of }) => of);
    this.#referencesOf = Map.groupBy(references, ({ of }) => of);
    this.#referencesTo = Map.groupBy(references, ({ parent }) => parent);
  }

  table(name: string): Table | undefined {
    return this.#tables.get(asciiLower(name));
  }

  view(name: string): View | undefined {
    return this.#views.get(asciiLower(name));
  }

  /** Triggers on a table or view. */
  triggersOn(name: string): readonly Trigger[] {
    return this.#triggers.get(asciiLower(name)) ?? [];
  }

  /** What keeps UNIQUE of a table over partitions. */
  uniquesOf({ id }: Pick<Table, 'id'>): readonly UniqueIndex[] {
    return this.#uniques.get(id) ?? [];
  }

  /** What keeps a table's foreign keys over partitions. */
  referencesOf({ id }: Pick<Table, 'id'>): readonly ReferenceIndex[] {
    return this.#referencesOf.get(id) ?? [];
  }

  /** Foreign keys over partitions that refer to a table. */
  referencesTo({ id }: Pick<Table, 'id'>): readonly ReferenceIndex[] {
    return this.#referencesTo.get(id) ?? [];
  }

  /** All of a table's foreign keys: those that SQLite keeps, then those over partitions. */
  foreignKeysOf(table: Table): readonly ForeignKey[] {
    const over = this.referencesOf(table).flatMap((index) => {
      const parent = this.stored.get(index.parent);
      return parent === undefined ? [] : [asForeignKey(index, parent)];
    });
    return [...table.foreignKeys, ...over];
  }

  /** Whether there are indexes over partitions. */
  get hasIndexes(): boolean {
    return this.#uniques.size > 0 || this.#referencesOf.size > 0;
  }

  /** By id, hidden ones too. */
  get stored(): ReadonlyMap<TableId, Table> {
    this.#stored ??= new Map(storedTables(this.catalogue).map((table) => [table.id, table]));
    return this.#stored;
  }
}

/** Users' tables, and the hidden ones behind them. */
export function storedTables({ tables, uniques = [], references = [] }: Catalogue): readonly Table[] {
  return [...tables, ...[...uniques, ...references].map(({ table }) => table)];
}
