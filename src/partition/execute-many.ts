import type { ExecuteOutcome } from '../core/replica/outcome.ts';
import { AtollError, encodeError } from '../protocol/error.ts';
import type { ExecuteRequest } from '../protocol/execute.ts';
import { ANSWER_LENGTH_MAX, decodeMany, encodeAnswers, type OneAnswer } from '../protocol/many.ts';
import { JSON_HEADERS } from './response.ts';

/**
 * Requests that have come together. None waits longer than for the group commit, which takes all writes among them: what would have to is sent again, by itself.
 * `atOnce`: what becomes of one, or null.
 */
export async function executeMany(
  incoming: Request,
  atOnce: (request: ExecuteRequest) => ExecuteOutcome | Promise<ExecuteOutcome> | null,
): Promise<Response> {
  const requests = decodeMany(await incoming.text()) as ExecuteRequest[];
  const outcomes = await Promise.all(requests.map((request) => caught(() => atOnce(request))));
  const answers = outcomes.map((outcome, index) => answerOf(outcome, requests[index]?.read === true));
  return new Response(encodeAnswers(answers), { headers: JSON_HEADERS });
}

/** What one may not do is no matter of the others. */
function caught<T>(attempt: () => T): T | Extract<ExecuteOutcome, { kind: 'error' }> {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof AtollError) return { kind: 'error', error };
    throw error;
  }
}

function answerOf(outcome: ExecuteOutcome | null, read: boolean): OneAnswer {
  switch (outcome?.kind) {
    case 'done':
      return read && outcome.body.length > ANSWER_LENGTH_MAX ? null : { status: 200, body: outcome.body };
    case 'error': {
      const { status, body } = encodeError(outcome.error);
      return { status, body };
    }
    case 'stale':
      return { status: 421, body: JSON.stringify(outcome.newer) };
    default:
      return null;
  }
}
