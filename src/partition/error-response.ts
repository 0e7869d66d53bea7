import { type AtollError, encodeError } from '../protocol/error.ts';

export const JSON_HEADERS = { 'content-type': 'application/json' };

/** A partition's answer to a message that it refuses, in the shape of the public API. */
export function errorResponse(error: AtollError): Response {
  const { status, body } = encodeError(error);
  return new Response(body, { status, headers: JSON_HEADERS });
}
