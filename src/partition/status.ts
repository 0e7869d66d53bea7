import type { Timestamp } from '../base/brand.ts';
import { parseTimestamp } from '../core/clock/timestamp.ts';
import { oldestMoment } from '../core/log/as-of.ts';
import { readHead } from '../core/log/tables.ts';
import type { Replica } from '../core/replica/replica.ts';
import { measureLog } from '../core/replica/retention.ts';
import type { PartitionStatus } from '../protocol/network.ts';
import type { InDoubt } from '../protocol/transaction.ts';

/** How a partition is, for operators. */
export function statusOf(
  replica: Replica,
  inDoubt: readonly InDoubt[],
  needed: number | null,
): PartitionStatus {
  const { port, identity, schema, systemIndex, hold } = replica;
  const { lastCommitId, lastTimestamp } = readHead(port);
  return {
    partition: identity.partition,
    epoch: identity.epoch,
    schema: schema.version,
    systemIndex,
    hold,
    sizeBytes: port.databaseSize(),
    commit: lastCommitId,
    committedAt: isoOf(lastTimestamp),
    inDoubt,
    log: { ...measureLog(replica, Date.now(), needed), oldestAt: isoOf(oldestMoment(port)) },
  };
}

function isoOf(timestamp: Timestamp | null): string | null {
  const time = timestamp === null ? undefined : parseTimestamp(timestamp)?.milliseconds;
  return time === undefined ? null : new Date(time).toISOString();
}
