import { AtollError, encodeError, toAtollError } from '../protocol/error.ts';
import type { Call } from './call.ts';

/** Of a request that was refused unread, bytes read and thrown away (chosen: the largest body and some more). */
const DISCARDED_MAX = 64 * 1024 * 1024;

/**
 * Every error leaves in the documented shape. A defect is logged with its cause, which the client does not see: it
 * has the trace to ask by.
 */
export async function failed(call: Call, error: unknown): Promise<Response> {
  const shown = toAtollError(error);
  if (shown.code === 'internal') logDefect(call, error);
  await discardBody(call.request);
  const { status, body, retryAfterSeconds } = encodeError(shown);
  const headers = new Headers({ 'content-type': 'application/json' });
  if (retryAfterSeconds !== null) headers.set('retry-after', String(retryAfterSeconds));
  if (shown.code === 'unauthorized') headers.set('www-authenticate', 'Bearer');
  const allow = shown.detail?.allow;
  if (typeof allow === 'string') headers.set('allow', allow);
  return new Response(body, { status, headers });
}

function logDefect({ trace, request }: Call, error: unknown): void {
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const where = error instanceof AtollError ? 'partition' : 'router';
  console.error(
    JSON.stringify({ event: 'defect', where, trace, method: request.method, url: request.url, cause }),
  );
}

/** A client that is still sending meets a broken connection instead of the answer, unless its body is taken. */
async function discardBody({ body }: Request): Promise<void> {
  if (body === null || body.locked) return;
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > DISCARDED_MAX) return;
    }
  } catch {
    // It was read already, or the client has hung up.
  }
}
