import { TRACE_HEADER } from '../protocol/rpc.ts';

/** `traceparent` of https://www.w3.org/TR/trace-context/#traceparent-header, version 00. */
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The caller's trace; null when it has sent none that is well-formed. */
export function traceOf(headers: Headers): string | null {
  const trace = headers.get(TRACE_HEADER);
  return trace !== null && TRACEPARENT.test(trace) ? trace : null;
}

/** Random for each router; 64 bits keep routers apart, the count keeps its requests apart. */
let router: string | null = null;
let count = 0;

/** A new trace, not sampled. Cheap: every request without one takes it. */
export function newTrace(): string {
  // Not when the module loads: a Worker may ask for randomness only while it serves a request.
  router ??= hex(crypto.getRandomValues(new Uint8Array(8)));
  const id = (++count).toString(16).padStart(16, '0');
  return `00-${router}${id}-${id}-00`;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
