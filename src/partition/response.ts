import { type AtollError, encodeError } from '../protocol/error.ts';
import { TRACE_HEADER, TRACE_REPLY_HEADER } from '../protocol/rpc.ts';
import type { Settled } from './prepare-here.ts';

export const JSON_HEADERS = { 'content-type': 'application/json' };

/** A partition's answer to a message that it refuses, in the shape of the public API. */
export function errorResponse(error: AtollError): Response {
  const { status, body } = encodeError(error);
  return new Response(body, { status, headers: JSON_HEADERS });
}

/**
 * What became of a request; 421: the sender's network information is old, the newer one attached. An answer names its trace, so
 * that a router can hand it on as it is.
 */
export function outcomeResponse(outcome: Settled, { headers }: Request): Response {
  if (outcome.kind === 'done') {
    const trace = headers.get(TRACE_HEADER);
    const shown = trace === null ? JSON_HEADERS : { ...JSON_HEADERS, [TRACE_REPLY_HEADER]: trace };
    return new Response(outcome.body, { headers: shown });
  }
  if (outcome.kind === 'error') return errorResponse(outcome.error);
  return Response.json(outcome.newer, { status: 421 });
}
