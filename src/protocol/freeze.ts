import type { TableId } from '../base/brand.ts';

/**
 * System partition → partition, before it writes reference tables: nobody is to read its copies of them, at their present
 * state, until the write has come or is given up. So no old copy is read anywhere after a new one.
 */
export interface Freeze {
  /** A transaction's (transaction.ts) if other partitions have parts of it: those are not kept out. */
  readonly name: string;
  readonly tables: readonly TableId[];
}

/** System partition → partition: these freezes are over, and what they were for is not to come. */
export interface Thaw {
  readonly names: readonly string[];
}

/** The system partition's answer to `freezes`: those that are not over, and how far a partition must have followed it to end any other. */
export interface Freezes {
  readonly open: readonly Freeze[];
  readonly system: number;
}
