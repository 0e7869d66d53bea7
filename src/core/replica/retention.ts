import type { CommitId } from '../../base/brand.ts';
import { formatTimestamp } from '../clock/timestamp.ts';
import { purgeStep, RETENTION_BYTES, RETENTION_MS } from '../log/purge.ts';
import { readHead } from '../log/tables.ts';
import type { Replica } from './replica.ts';

/**
 * Forgets log entries that are older than the retention, in at most `steps` bounded steps; behind writes, so that the log
 * shrinks as fast as it grows. `needed` is the last entry that nobody else needs any more, or null where nobody follows
 * this log.
 */
export function forgetOldEntries(replica: Replica, now: number, needed: number | null, steps: number): void {
  const milliseconds = Math.max(0, now - RETENTION_MS);
  const olderThan = formatTimestamp({ milliseconds, counter: 0, node: replica.identity.node });
  const floor = ((needed ?? readHead(replica.port).lastCommitId) + 1) as CommitId;
  for (let step = 0; step < steps; step++) {
    if (!purgeStep(replica.port, { olderThan, bytesMax: RETENTION_BYTES, floor })) return;
  }
}
