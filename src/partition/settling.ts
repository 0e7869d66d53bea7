import type { ExecuteOutcome } from '../core/replica/outcome.ts';
import type { Replica } from '../core/replica/replica.ts';
import { AtollError } from '../protocol/error.ts';
import type { FeedFollower } from './feed-follower.ts';
import type { ForeignKeys } from './foreign-keys.ts';
import type { LockWaits } from './lock-waits.ts';
import { REPLY_MS } from './patience.ts';
import type { Settled } from './prepare-here.ts';

/** How long a write waits for a schema change before it asks how the change ended, ms (chosen). */
const HOLD_POLL_MS = 200;

/** Repeats an attempt while it waits for something, until the deadline (Unix milliseconds). Errors: `busy`, `stale`. */
export type Settling = (attempt: () => Promise<ExecuteOutcome>, deadline: number) => Promise<Settled>;

export function settling(
  replica: () => Replica,
  feed: FeedFollower,
  locks: LockWaits,
  foreignKeys: ForeignKeys,
): Settling {
  return async (attempt, deadline) => {
    if (foreignKeys.off) await foreignKeys.back();
    for (;;) {
      const followed = replica().systemIndex;
      const outcome = await attempt();
      if (outcome.kind !== 'behind' && outcome.kind !== 'held' && outcome.kind !== 'locked') return outcome;
      const patience = deadline - Date.now() - REPLY_MS;
      if (outcome.kind === 'locked') {
        if (patience <= 0)
          throw new AtollError('busy', 'waited too long for transactions that came first; try again');
        feed.copies.check();
        await locks.wait(outcome.holders, patience);
        continue;
      }
      if (patience <= 0) throw new AtollError('busy', 'a schema change is being decided; try again');
      if (outcome.kind === 'held') await feed.askFate(outcome.proposal, Math.min(patience, HOLD_POLL_MS));
      // What it was behind may have come while the attempt's group went to disk.
      else if (!(await feed.catchUp()) && replica().systemIndex === followed)
        throw new AtollError('stale', 'the request names a schema that is not there');
    }
  };
}
