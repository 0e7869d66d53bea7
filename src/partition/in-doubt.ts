import { present } from '../base/assert.ts';
import type { Timestamp } from '../base/brand.ts';
import { parseTimestamp } from '../core/clock/timestamp.ts';
import { readDecisions } from '../core/replica/decisions.ts';
import { readPrepared } from '../core/replica/prepared.ts';
import type { Replica } from '../core/replica/replica.ts';
import type { InDoubt } from '../protocol/transaction.ts';

/** Transactions that are prepared here, or decided and not confirmed by all: for status and metrics. */
export function inDoubtIn({ port, identity }: Replica): InDoubt[] {
  return [
    ...readPrepared(port).map(({ transaction, anchor, preparedAt }) => ({
      transaction,
      anchor,
      since: isoTime(preparedAt),
      decided: false,
    })),
    ...readDecisions(port).map(({ transaction, commitTimestamp }) => ({
      transaction,
      anchor: identity.partition,
      since: isoTime(commitTimestamp),
      decided: true,
    })),
  ];
}

function isoTime(timestamp: Timestamp): string {
  return new Date(msOf(timestamp)).toISOString();
}

/** Unix milliseconds. */
export function msOf(timestamp: Timestamp): number {
  return present(parseTimestamp(timestamp), () => `log time ${timestamp}`).milliseconds;
}
