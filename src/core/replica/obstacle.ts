import type { ExecuteRequest } from '../../protocol/execute.ts';
import type { StalePartition } from '../../protocol/network.ts';
import type { TransactRequest } from '../../protocol/transaction.ts';
import type { Catalogue } from '../schema/catalogue.ts';
import type { ExecuteOutcome } from './outcome.ts';
import type { Replica } from './replica.ts';
import { restoreObstacle } from './restoring.ts';
import { lacks } from './session-demand.ts';

/** What a request says of the network that it was planned with; `restore`: the restore that it is part of. */
export type Addressed = Pick<
  ExecuteRequest,
  'epoch' | 'schema' | 'system' | 'read' | 'atLeast' | 'atLeastTime'
> & { readonly restore?: string };

/** Ownership and schema are checked where the request executes: whatever the router knew may have changed. */
export function obstacleOf(replica: Replica, request: Addressed): ExecuteOutcome | null {
  const { schema, isSystem, follows, hold } = replica;
  const { epoch } = replica.identity;
  if (request.schema > schema.version) return { kind: 'behind' };
  if (request.system > replica.systemIndex && !isSystem) return { kind: 'behind' };
  if (isSystem && follows && request.system > replica.feedIndex) return { kind: 'behind' };
  if (request.epoch > epoch && follows) return { kind: 'behind' };
  if (request.epoch !== epoch || request.schema !== schema.version) {
    return { kind: 'stale', newer: newerOf(replica) };
  }
  if (request.atLeast !== undefined || request.atLeastTime !== undefined) {
    const lacking = lacks(replica, request);
    if (lacking !== null) return lacking;
  }
  const refused = restoreObstacle(schema.catalogue, request.restore);
  if (refused !== null) return { kind: 'error', error: refused };
  if (!request.read && hold !== null) return { kind: 'held', proposal: hold };
  return null;
}

/**
 * What a transaction's anchor knows that whoever has planned it does not: no partition would prepare it any more. Participants say of
 * scripts what has become of them.
 */
export function newerSchema(
  replica: Replica,
  { schema, parts }: Pick<TransactRequest, 'schema' | 'parts'>,
): StalePartition<Catalogue> | null {
  const isOld = schema < replica.schema.version && parts.every(({ script }) => script === undefined);
  return isOld ? newerOf(replica) : null;
}

function newerOf({ identity, schema, isSystem, feedIndex, systemIndex }: Replica): StalePartition<Catalogue> {
  const { partition, history, epoch, ranges } = identity;
  const { catalogue } = schema;
  return { partition, history, epoch, ranges, systemIndex: isSystem ? feedIndex : systemIndex, catalogue };
}
