import { AtollError } from './error.ts';

/**
 * The internal protocol's version. A host answers messages of its own version and the one before it, and
 * refuses others naming both. History, newest first:
 *
 * - 8: reads of an interactive transaction that look for rows in the way of a statement say so. Later without a step, as who does not know them answers 404 and gets each
 *   by itself: requests of clients that go together (`execute-many`), and prepares (`prepare-many`).
 * - 7: schema changes that rebuild tables with their rows.
 * - 6: rows of reference tables go although rows of partitioned tables may refer to them: every partition has a part in it; interactive
 *   transactions write reference tables.
 * - 5: transactions that write reference tables beside others.
 * - 4: ids that clients give are claimed in every partition, by parts of transactions that name them; foreign keys over partitions are judged in
 *   interactive transactions; upserts beside other statements.
 * - 3: reference tables are frozen before they are written, session tokens are sealed, foreign keys over partitions, upserts by values that are unique
 *   over partitions, imports of such, unique indexes that are built over rows, ends of transactions that go together.
 * - 2: transactions over partitions, reads of the past, idempotency keys.
 * - 1: first version.
 */
export const RPC_VERSION = 8;

/** Followers of this version and later apply the entries of rebuilds; others take a snapshot behind them. */
export const REBUILDS_SINCE = 7;

/** Carries {@link RPC_VERSION} on every request between hosts. */
export const RPC_HEADER = 'atoll-rpc';
/** Versions that this host answers: its own and, while a deploy is under way, the one before. */
const SPOKEN: ReadonlySet<string> = new Set([RPC_VERSION, Math.max(1, RPC_VERSION - 1)].map(String));

/** Whether a message of that version (its {@link RPC_HEADER}) is one that this host understands. */
export function isSpoken(version: string | null): boolean {
  return version !== null && SPOKEN.has(version);
}

/** The refusal of a message whose version is not {@link isSpoken}; nothing of it was read. */
export function unspoken(version: string | null): AtollError {
  return new AtollError(
    'unsupported',
    `the message has protocol version ${version ?? '(none)'}, this host speaks ${[...SPOKEN].sort().join(' and ')}: ` +
      'finish the deploy that is under way',
    'none',
  );
}

/** W3C trace context, https://www.w3.org/TR/trace-context/; travels to every host that a request reaches. */
export const TRACE_HEADER = 'traceparent';
/** The trace of the answered request, in the public API's answers: https://w3c.github.io/trace-context/#traceresponse-header. */
export const TRACE_REPLY_HEADER = 'traceresponse';
/** Absolute end of the caller's patience, Unix milliseconds. */
export const DEADLINE_HEADER = 'atoll-deadline';
/** On a client's request that a router has sent on to another host: that one sends it no further. */
export const FORWARDED_HEADER = 'atoll-forwarded';
