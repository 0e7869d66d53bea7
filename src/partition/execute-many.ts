import type { ExecuteOutcome } from '../core/replica/outcome.ts';
import { type AtollError, encodeError } from '../protocol/error.ts';
import type { ExecuteRequest } from '../protocol/execute.ts';
import { ANSWER_LENGTH_MAX, decodeMany, encodeAnswers, type OneAnswer } from '../protocol/many.ts';
import { JSON_HEADERS } from './response.ts';

export interface AtOnce {
  /** What becomes of one request; null: it has to wait for others. */
  readonly execute: (request: ExecuteRequest) => ExecuteOutcome | Promise<ExecuteOutcome> | null;
  /** What is shown of whatever it throws; of a defect, this instance ends. */
  readonly failed: (error: unknown) => AtollError;
}

/**
 * Requests that have come together. None waits longer than for the group commit, which takes all writes among them: what would have to is sent again, by itself. What
 * becomes of one is no matter of the others.
 */
export async function executeMany(incoming: Request, { execute, failed }: AtOnce): Promise<Response> {
  const requests = decodeMany(await incoming.text()) as ExecuteRequest[];
  const answers = requests.map((request): OneAnswer | Promise<OneAnswer> => {
    const refused = (error: unknown) => errorAnswer(failed(error));
    try {
      const outcome = execute(short(request));
      if (!(outcome instanceof Promise)) return answerOf(request, outcome);
      return outcome.then((settled) => answerOf(request, settled), refused);
    } catch (error) {
      return refused(error);
    }
  });
  return new Response(encodeAnswers(await Promise.all(answers)), { headers: JSON_HEADERS });
}

/** A read ends where its answer is too long to go with others. */
function short(request: ExecuteRequest): ExecuteRequest {
  const { read, answerBytesMax = Number.POSITIVE_INFINITY } = request;
  return read ? { ...request, answerBytesMax: Math.min(answerBytesMax, ANSWER_LENGTH_MAX) } : request;
}

function answerOf({ read, answerBytesMax }: ExecuteRequest, outcome: ExecuteOutcome | null): OneAnswer {
  switch (outcome?.kind) {
    case 'done':
      return read && outcome.body.length > ANSWER_LENGTH_MAX ? null : { status: 200, body: outcome.body };
    case 'error': {
      const tooLong = read && outcome.error.code === 'result-too-large';
      return tooLong && (answerBytesMax ?? Number.POSITIVE_INFINITY) > ANSWER_LENGTH_MAX
        ? null
        : errorAnswer(outcome.error);
    }
    case 'stale': {
      const body = JSON.stringify(outcome.newer);
      return body.length > ANSWER_LENGTH_MAX ? null : { status: 421, body };
    }
    default:
      return null;
  }
}

function errorAnswer(error: AtollError): OneAnswer {
  const { status, body } = encodeError(error);
  return { status, body };
}
