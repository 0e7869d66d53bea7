/** What became of the request's writes. `partial` only for requests that asked for `atomicity:"partition"`. */
export type Outcome = 'none' | 'unknown' | 'partial';

export interface ErrorKind {
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 429 | 500 | 503 | 504;
  /** Whether the unchanged request may succeed when sent again; after `unknown`, under its idempotency key. */
  readonly retryable: boolean;
  /** Unless the place that raises the error knows better. */
  readonly outcome: Outcome;
  readonly meaning: string;
}

function caller(meaning: string, status: ErrorKind['status'] = 400): ErrorKind {
  return { status, retryable: false, outcome: 'none', meaning };
}

function transient(meaning: string, status: ErrorKind['status'], outcome: Outcome = 'none'): ErrorKind {
  return { status, retryable: true, outcome, meaning };
}

/** The closed list of public errors: docs/protocol.md, "Errors". A code is never renamed or given another status. */
export const errorKinds = {
  'bad-request': caller('the request is not of the documented shape'),
  payload: caller('the body cannot be read: encoding, compression, JSON, or a line of an import'),
  'too-deep': caller('JSON or SQL is nested too deeply'),
  syntax: caller('the SQL does not parse'),
  unsupported: caller('a documented or SQLite feature that Atoll does not have yet'),
  'forbidden-statement': caller('a statement that is not allowed here, such as ATTACH or OR ROLLBACK'),
  'internal-name': caller('the SQL names what begins with _atoll_'),
  'no-such-table': caller('the table or view does not exist'),
  'no-such-column': caller('the column does not exist'),
  'key-required': caller('the statement must fix or supply the partition key'),
  'multi-partition-write': caller('the write touches several partitions where one is required'),
  'needs-global-index': caller('uniqueness over partitions needs a global index'),
  parameter: caller('an argument is missing, surplus, or no SQL value'),
  'too-many-parameters': caller('more arguments than a statement may have'),
  sql: caller('SQLite refused the statement while it ran'),
  'history-gone': caller('the moment asked for is older than the log or belongs to another history'),
  unauthorized: caller('no valid token', 401),
  forbidden: caller('the token does not allow this', 403),
  'not-found': caller('no such database, route, or transaction', 404),
  'method-not-allowed': caller('the route does not know this method', 405),
  conflict: transient('another transaction came first; run the transaction again', 409),
  'schema-conflict': transient('the schema changed meanwhile', 409),
  constraint: caller('a UNIQUE, NOT NULL, CHECK or FOREIGN KEY constraint failed', 409),
  'already-exists': caller('the database or object exists already', 409),
  'idempotency-conflict': caller('the idempotency key belongs to another request, or has expired', 409),
  'transaction-ended': caller('the interactive transaction was committed, rolled back, or has expired', 409),
  'too-large': caller('the request, a value, or a row is over its limit', 413),
  'result-too-large': caller('the answer, or what it must gather, is over its limit', 413),
  'rate-limited': transient('too many requests from this caller', 429),
  overloaded: transient('the partition has more work than it can take', 503),
  busy: transient('waited too long for a lock', 503),
  stale: transient('the network changed; routers retry this themselves', 503),
  unavailable: transient('no leader, or no quorum, can be reached', 503),
  'storage-full': { status: 503, retryable: false, outcome: 'none', meaning: 'a host has no space left' },
  'unknown-outcome': transient('the reply was lost: the write may or may not be applied', 503, 'unknown'),
  timeout: transient('the deadline passed; a write may still be applied', 504, 'unknown'),
  internal: { status: 500, retryable: false, outcome: 'unknown', meaning: 'a defect in Atoll' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

/** Facts for programs: a name, a limit, the outcome by partition. Must survive JSON. */
export type ErrorDetail = Readonly<Record<string, unknown>>;

/** An error that the caller of the public API is to see. Its message says what to change or what to do. */
export class AtollError extends Error {
  override name = 'AtollError';
  readonly code: ErrorCode;
  readonly outcome: Outcome;
  readonly detail: ErrorDetail | null;

  constructor(code: ErrorCode, message: string, outcome?: Outcome, detail?: ErrorDetail) {
    super(message);
    this.code = code;
    this.outcome = outcome ?? errorKinds[code].outcome;
    this.detail = detail ?? null;
  }

  get kind(): ErrorKind {
    return errorKinds[this.code];
  }
}

/** Whether a code received from another version is one of ours. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorKinds, code);
}

/** Chosen: long enough for an election or a lock to pass. */
const RETRY_AFTER_SECONDS = 1;

/** An error as it is shown, here and on the wire. */
export interface ShownError {
  /** Of another version it may be an unknown one. */
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly outcome: Outcome;
  readonly detail?: ErrorDetail;
}

export function shownError({ kind, code, message, outcome, detail }: AtollError): ShownError {
  return { code, message, retryable: kind.retryable, outcome, ...(detail === null ? {} : { detail }) };
}

/** What another host has shown. */
export function errorOf({ code, message, outcome, detail }: ShownError): AtollError {
  return new AtollError(isErrorCode(code) ? code : 'internal', message, outcome, detail);
}

export interface ErrorReply {
  readonly status: ErrorKind['status'];
  /** For the `Retry-After` header; null where it does not belong. */
  readonly retryAfterSeconds: number | null;
  /** JSON text: `{"error":{"code","message","retryable","outcome","detail"?}}`. */
  readonly body: string;
}

export function encodeError(error: AtollError): ErrorReply {
  const { status, retryable } = error.kind;
  return {
    status,
    retryAfterSeconds: retryable && (status === 429 || status === 503) ? RETRY_AFTER_SECONDS : null,
    body: JSON.stringify({ error: shownError(error) }),
  };
}

/**
 * What to answer for anything thrown. Whatever is no AtollError is a defect: its text stays in the host's log,
 * where the caller of this must write it, and is not shown.
 */
export function toAtollError(thrown: unknown): AtollError {
  if (thrown instanceof AtollError) return thrown;
  return new AtollError('internal', 'a defect in Atoll; its log has the cause');
}
