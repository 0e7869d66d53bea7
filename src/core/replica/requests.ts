import { AtollError } from '../../protocol/error.ts';
import type { AnsweredReply, AnsweredRequest, ExecuteRequest, Idempotency } from '../../protocol/execute.ts';
import { firstRequestIdOf, KEY_AHEAD_MS, KEY_RETENTION_MS } from '../../protocol/idempotency-key.ts';
import { parseTimestamp } from '../clock/timestamp.ts';
import { failureOf } from '../execution/failure.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { encodeUtf8 } from '../sqlite/utf8.ts';
import { formerSession } from './last-commit.ts';
import type { DoneOutcome, ExecuteOutcome } from './outcome.ts';
import type { Replica } from './replica.ts';
import { finishAnswer } from './reply.ts';

/**
 * Requests with an idempotency key: a record of each that was executed here, in the transaction of its changes, so that the
 * same request is answered alike and applied once. What fails leaves no record.
 */

/** Largest answer that is kept, bytes (chosen: a day of writes must fit beside the rows). */
const RECORD_BYTES_MAX = 262_144;

/** Records that one entry of the log forgets, and bytes of their answers, which it repeats (chosen). */
const FORGET_RECORDS = 64;
const FORGET_BYTES = 1_048_576;

/** How the record of an anchor begins, a TransactReply: it is no answer for clients. */
const OF_TRANSACTION = '{"replies":';

/**
 * What is recorded: of a transaction over partitions the replies of all, else the answer up to its session token. Null if nothing
 * was executed here under the key.
 *
 * @throws AtollError `idempotency-conflict` where the key was used for another request; `schema-conflict` where the same one was
 * executed in the other way, as another schema had it: nobody can make its answer of that any more
 */
export function recordedReply(
  port: SqlitePort,
  { id, hash }: Idempotency,
  by: 'transaction' | 'partition',
): string | null {
  const [record] = port.query(
    'SELECT request_hash, reply FROM _atoll_requests WHERE request_id = ?',
    id,
  ).rows;
  if (record === undefined) return null;
  const reply = String(record[1]);
  if (record[0] === hash) {
    if (reply.startsWith(OF_TRANSACTION) === (by === 'transaction')) return reply;
    throw new AtollError(
      'schema-conflict',
      'the request is committed under its key, but the schema has changed since, and its answer cannot be given any more: read what it did',
      'unknown',
      { committed: true },
    );
  }
  throw new AtollError(
    'idempotency-conflict',
    'the idempotency key was used for another request: send that one unchanged, or make a new key for this one',
  );
}

/** The outcome that is recorded; null for a request without a key, too. Errors: see {@link recordedReply}. */
export function earlierOutcome(
  { port, identity }: Replica,
  { idempotency, session }: Pick<ExecuteRequest, 'idempotency' | 'session'>,
): DoneOutcome | null {
  const body = idempotency === undefined ? null : recordedReply(port, idempotency, 'partition');
  return body === null ? null : { kind: 'done', body, former: formerSession(identity, session) };
}

/**
 * To be asked before a request without a record executes.
 *
 * @throws AtollError `idempotency-conflict` where its record may have been forgotten
 */
export function refuseForgotten({ last }: Replica, { issuedMs }: Idempotency, now: number): void {
  // Whatever was forgotten here, an entry of that time or later says so: the clock of a later leader may be behind.
  const passed = Math.max(now, parseTimestamp(last.time)?.milliseconds ?? 0);
  if (issuedMs >= oldestKept(passed)) return;
  throw new AtollError(
    'idempotency-conflict',
    'the idempotency key has expired: find out whether the write is applied before you send it with a new one',
  );
}

/**
 * Records the answer in the transaction that is open, before its entry is finished.
 *
 * @throws AtollError `result-too-large`: then the transaction must be undone
 */
export function recordReply(port: SqlitePort, { id, hash, issuedMs }: Idempotency, answer: string): void {
  if (answer.length > RECORD_BYTES_MAX || encodeUtf8(answer).byteLength > RECORD_BYTES_MAX) {
    throw new AtollError(
      'result-too-large',
      `under an idempotency key an answer may have ${RECORD_BYTES_MAX} bytes, since it is kept: read less back, ` +
        'or send the request without a key',
    );
  }
  port.query('INSERT INTO _atoll_requests VALUES (?, ?, ?, ?)', id, hash, answer, issuedMs);
}

/** No router takes a key that was issued before this; and one that took it has no more time to send it. */
function oldestKept(now: number): number {
  return now - KEY_RETENTION_MS - KEY_AHEAD_MS;
}

/**
 * Forgets records that no request can ask for any more, in at most `steps` entries of the log. Returns whether there are
 * more of them.
 */
export function forgetOldRequests(replica: Replica, now: number, steps: number): boolean {
  if (replica.hold !== null) return false;
  for (let step = 0; step < steps; step++) {
    const last = lastToForget(replica.port, firstRequestIdOf(oldestKept(now)));
    if (last === null) return false;
    replica.port.transaction(() => {
      replica.port.query('DELETE FROM _atoll_requests WHERE request_id <= ?', last);
      replica.append('write', null, now);
    });
  }
  return true;
}

/** Id of the last record that the next entry forgets; null if there is none. */
function lastToForget(port: SqlitePort, before: string): string | null {
  const { rows } = port.query(
    'SELECT request_id, octet_length(reply) FROM _atoll_requests WHERE request_id < ? ORDER BY request_id LIMIT ?',
    before,
    FORGET_RECORDS,
  );
  let last: string | null = null;
  let bytes = 0;
  for (const [id, length] of rows) {
    bytes += Number(length);
    if (last !== null && bytes > FORGET_BYTES) break;
    last = String(id);
  }
  return last;
}

/** Whether a request was executed here under its key; `body` of the outcome is an AnsweredReply. */
export function findAnswer(replica: Replica, request: AnsweredRequest): ExecuteOutcome {
  if (request.schema > replica.schema.version) return { kind: 'behind' };
  try {
    const earlier = earlierOutcome(replica, request);
    const reply: AnsweredReply = { answer: earlier === null ? null : finishAnswer(replica, earlier).body };
    return { kind: 'done', body: JSON.stringify(reply) };
  } catch (error) {
    return { kind: 'error', error: failureOf(error) };
  }
}
