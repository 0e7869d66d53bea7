import type { AtollError } from '../../protocol/error.ts';
import type { StalePartition } from '../../protocol/network.ts';
import type { SessionToken } from '../../protocol/session.ts';
import type { Catalogue } from '../schema/catalogue.ts';
import type { Holder } from '../transaction/lock-table.ts';

/** `body` is the public API's answer; with `former` all but its session token, which is written when the group is done: see `finishAnswer`. */
export interface DoneOutcome {
  readonly kind: 'done';
  readonly body: string;
  readonly former?: SessionToken | null;
}

/** What became of one request. */
export type ExecuteOutcome =
  | DoneOutcome
  /** Nothing of it was applied. */
  | { readonly kind: 'error'; readonly error: AtollError }
  /** The router's network information is older than the partition's: it must plan anew. */
  | { readonly kind: 'stale'; readonly newer: StalePartition<Catalogue> }
  /**
   * The partition must first apply the system partition's log, at least up to what the request names; a follower, its
   * leader's: another replica may have it already.
   */
  | { readonly kind: 'behind' }
  /** A schema change is being decided: writes wait until it is published or withdrawn. */
  | { readonly kind: 'held'; readonly proposal: number }
  /** Transactions that are prepared here hold what the request needs: it waits until they are decided. */
  | { readonly kind: 'locked'; readonly holders: readonly Holder[] };
