import type { PartitionId } from '../base/brand.ts';
import { AtollError } from '../protocol/error.ts';
import type { StalePartition } from '../protocol/network.ts';
import type {
  RecordedReply,
  RecordedRequest,
  RingRange,
  TransactionPart,
  TransactReply,
  TransactRequest,
} from '../protocol/transaction.ts';
import { ANSWERS_BYTES_MAX } from './answers-held.ts';
import { readError } from './database.ts';
import { executeIn, StaleNetworkError } from './execute.ts';
import { fanOut } from './fan-out.ts';
import type { ReadDemand } from './freshness.ts';
import type { KeyedRequest } from './keyed-request.ts';
import type { KnownNetwork } from './known-network.ts';
import { lostAnswer, READ, WRITE } from './lost.ts';
import type { Planned } from './planned.ts';
import type { ClientRequest } from './request.ts';
import { NO_STAGE, type Stage } from './stage.ts';
import type { Session } from './statements.ts';
import { arrange } from './transaction-parts.ts';
import { transactionReply } from './transaction-reply.ts';
import { attemptId, untilItWins } from './wait-die.ts';

/** Partitions asked at a time (chosen: as for other reads). */
const PARALLEL_MAX = 32;

/**
 * Runs statements over several partitions as one transaction: all of them or none, and as if alone. The first partition
 * that is written coordinates; nothing of it is in this router. `stage`: where some of them run whatever their plans say.
 */
export async function executeTransaction(
  session: Session,
  known: KnownNetwork,
  request: Pick<ClientRequest, 'shape' | 'demand'>,
  planned: readonly Planned[],
  keyed: KeyedRequest | null,
  stage: Stage = NO_STAGE,
): Promise<Response> {
  const startedMs = Date.now();
  const arranged = arrange(known, planned, keyed, stage, stage.instant ?? startedMs);
  const { read, parts, work } = arranged;
  const together = { ...request, consistency: 'strong' } as const;
  if (request.demand.past !== null) {
    const texts = await readParts(session, known, request.demand, parts);
    const replies = work.map(([partition], index) => ({ partition, reply: texts[index] ?? '' }));
    return transactionReply(known, together, planned, work, replies);
  }
  const tried = { ...arranged, startedMs, keyed };
  const replies = await untilItWins(session, () => transactOnce(session, known, request, tried));
  try {
    return transactionReply(known, together, planned, work, replies);
  } catch (error) {
    throw read ? error : committed(error);
  }
}

/** The answer that such a transaction was given under its key; null: it was not committed. `stage`: as it would be for a repeat. */
export async function recordedAnswer(
  { database, context }: Session,
  known: KnownNetwork,
  request: Pick<ClientRequest, 'shape' | 'demand'>,
  planned: readonly Planned[],
  keyed: KeyedRequest,
  stage: Stage,
): Promise<Response | null> {
  const { anchor, work } = arrange(known, planned, keyed, stage, Date.now());
  const question: RecordedRequest = { idempotency: keyed.idempotency };
  const { reply } = await database.ask<RecordedReply>(anchor, 'recorded', question, context, READ);
  if (reply === null) return null;
  return transactionReply(known, { ...request, consistency: 'strong' }, planned, work, reply.replies);
}

/** What was committed is, though its answer cannot be put together: a sum of all partitions is too large for an integer. */
function committed(error: unknown): unknown {
  if (!(error instanceof AtollError)) return error;
  const message = `the transaction is committed, but it cannot be answered: ${error.message}`;
  return new AtollError(error.code, message, 'unknown', error.detail ?? undefined);
}

/** As of one moment nobody has to be kept from writing. */
function readParts(
  { database, context }: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  parts: readonly TransactionPart[],
): Promise<readonly string[]> {
  const answerBytesMax = Math.floor(ANSWERS_BYTES_MAX / parts.length);
  return fanOut(parts, PARALLEL_MAX, async ({ partition, statements }, signal) => {
    const work = { partition, shape: 'batch', read: true, statements, answerBytesMax, demand } as const;
    const response = await executeIn(database, known, work, { ...context, signal });
    return response.text().catch((error: unknown) => {
      throw lostAnswer(error, partition, READ);
    });
  });
}

interface Attempted {
  readonly anchor: PartitionId;
  readonly read: boolean;
  readonly parts: readonly TransactionPart[];
  readonly startedMs: number;
  readonly keyed: KeyedRequest | null;
  readonly ring: readonly RingRange[] | undefined;
}

/** @throws StaleNetworkError, nothing applied: plan anew */
async function transactOnce(
  { database, context }: Session,
  known: KnownNetwork,
  { demand }: Pick<ClientRequest, 'demand'>,
  { anchor, read, parts, startedMs, keyed, ring }: Attempted,
): Promise<TransactReply['replies']> {
  const request: TransactRequest = {
    transaction: attemptId(),
    startedMs,
    schema: known.schema.version,
    system: Math.max(known.information.systemIndex, demand.session?.token.system ?? 0),
    parts,
    ...(keyed !== null && !read && { idempotency: keyed.idempotency }),
    ...(ring !== undefined && { ring }),
  };
  const effect = read ? READ : WRITE;
  const type = parts.some(({ groups }) => groups !== undefined) ? 'transact-groups' : 'transact';
  // A read too is another attempt when it is tried again, so it is not sent twice as it is.
  const response = await database
    .call(anchor, type, JSON.stringify(request), context)
    .catch((error: unknown) => {
      throw lostAnswer(error, anchor, effect);
    });
  if (response.ok) return ((await response.json()) as TransactReply).replies;
  if (response.status !== 421) throw lostAnswer(await readError(response), anchor, effect);
  const newer = (await response.json()) as StalePartition;
  database.metrics.retried('stale');
  if (database.learn(newer) === null) await database.refresh(context);
  throw new StaleNetworkError(`partition ${newer.partition} knows a newer network`);
}
