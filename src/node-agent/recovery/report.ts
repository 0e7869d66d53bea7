import type { PartitionId } from '../../base/brand.ts';
import type { WireRange } from '../../protocol/network.ts';
import type { Divergence, Unusable } from './candidate.ts';

/** What a recovery has made of which copies. Kept beside the data as `recovery.json`. */
export interface RecoveryReport {
  readonly database: string;
  readonly formerHistory: string;
  readonly history: string;
  /** Host id of the agent that leads what was recovered. */
  readonly host: string;
  /** ISO 8601. */
  readonly recoveredAt: string;
  readonly partitions: readonly RecoveredCopy[];
  /** Files that were of no use. */
  readonly unusable: readonly Unusable[];
  readonly diverged: readonly Divergence[];
}

export interface RecoveredCopy {
  readonly partition: PartitionId;
  /** The file that was taken; null: none was left, and the partition begins empty. */
  readonly source: string | null;
  /** The former leader's last commit that is in it: nothing that came later is. */
  readonly commit: number | null;
  /** When that was committed, by the former leader's clock; ISO 8601. */
  readonly time: string | null;
  /** Entries of the system partition's log (schema changes, reference tables) that other copies had to add. */
  readonly caughtUp: number;
  readonly ranges: readonly WireRange[];
  /** Generated ids go on from here: see docs/operations.md, "Recovery drill". */
  readonly idsFrom: number;
}
