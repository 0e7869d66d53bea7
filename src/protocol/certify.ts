import type { CommitId, Epoch, SchemaVersion } from '../base/brand.ts';

/**
 * Router → partition, `certify`: the second round of a strong read over several partitions, when all have answered the
 * first (DESIGN.md, "Read, then certify"). It changes nothing and may be repeated: the later it is answered, the more it says.
 */
export interface CertifyRequest {
  readonly epoch: Epoch;
  readonly schema: SchemaVersion;
  /**
   * The commit that the partition's own answer was of. Of the system partition, whose log has all changes of reference tables:
   * how far the partition that was the furthest behind had followed it.
   */
  readonly since: CommitId;
  /** Those that were read, by the names that they have in that schema. */
  readonly tables: readonly string[];
}

export interface CertifyReply {
  /** At the time of this answer the tables are as they were at `since`, and no prepared transaction is about to change them. */
  readonly certified: boolean;
  /** How far the partition has followed the system partition; of that one, the last that there is to follow. */
  readonly system: number;
}
