import type { CommitId } from '../../src/base/brand.ts';
import { formatTimestamp } from '../../src/core/clock/timestamp.ts';
import { failureOf } from '../../src/core/execution/failure.ts';
import { purgeStep, RETENTION_MS } from '../../src/core/log/purge.ts';
import { readHead } from '../../src/core/log/tables.ts';
import { followersFloor, markLost } from '../../src/core/replica/followers.ts';
import { forgetOldEntries } from '../../src/core/replica/retention.ts';
import type { Outside } from './agent-copy.ts';
import type { Host } from './host.ts';

/** A leader's log is short of space, or old. `needed`: the last entry that no partition needs any more. */
export function purge(outside: Outside, host: Host, needed: number): 'crashed' | null {
  const { random, now } = outside;
  const { port, replica } = host;
  const bytesMax = random.pick([0, 400, 3000, 2 ** 30]);
  const milliseconds = now - random.pick([0, 60_000, RETENTION_MS]);
  const olderThan = formatTimestamp({ milliseconds, counter: 0, node: replica.identity.node });
  const first = readHead(port).firstCommitId;
  const marks = random.chance(0.5);
  const asObjectsDo = random.chance(0.3);
  try {
    const step = host.step(outside.fault(), () => {
      if (asObjectsDo) {
        forgetOldEntries(replica, now, needed, 3);
        return;
      }
      if (marks) markLost(port, now, { milliseconds: RETENTION_MS, bytes: bytesMax });
      const floor = Math.min(needed + 1, followersFloor(port)) as CommitId;
      for (let i = 0; i < 3; i++) if (!purgeStep(port, { olderThan, bytesMax, floor })) break;
    });
    if (step.crashed) return 'crashed';
  } catch (error) {
    if (!failureOf(error).message.startsWith('injected')) throw error;
  }
  if (readHead(port).firstCommitId > first) outside.coverage.purges++;
  outside.note(`purge ${host.id} to ${readHead(port).firstCommitId}`);
  return null;
}
