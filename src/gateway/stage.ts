import type { PartitionId, TableId } from '../base/brand.ts';
import type { WireStatement } from '../protocol/execute.ts';
import type { Escapes } from '../protocol/transaction.ts';
import type { Planned } from './planned.ts';

/** Where statements run, and what is to be there besides. */
export interface Stage {
  readonly places: ReadonlyMap<Planned, PartitionId>;
  /** Rows of other partitions. */
  readonly visitors: ReadonlyMap<PartitionId, Escapes>;
  /** Their ids: who gives one of them means that row. */
  readonly met: ReadonlyMap<TableId, ReadonlySet<bigint>>;
  readonly gathered: ReadonlyMap<Planned, Gathered>;
  /** The statements' present time, Unix ms, if it is not when they run. */
  readonly instant?: number;
}

/** What was read for an INSERT of what has to be put together first. */
export interface Gathered {
  /** Where it was read: it is read there once more, and must have the same answer. */
  readonly reads: ReadonlyMap<PartitionId, GatheredAnswer>;
  /** INSERTs of the rows, in their order. */
  readonly inserts: readonly Planned[];
  /** Partitions that take part whatever was read: a repeat under the same key asks for the answers of all that may have. */
  readonly everywhere: readonly PartitionId[];
}

export interface GatheredAnswer {
  readonly statement: WireStatement;
  /** As a `StatementGroup` has it. */
  readonly expects: string;
}

export const NO_STAGE: Stage = {
  places: new Map(),
  visitors: new Map(),
  met: new Map(),
  gathered: new Map(),
};

/** The statements that run, in place of those that are gathered first. */
export function running(
  planned: readonly Planned[],
  { gathered }: Pick<Stage, 'gathered'>,
): readonly Planned[] {
  if (gathered.size === 0) return planned;
  return planned.flatMap((each) => gathered.get(each)?.inserts ?? [each]);
}
