/**
 * The internal protocol's version. A host answers messages of its own version and the one before it, and
 * refuses others naming both. History, newest first:
 *
 * - 1: first version.
 */
export const RPC_VERSION = 1;

/** Carries {@link RPC_VERSION} on every request between hosts. */
export const RPC_HEADER = 'atoll-rpc';
/** W3C trace context, https://www.w3.org/TR/trace-context/; travels to every host that a request reaches. */
export const TRACE_HEADER = 'traceparent';
/** The trace of the answered request, in the public API's answers: https://w3c.github.io/trace-context/#traceresponse-header. */
export const TRACE_REPLY_HEADER = 'traceresponse';
/** Absolute end of the caller's patience, Unix milliseconds. */
export const DEADLINE_HEADER = 'atoll-deadline';
