import type { TableId } from '../../base/brand.ts';
import type { KeyOver } from './reference-index.ts';
import type { Placement, Table } from './table.ts';
import type { WrittenKey } from './written-key.ts';

/**
 * Thrown to begin anew: the definitions have foreign keys over partitions, as placements show once all tables are there.
 * SQLite must not know of them.
 */
export class Apart extends Error {
  readonly keys: readonly { readonly key: WrittenKey; readonly over: KeyOver }[];
  readonly placements: ReadonlyMap<TableId, Placement>;

  constructor(keys: Apart['keys'], tables: readonly Table[]) {
    super('foreign keys over partitions');
    this.keys = keys;
    this.placements = new Map(tables.map(({ id, placement }) => [id, placement]));
  }
}
