import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { AtollError } from '../../protocol/error.ts';
import type { InteractiveCommitted, ScriptFate, ScriptFateRequest } from '../../protocol/interactive.ts';
import type { Call } from '../call.ts';
import { fanOut } from '../fan-out.ts';
import { refuseForeignSession } from '../foreign-session.ts';
import { type Effect, READ } from '../lost.ts';
import { sessionIn, sessionText } from '../reply-session.ts';
import { type Addressed, addressed, askKeeper, messageTo, UnknownTransactionError } from './keeper-call.ts';
import { type EndRequest, readEnd } from './request.ts';

/** Partitions asked at a time (chosen: as for reads). */
const PARALLEL_MAX = 32;

const COMMIT: Effect = { access: 'write', advice: 'commit the transaction once more to know' };

/** `POST /v1/transactions/{id}/commit`: committed once, however often it is asked for. */
export async function commitInteractive(call: Call): Promise<Response> {
  try {
    return await commit(call);
  } catch (error) {
    throw told(error);
  }
}

async function commit(call: Call): Promise<Response> {
  const { transaction, request } = await ending(call);
  const { known, text } = transaction;
  const { partitions, replies } = await committed(transaction, request);
  return Response.json({
    id: text,
    outcome: 'committed',
    plan: { kind: 'transaction', partitions },
    session: sessionText(known, request.demand, replies.map(sessionIn)),
  });
}

/**
 * An error as the client is to see it. Its keeper says of a transaction how it is; of one that could not be asked, an earlier request for
 * the commit may have been answered to nobody.
 */
function told(error: unknown): unknown {
  if (!(error instanceof AtollError) || error.outcome !== 'none') return error;
  const { code, message, detail, kind } = error;
  if (!kind.retryable || detail?.transaction !== undefined) return error;
  return new AtollError(code, message, 'unknown', detail ?? undefined);
}

/** `POST /v1/transactions/{id}/rollback` */
export async function rollbackInteractive(call: Call): Promise<Response> {
  const { transaction, request } = await ending(call);
  await askKeeper(transaction, 'interactive-rollback', messageTo(transaction, request), READ);
  return Response.json({ id: transaction.text, outcome: 'rolled-back' });
}

async function ending(
  call: Call,
): Promise<{ readonly transaction: Addressed; readonly request: EndRequest }> {
  const principal = await call.principal();
  const request = readEnd(await call.json());
  const session = { database: call.database, principal, context: call.context(request.timeoutMs) };
  const transaction = await addressed(session, call.parameter('id'));
  refuseForeignSession(transaction.known, request.demand);
  return { transaction, request };
}

async function committed(transaction: Addressed, request: EndRequest): Promise<InteractiveCommitted> {
  try {
    const message = messageTo(transaction, request);
    return await askKeeper(transaction, 'interactive-commit', message, COMMIT);
  } catch (error) {
    if (!(error instanceof UnknownTransactionError)) throw error;
    // An earlier commit of it may have come through before its keeper forgot it.
    return fromLogs(transaction, error);
  }
}

/** What the partitions' logs tell of a transaction whose keeper does not know it. `otherwise`: what to say if it is not committed. */
async function fromLogs(
  { session, known, id }: Addressed,
  otherwise: AtollError,
): Promise<InteractiveCommitted> {
  const { database, context } = session;
  const { name, begunMs } = id;
  const request: ScriptFateRequest = { name, begunMs };
  // The system partition decides where reference tables were written.
  const fates = await fanOut([SYSTEM_PARTITION, ...known.tokens.partitions()], PARALLEL_MAX, (partition) =>
    database.ask<ScriptFate>(partition, 'script-fate', request, context, READ).then(
      (fate) => ({ partition, ...fate }),
      () => null,
    ),
  );
  const found = fates.filter((fate) => fate?.committed === true);
  if (found.length > 0) {
    return {
      partitions: found.flatMap((fate) => (fate === null ? [] : [fate.partition])),
      replies: fates.flatMap((fate) => (fate === null ? [] : [fate.reply])),
    };
  }
  if (fates.every((fate) => fate?.committed === false)) throw otherwise;
  throw new AtollError(
    'unknown-outcome',
    'it cannot be told whether the transaction was committed: its keeper does not know it, and not every log can be read; ' +
      'commit it once more later',
  );
}
