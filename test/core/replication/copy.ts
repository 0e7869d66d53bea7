import type { CommitId } from '../../../src/base/brand.ts';
import type { Replica } from '../../../src/core/replica/replica.ts';
import type { Follower } from '../../../src/core/replication/follower.ts';
import { decodeBatch, encodeBatch, readBatch } from '../../../src/core/replication/shipping.ts';
import { openSnapshot, readSnapshotPage } from '../../../src/core/replication/snapshot-source.ts';
import { SnapshotTarget } from '../../../src/core/replication/snapshot-target.ts';
import type { SqlitePort } from '../../../src/core/sqlite/port.ts';

/** What a message makes of a value. */
export function sent<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** A follower in an empty file, by a snapshot during which `between` runs after every page. */
export function copy(
  leader: Replica,
  port: SqlitePort,
  bytesMax?: number,
  between: (target: SnapshotTarget) => SnapshotTarget = (target) => target,
): Follower | 'gone' {
  let target = SnapshotTarget.begin(port, sent(openSnapshot(leader)));
  for (let cursor = target.cursor; cursor !== null; cursor = target.cursor) {
    const page = readSnapshotPage(leader, target.head.base.commitId as CommitId, cursor, bytesMax);
    if (page === 'gone') return 'gone';
    if (!target.accept({ head: sent(page.head), data: page.data })) throw new Error('a page was not taken');
    target = between(target);
  }
  return target.finish();
}

/** Sends all that is missing. */
export function catchUp(leader: Replica, follower: Follower, bytesMax?: number): void {
  for (;;) {
    const batch = readBatch(leader, follower.position(), bytesMax);
    if (batch === 'up-to-date') return;
    if (batch === 'snapshot-needed') throw new Error('the follower needs a snapshot');
    const { head, data } = encodeBatch(batch);
    const { kind } = follower.append(decodeBatch(sent(head), data));
    if (kind !== 'appended') throw new Error(`a batch was ${kind}`);
  }
}
