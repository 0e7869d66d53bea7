import { TRACE_HEADER } from '../protocol/rpc.ts';

/** `traceparent` of https://www.w3.org/TR/trace-context/#traceparent-header, version 00. */
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The caller's trace; null when it has sent none that is well-formed. */
export function traceOf(request: Request): string | null {
  const trace = request.headers.get(TRACE_HEADER);
  return trace !== null && TRACEPARENT.test(trace) ? trace : null;
}

/** A new trace, not sampled. */
export function newTrace(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  let hex = '';
  for (const byte of bytes) hex += (byte < 16 ? '0' : '') + byte.toString(16);
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-00`;
}
