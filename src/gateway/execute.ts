import type { PartitionId } from '../base/brand.ts';
import { AtollError } from '../protocol/error.ts';
import type { ExecuteRequest, WireStatement } from '../protocol/execute.ts';
import type { StalePartition } from '../protocol/network.ts';
import { type CallContext, type Database, readError } from './database.ts';
import type { KnownNetwork } from './known-network.ts';

/** A read that was lost on its way is sent again this often. */
const READ_ATTEMPTS = 3;

/** The partition has refused: its network information is newer. What was learnt of it is in the database now. */
export class StaleNetworkError extends Error {
  override name = 'StaleNetworkError';
}

export interface PartitionWork {
  readonly partition: PartitionId;
  readonly shape: ExecuteRequest['shape'];
  readonly read: boolean;
  readonly statements: readonly WireStatement[];
}

/**
 * Has one partition run statements; the answer is the public API's, its body not read here.
 *
 * @throws StaleNetworkError, nothing applied: plan anew
 * @throws AtollError that the partition answers, or `unknown-outcome` when a write's answer was lost
 */
export async function executeIn(
  database: Database,
  known: KnownNetwork,
  work: PartitionWork,
  context: CallContext,
): Promise<Response> {
  const { partition, shape, read, statements } = work;
  const request: ExecuteRequest = {
    epoch: known.epochOf(partition),
    schema: known.schema.version,
    system: known.information.systemIndex,
    shape,
    read,
    statements,
  };
  const response = await deliver(database, partition, JSON.stringify(request), read, context);
  if (response.ok) return response;
  if (response.status !== 421) throw await readError(response);
  const newer = (await response.json()) as StalePartition;
  database.metrics.retried('stale');
  if (database.learn(newer) === null) await database.refresh(context);
  throw new StaleNetworkError(`partition ${partition} knows a newer network`);
}

async function deliver(
  database: Database,
  partition: PartitionId,
  body: string,
  read: boolean,
  context: CallContext,
): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await database.call(partition, 'execute', body, context);
    } catch (error) {
      const lost = lostAnswer(error, partition, read);
      const again = read && lost.code === 'unavailable' && attempt < READ_ATTEMPTS;
      if (!again || context.signal?.aborted) throw lost;
      database.metrics.retried('lost-read');
    }
  }
}

/** What became of a request that the partition has not answered: a read has changed nothing, a write may have. */
function lostAnswer(error: unknown, partition: PartitionId, read: boolean): AtollError {
  if (error instanceof AtollError) {
    return read && error.outcome !== 'none' ? new AtollError(error.code, error.message, 'none') : error;
  }
  // https://developers.cloudflare.com/durable-objects/best-practices/error-handling/: never sent again.
  if ((error as { overloaded?: unknown } | null)?.overloaded === true) {
    const outcome = read ? 'none' : 'unknown';
    return new AtollError('overloaded', `partition ${partition} has more requests than it can take`, outcome);
  }
  if (read) {
    return new AtollError(
      'unavailable',
      `partition ${partition} cannot be reached: ${String(error)}`,
      'none',
    );
  }
  return new AtollError(
    'unknown-outcome',
    `the answer of partition ${partition} was lost: the write may or may not be applied`,
  );
}
