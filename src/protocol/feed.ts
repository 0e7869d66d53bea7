import type { Timestamp } from '../base/brand.ts';
import type { LogRetention } from './settings.ts';

/**
 * What every partition follows of the system partition's log: schema changes and writes of reference tables, in
 * commit order. Pushed by the system partition; pulled by a partition that finds itself behind.
 */
export interface Feed {
  /** The feed index that the first entry follows; 0 is the beginning. */
  readonly from: number;
  readonly entries: readonly FeedEntry[];
  /** Freezes (freeze.ts) that end when the entries are applied. */
  readonly thaws?: readonly string[];
}

export type FeedEntry =
  /** `change` is `core/schema/change.ts`' SchemaChange; `proposal` the one it was decided under. */
  | { readonly index: number; readonly kind: 'schema'; readonly proposal: number; readonly change: unknown }
  /**
   * `changes`: base64 of `core/log/encoding.ts`, of reference tables only. `timestamp`: the system partition's log time, from
   * which they count in every partition.
   */
  | {
      readonly index: number;
      readonly kind: 'write';
      readonly changes: string;
      readonly timestamp?: Timestamp;
      /** The entry sets it, and changes no rows: whoever does not know it keeps the usual one. */
      readonly retention?: LogRetention;
      /** That changed other partitions too. What it has prepared there does not keep the entry waiting: it comes before that is applied. */
      readonly transaction?: string;
    };
