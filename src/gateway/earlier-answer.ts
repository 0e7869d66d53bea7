import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { AtollError } from '../protocol/error.ts';
import type { AnsweredReply, AnsweredRequest } from '../protocol/execute.ts';
import { fanOut } from './fan-out.ts';
import type { KeyedRequest } from './keyed-request.ts';
import type { KnownNetwork } from './known-network.ts';
import { READ } from './lost.ts';
import type { ClientRequest } from './request.ts';
import type { Session } from './statements.ts';

/** Partitions asked at a time (chosen: as for reads). */
const PARALLEL_MAX = 32;

/**
 * The answer that a request was given earlier under its key, though the present schema refuses it: its table is gone, say, and
 * with it the knowledge which partition it belonged to. So all are asked. Null: it was executed nowhere, and what was planned
 * with an older schema cannot be any more.
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
  if (!(error instanceof AtollError) || error.detail?.committed !== true) return error;
  return new AtollError(error.code, error.message, 'unknown', error.detail);
}
