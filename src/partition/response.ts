import { type AtollError, encodeError } from '../protocol/error.ts';
import type { Settled } from './prepare-here.ts';

export const JSON_HEADERS = { 'content-type': 'application/json' };

/** A partition's answer to a message that it refuses, in the shape of the public API. */
export function errorResponse(error: AtollError): Response {
  const { status, body } = encodeError(error);
  return new Response(body, { status, headers: JSON_HEADERS });
}

/** What became of a request; 421: the sender's network information is old, the newer one attached. */
export function outcomeResponse(outcome: Settled): Response {
  if (outcome.kind === 'done') return new Response(outcome.body, { headers: JSON_HEADERS });
  if (outcome.kind === 'error') return errorResponse(outcome.error);
  return Response.json(outcome.newer, { status: 421 });
}
