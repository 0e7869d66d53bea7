import type { PartitionId } from '../base/brand.ts';
import type { ExecuteRequest, WireStatement } from '../protocol/execute.ts';
import type { StalePartition } from '../protocol/network.ts';
import { type CallContext, type Database, readError } from './database.ts';
import { demandOf, freshnessOf, type ReadDemand } from './freshness.ts';
import type { KeyedRequest } from './keyed-request.ts';
import type { KnownNetwork } from './known-network.ts';
import { lostAnswer, READ, WRITE } from './lost.ts';

/** The partition has refused: its network information is newer. What was learnt of it is in the database now. */
export class StaleNetworkError extends Error {
  override name = 'StaleNetworkError';
}

export interface PartitionWork {
  readonly partition: PartitionId;
  readonly shape: ExecuteRequest['shape'];
  readonly read: boolean;
  readonly statements: readonly WireStatement[];
  readonly answerBytesMax?: number;
  /** As of an ExecuteRequest. */
  readonly pageBytes?: number;
  readonly demand: ReadDemand;
  /** The partition must have followed the system partition so far, even if neither router nor session know of it. */
  readonly system?: number;
  /** The answer goes to the client as it is: the partition writes the whole session into it, and not only what itself saw. */
  readonly whole?: boolean;
  /** As of PartitionMessage. */
  readonly coalesces?: boolean;
  /** Of a write with an idempotency key. */
  readonly keyed?: KeyedRequest | null;
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
  const { partition, shape, read, statements, answerBytesMax, pageBytes, demand, whole } = work;
  const { system = 0, keyed = null, coalesces = false } = work;
  const { session, past } = demand;
  const request: ExecuteRequest = {
    epoch: known.epochOf(partition),
    schema: known.schema.version,
    system: Math.max(known.information.systemIndex, session?.token.system ?? 0, past?.feed ?? 0, system),
    shape,
    read,
    statements,
    ...(answerBytesMax !== undefined && { answerBytesMax }),
    ...(pageBytes !== undefined && { pageBytes }),
    ...(whole && session !== null && { session: session.text }),
    ...demandOf(demand, partition),
    ...(keyed !== null && { idempotency: keyed.idempotency }),
  };
  const effect = read ? READ : WRITE;
  const freshness = read ? freshnessOf(demand, partition) : null;
  const response = await database.deliver(
    partition,
    'execute',
    JSON.stringify(request),
    coalesces || freshness !== null ? { ...context, ...(freshness && { freshness }), coalesces } : context,
    effect,
    // Of what would be sent again, all must have arrived.
    keyed === null ? (answer) => answer : wholeAnswer,
  );
  if (response.ok) return response;
  if (response.status !== 421) throw lostAnswer(await readError(response), partition, effect);
  const newer = (await response.json()) as StalePartition;
  database.metrics.retried('stale');
  if (database.learn(newer) === null) await database.refresh(context);
  throw new StaleNetworkError(`partition ${partition} knows a newer network`);
}

async function wholeAnswer(answer: Response): Promise<Response> {
  return new Response(await answer.text(), answer);
}
