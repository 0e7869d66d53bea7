import type { PartitionId, TableId } from '../base/brand.ts';
import type { Escapes } from '../protocol/transaction.ts';
import type { Planned } from './planned.ts';

/** Where statements run, and what is to be there besides. */
export interface Stage {
  readonly places: ReadonlyMap<Planned, PartitionId>;
  /** Rows of other partitions. */
  readonly visitors: ReadonlyMap<PartitionId, Escapes>;
  /** Their ids: who gives one of them means that row. */
  readonly met: ReadonlyMap<TableId, ReadonlySet<bigint>>;
}

export const NO_STAGE: Stage = { places: new Map(), visitors: new Map(), met: new Map() };
