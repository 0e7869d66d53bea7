import { AtollError, errorFromReply, errorWithoutReply } from './error.ts';

/** The part of `fetch` that the client uses; a service binding's `fetch` fits as well. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Transport {
  readonly url: string;
  readonly token: string | undefined;
  readonly fetch: Fetch;
  /** Tries in all, the first included. */
  readonly attemptsMax: number;
  readonly wait: (ms: number) => Promise<void>;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  /** From sending until the reply's last byte; Infinity for transfers whose length nobody knows. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** The body has an idempotency key: sent twice, it is applied once. */
  readonly keyed?: boolean;
}

/** Back-off before the second, third, … try, unless the server names a time. Chosen; doubled each time. */
const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 2_000;

/** Sends a request and resolves with its reply, of status below 400: see {@link sendForText}. */
export function send(transport: Transport, call: Call): Promise<Response> {
  return repeat(transport, call, async (reply) => reply);
}

/**
 * Sends a request and resolves with its reply's body. The one retry policy: an error that is `retryable` and whose outcome is
 * `none` is tried again, and one whose outcome is `unknown` where the request has an idempotency key. What else may have been
 * applied is never sent twice; only the caller knows whether that is harmless.
 */
export function sendForText(transport: Transport, call: Call): Promise<string> {
  return repeat(transport, call, (reply) => textOf(transport, reply, call.timeoutMs, call.signal));
}

async function repeat<Taken>(
  transport: Transport,
  call: Call,
  take: (reply: Response) => Promise<Taken>,
): Promise<Taken> {
  const deadline = Date.now() + call.timeoutMs;
  let lost = false;
  for (let attempt = 1; ; attempt++) {
    try {
      return await take(await sendOnce(transport, call, deadline));
    } catch (error) {
      if (!(error instanceof AtollError)) throw error;
      const shown = lost ? error.withOutcome('unknown') : error;
      lost ||= error.outcome === 'unknown';
      const pause = error.retryAfterMs ?? Math.min(BACKOFF_FIRST_MS * 2 ** (attempt - 1), BACKOFF_MAX_MS);
      const spent = call.body instanceof ReadableStream;
      const late = Date.now() + pause >= deadline;
      if (!isRepeatable(error, call) || attempt >= transport.attemptsMax || spent || late) throw shown;
      await transport.wait(pause);
    }
  }
}

function isRepeatable({ retryable, outcome, code }: AtollError, { keyed = false }: Call): boolean {
  if (outcome === 'none') return retryable;
  // A defect would come again.
  return keyed && outcome === 'unknown' && code !== 'internal';
}

async function sendOnce(transport: Transport, call: Call, deadline: number): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (transport.token !== undefined) headers.authorization = `Bearer ${transport.token}`;
  if (call.body !== undefined) headers['content-type'] = call.contentType ?? 'application/json';
  if (call.contentEncoding !== undefined) headers['content-encoding'] = call.contentEncoding;
  const signals = call.signal === undefined ? [] : [call.signal];
  if (Number.isFinite(deadline)) signals.push(AbortSignal.timeout(Math.max(1, deadline - Date.now())));
  const init: RequestInit & { duplex?: 'half' } = {
    method: call.method,
    headers,
    signal: AbortSignal.any(signals),
  };
  if (call.body !== undefined) init.body = call.body as NonNullable<RequestInit['body']>;
  // Fetch demands it of every streamed request body: https://fetch.spec.whatwg.org/#requestinit
  if (call.body instanceof ReadableStream) init.duplex = 'half';

  const reply = await attempt(transport, () => transport.fetch(`${transport.url}${call.path}`, init), call);
  if (reply.status < 400) return reply;
  const body = await attempt(transport, () => reply.text(), call);
  throw errorFromReply(reply.status, reply.headers, body);
}

async function attempt<T>(transport: Transport, task: () => Promise<T>, call: Call): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    if (call.signal?.aborted === true) throw cause;
    throw errorWithoutReply(transport.url, cause, call.timeoutMs);
  }
}

/** A reply's body as text; a connection that breaks meanwhile is an error with outcome `unknown`. */
export async function textOf(
  transport: Transport,
  reply: Response,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<string> {
  try {
    return await reply.text();
  } catch (cause) {
    if (signal?.aborted === true) throw cause;
    throw errorWithoutReply(transport.url, cause, timeoutMs);
  }
}
