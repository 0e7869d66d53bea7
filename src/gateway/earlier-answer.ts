import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { AtollError } from '../protocol/error.ts';
import type { AnsweredReply, AnsweredRequest } from '../protocol/execute.ts';
import { claimsOf } from './claims.ts';
import { fanOut } from './fan-out.ts';
import { homeOf } from './home.ts';
import type { KeyedRequest } from './keyed-request.ts';
import type { KnownNetwork } from './known-network.ts';
import { READ } from './lost.ts';
import type { Planned } from './planned.ts';
import type { ClientRequest } from './request.ts';
import { spreads } from './spread.ts';
import { stagedPlan } from './staged-together.ts';
import type { Session } from './statements.ts';

/** Partitions asked at a time (chosen: as for reads). */
const PARALLEL_MAX = 32;

/**
 * The answer that a request was given earlier under its key, though the present schema refuses it, or plans it for another
 * partition: its table is gone, say, or has become one with an index over partitions. So all are asked. Null: it was executed nowhere, and
 * what was planned with an older schema cannot be any more.
 *
 * @throws AtollError with the outcome `unknown`; with `committed` where it was a transaction, whose record is no answer
 */
export async function earlierAnswer(
  { database, context }: Session,
  known: KnownNetwork,
  { demand }: ClientRequest,
  keyed: KeyedRequest,
): Promise<Response | null> {
  const message: AnsweredRequest = {
    schema: known.schema.version,
    idempotency: keyed.idempotency,
    ...(demand.session !== null && { session: demand.session.text }),
  };
  const partitions = [SYSTEM_PARTITION, ...known.tokens.partitions()];
  const replies = await fanOut(partitions, PARALLEL_MAX, (partition, signal) =>
    database
      .ask<AnsweredReply>(partition, 'answered', message, { ...context, signal }, READ)
      .catch((error: unknown) => {
        throw told(error);
      }),
  );
  const answer = replies.find((reply) => reply.answer !== null)?.answer ?? null;
  return answer === null ? null : new Response(answer, { headers: { 'content-type': 'application/json' } });
}

/** The question has changed nothing; what it was about may have. */
function told(error: unknown): unknown {
  if (!(error instanceof AtollError) || error.code === 'idempotency-conflict') return error;
  return new AtollError(error.code, error.message, 'unknown', error.detail ?? undefined);
}

/**
 * {@link earlierAnswer} of a request that the present schema does not refuse, but may plan otherwise; null: there is none, or who executes
 * it now meets the record. A transaction meets that of a transaction: both belong to the owner of the key.
 */
export async function answerOfThen(
  session: Session,
  known: KnownNetwork,
  request: ClientRequest,
  keyed: KeyedRequest,
  planned: readonly Planned[],
): Promise<Response | null> {
  try {
    return await earlierAnswer(session, known, request, keyed);
  } catch (error) {
    const committed = error instanceof AtollError && error.detail?.committed === true;
    if (committed && isTransaction(known, planned, keyed)) return null;
    throw error;
  }
}

function isTransaction(known: KnownNetwork, planned: readonly Planned[], { token }: KeyedRequest): boolean {
  if (planned.some((each) => stagedPlan(each) !== null || spreads(each.plan))) return true;
  return claimsOf(known, planned) !== null || homeOf(known, planned, token) === null;
}
