import { parseTimestamp } from '../core/clock/timestamp.ts';
import { readHead } from '../core/log/tables.ts';
import type { Replica } from '../core/replica/replica.ts';
import type { PartitionStatus } from '../protocol/network.ts';
import type { InDoubt } from '../protocol/transaction.ts';

/** How a partition is, for operators. */
export function statusOf(replica: Replica, inDoubt: readonly InDoubt[]): PartitionStatus {
  const { port, identity, schema, systemIndex, hold } = replica;
  const { lastCommitId, lastTimestamp } = readHead(port);
  const time = parseTimestamp(lastTimestamp)?.milliseconds ?? null;
  return {
    partition: identity.partition,
    epoch: identity.epoch,
    schema: schema.version,
    systemIndex,
    hold,
    sizeBytes: port.databaseSize(),
    commit: lastCommitId,
    committedAt: time === null ? null : new Date(time).toISOString(),
    inDoubt,
  };
}
