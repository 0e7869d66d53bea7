import type { Token } from '../base/brand.ts';
import { AtollError } from '../protocol/error.ts';
import type { Idempotency } from '../protocol/execute.ts';
import { checkAge, type IdempotencyKey, requestId } from '../protocol/idempotency-key.ts';
import type { CallContext, Database } from './database.ts';
import type { ClientRequest } from './request.ts';
import type { Session } from './statements.ts';

/** A write whose answer was lost is sent this often in all (chosen: an object that was reset is back by then). */
const ATTEMPTS_MAX = 5;
/** Before the second attempt, ms; doubled each time (chosen). */
const PAUSE_FIRST_MS = 50;

/**
 * A client's request with an idempotency key, on its way through the router: what partitions know it by, and whether an answer
 * to it was lost meanwhile.
 */
export class KeyedRequest {
  readonly idempotency: Idempotency;
  /** Where it belongs if its statements leave that open: the same place each time. */
  readonly token: Token;
  #lost = false;

  private constructor(digest: string, hash: string, issuedMs: number) {
    this.idempotency = { id: requestId(issuedMs, digest), hash, issuedMs };
    this.token = Number.parseInt(digest.slice(0, 8), 16) as Token;
  }

  static async of(
    { database, principal }: Session,
    request: ClientRequest,
    key: IdempotencyKey,
  ): Promise<KeyedRequest> {
    const [digest, hash] = await Promise.all([
      sha256([database.name, principal.id, key.text]),
      sha256(askedFor(database.name, request)),
    ]);
    return new KeyedRequest(digest, hash, key.issuedMs);
  }

  /** @throws AtollError `idempotency-conflict` or `bad-request`: see {@link checkAge} */
  checkAge(): void {
    checkAge(this.idempotency, Date.now());
  }

  /**
   * Has the request executed, and sends it again while its answer is lost: the partition knows it by its key. An overloaded
   * partition is left alone.
   *
   * @throws what `attempt` throws, if it throws it each time, or for another reason than a lost answer
   */
  async settle(
    { metrics }: Database,
    { deadline, signal }: CallContext,
    attempt: () => Promise<Response>,
  ): Promise<Response> {
    for (let attempts = 1; ; attempts++) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof AtollError) || error.outcome !== 'unknown') throw error;
        this.#lost = true;
        const pause = PAUSE_FIRST_MS * 2 ** (attempts - 1);
        const late = signal?.aborted === true || Date.now() + pause >= deadline;
        if (!error.kind.retryable || error.code === 'overloaded' || late || attempts === ATTEMPTS_MAX)
          throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
        metrics.retried('lost-write');
      }
    }
  }

  /** An error as the client is to see it: that nothing came of the last attempt says nothing of one that was lost. */
  told(error: unknown): unknown {
    if (!this.#lost || !(error instanceof AtollError) || error.outcome !== 'none') return error;
    return new AtollError(error.code, error.message, 'unknown', error.detail ?? undefined);
  }
}

/** All that decides what a request does; not how long it may take, what its session has seen, or who traces it. */
function askedFor(database: string, { shape, statements, atomicity }: ClientRequest): unknown[] {
  return [database, shape, atomicity, statements.map(({ sql, args = null }) => [sql, args])];
}

/** Of the JSON, hex. */
async function sha256(value: unknown[]): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(value)));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
