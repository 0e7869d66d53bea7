import type { CommitId } from '../../base/brand.ts';
import { formatTimestamp } from '../clock/timestamp.ts';
import { purgeStep, RETENTION_BYTES, RETENTION_MS } from '../log/purge.ts';
import { readHead } from '../log/tables.ts';
import { followersFloor, markLost } from './followers.ts';
import type { Replica } from './replica.ts';

/**
 * Forgets log entries that are older than the retention, in at most `steps` bounded steps; behind writes, so that the log
 * shrinks as fast as it grows. `needed` is the last entry that no partition needs any more, or null where none follows this
 * log; what hosts with copies need is known here (followers.ts).
 */
export function forgetOldEntries(replica: Replica, now: number, needed: number | null, steps: number): void {
  const milliseconds = Math.max(0, now - RETENTION_MS);
  const olderThan = formatTimestamp({ milliseconds, counter: 0, node: replica.identity.node });
  const { port } = replica;
  markLost(port, now);
  const unneeded = (needed ?? readHead(port).lastCommitId) + 1;
  const floor = Math.min(unneeded, followersFloor(port)) as CommitId;
  for (let step = 0; step < steps; step++) {
    if (!purgeStep(port, { olderThan, bytesMax: RETENTION_BYTES, floor })) return;
  }
}
