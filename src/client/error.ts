/** Whether a failed request changed anything: `none` (it did not), `unknown` (the reply was lost), `partial`. */
export type Outcome = 'none' | 'unknown' | 'partial';

export interface AtollErrorFields {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly outcome: Outcome;
  /** HTTP status; 0 when no reply came. */
  readonly status: number;
  /** Facts for programs: the line of an import, a limit, the outcome by partition. */
  readonly detail?: Readonly<Record<string, unknown>>;
  /** Milliseconds the server asked to wait before another try. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/**
 * Everything that goes wrong with a request. `code` is closed and stable, `message` is for people.
 *
 * @example
 * try {
 *   await db.query('INSERT INTO users (email) VALUES (?)', [email]);
 * } catch (error) {
 *   if (error instanceof AtollError && error.code === 'constraint') return 'taken';
 *   if (error instanceof AtollError && error.outcome === 'unknown') return 'ask again with the same idempotency key';
 *   throw error;
 * }
 */
export class AtollError extends Error {
  override name = 'AtollError';
  readonly code: string;
  readonly retryable: boolean;
  readonly outcome: Outcome;
  readonly status: number;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly retryAfterMs: number | undefined;

  constructor(fields: AtollErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = fields.code;
    this.retryable = fields.retryable;
    this.outcome = fields.outcome;
    this.status = fields.status;
    this.detail = fields.detail ?? {};
    this.retryAfterMs = fields.retryAfterMs;
  }

  /** The same error of a request of which more is known, or less, than its last reply says. */
  withOutcome(outcome: Outcome): AtollError {
    const { code, message, retryable, status, detail, retryAfterMs, cause } = this;
    const known = { code, message, retryable, outcome, status, detail, cause };
    return new AtollError(retryAfterMs === undefined ? known : { ...known, retryAfterMs });
  }
}

/** The error that a reply with a status of 400 and above carries, also where its body is no Atoll error. */
export function errorFromReply(status: number, headers: Headers, body: string): AtollError {
  const retryAfterMs = retryAfter(headers);
  const base = { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  const parsed = parseError(body);
  if (parsed === undefined) {
    const gatewayBusy = status === 429 || status === 503;
    return new AtollError({
      ...base,
      code: `http-${status}`,
      message: `the server answered ${status}: ${body.slice(0, 200).trim() || 'no body'}`,
      retryable: gatewayBusy,
      // A proxy's 5xx says nothing of what happened behind it.
      outcome: status >= 500 && !gatewayBusy ? 'unknown' : 'none',
    });
  }
  const { code, message, retryable, outcome, detail } = parsed;
  return new AtollError({
    ...base,
    code: typeof code === 'string' ? code : `http-${status}`,
    message: typeof message === 'string' ? message : `the server answered ${status}`,
    retryable: retryable === true,
    outcome: outcome === 'none' || outcome === 'partial' ? outcome : 'unknown',
    ...(typeof detail === 'object' && detail !== null ? { detail: detail as Record<string, unknown> } : {}),
  });
}

/** The error of a request that got no reply. */
export function errorWithoutReply(url: string, cause: unknown, timeoutMs: number): AtollError {
  if (cause instanceof DOMException && cause.name === 'TimeoutError') {
    return new AtollError({
      code: 'timeout',
      message: `no reply from ${url} within ${timeoutMs} ms`,
      retryable: false,
      outcome: 'unknown',
      status: 0,
      cause,
    });
  }
  const refused = systemCode(cause) === 'ECONNREFUSED' || systemCode(cause) === 'ENOTFOUND';
  return new AtollError({
    code: refused ? 'unreachable' : 'network',
    message: refused ? `nothing answers at ${url}` : `the connection to ${url} broke: ${rootMessage(cause)}`,
    retryable: refused,
    outcome: refused ? 'none' : 'unknown',
    status: 0,
    cause,
  });
}

function parseError(body: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    const error = (parsed as { error?: unknown } | null)?.error;
    return typeof error === 'object' && error !== null ? (error as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Seconds, the only form that Atoll sends; a date is left to the caller's own back-off. */
function retryAfter(headers: Headers): number | undefined {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}

function systemCode(error: unknown): string | undefined {
  const cause = (error as { cause?: { code?: string; errors?: { code?: string }[] } } | null)?.cause;
  return cause?.code ?? cause?.errors?.[0]?.code;
}

function rootMessage(error: unknown): string {
  const cause = (error as { cause?: unknown } | null)?.cause;
  if (cause instanceof Error && cause.message !== '') return cause.message;
  return error instanceof Error ? error.message : String(error);
}
