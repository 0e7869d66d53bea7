import type { PartitionId } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import type { Catalogue } from '../core/schema/catalogue.ts';
import { AtollError, errorOf, type ShownError } from '../protocol/error.ts';
import type { NetworkReply, StalePartition } from '../protocol/network.ts';
import type { SessionSeal } from '../protocol/session-seal.ts';
import { type Principal, STATIC_ID } from './auth/principal.ts';
import { importVerifyingKey } from './auth/signing-key.ts';
import { TokenVerifier } from './auth/token-verifier.ts';
import type { Freshness } from './freshness.ts';
import type { GatewayOptions } from './gateway.ts';
import { KnownNetwork } from './known-network.ts';
import { type Effect, lostAnswer, READ, WRITE } from './lost.ts';
import type { RouterMetrics } from './metrics/router-metrics.ts';
import type { PartitionTransport } from './transport.ts';

/** In use, what the router knows is asked for anew this often, ms: a revoked token ends as soon (chosen). */
const REFRESH_MS = 5_000;
/** A router that was idle for longer makes a signed token wait until it knows which are revoked, ms (chosen). */
const REVOCATIONS_AGE_MS_MAX = 10_000;

/** A read that was lost on its way is sent this often in all. */
const READ_ATTEMPTS = 3;

export interface CallContext {
  /** Unix milliseconds. */
  readonly deadline: number;
  readonly trace: string;
  readonly signal?: AbortSignal;
  /** See PartitionMessage. */
  readonly freshness?: Freshness;
  readonly coalesces?: boolean;
  /** Lets work go on after the request is answered. */
  readonly background?: (work: Promise<void>) => void;
}

interface DatabaseOptions extends Pick<GatewayOptions, 'transport' | 'staticToken' | 'seal'> {
  readonly metrics: RouterMetrics;
}

/** What the router knows of one database, and how it calls its partitions. */
export class Database {
  readonly name: string;
  readonly metrics: RouterMetrics;
  readonly #transport: PartitionTransport;
  readonly #staticToken: string | null;
  readonly #seal: SessionSeal;
  #known: KnownNetwork | null = null;
  #verifier: TokenVerifier;
  #verifyingKey: string | null = null;
  /** Unix milliseconds: when a refresh was last begun, and when one was last answered. */
  #refreshedAt = 0;
  #knownAt = 0;

  constructor(name: string, { transport, staticToken, seal, metrics }: DatabaseOptions) {
    this.name = name;
    this.metrics = metrics;
    this.#seal = seal;
    this.#transport = transport;
    this.#staticToken = staticToken;
    this.#verifier = new TokenVerifier({ verifyingKey: null, staticToken });
  }

  /** Whose token it is. Error: `unauthorized`, also for one that was revoked at any router some seconds ago. */
  verify(authorization: string | null, context: CallContext): Principal | Promise<Principal> {
    const principal = this.#verifier.verify(authorization, Date.now());
    if (principal instanceof Promise)
      return principal.then((each) => this.#unrevoked(each, authorization, context));
    return this.#unrevoked(principal, authorization, context);
  }

  #unrevoked(
    principal: Principal,
    authorization: string | null,
    context: CallContext,
  ): Principal | Promise<Principal> {
    if (principal.id === STATIC_ID || Date.now() - this.#knownAt < REVOCATIONS_AGE_MS_MAX) return principal;
    return this.#refreshed(principal, authorization, context);
  }

  async #refreshed(
    principal: Principal,
    authorization: string | null,
    context: CallContext,
  ): Promise<Principal> {
    try {
      await this.refresh(context);
    } catch (error) {
      // With the system partition out of reach, what is known must do: else nobody could read anything.
      console.warn(`revoked tokens of ${this.name} not refreshed: ${String(error)}`);
      return principal;
    }
    return this.#verifier.verify(authorization, Date.now());
  }

  /**
   * The network as this router knows it; waits for the system partition only the first time. What is older than
   * {@link REFRESH_MS} is asked for again behind the request, so that revoked tokens end.
   */
  network(context: CallContext): Promise<KnownNetwork> | KnownNetwork {
    const known = this.#known;
    if (known === null) return this.refresh(context);
    const now = Date.now();
    if (now - this.#refreshedAt > REFRESH_MS && context.background !== undefined) {
      this.#refreshedAt = now;
      const failed = (error: unknown) =>
        console.warn(`network of ${this.name} not refreshed: ${String(error)}`);
      context.background(
        this.refresh({ ...context, deadline: now + REFRESH_MS }).then(() => undefined, failed),
      );
    }
    return known;
  }

  /**
   * Asks the system partition. Each request asks for itself: it happens rarely, and whoever else has asked may be gone before its answer.
   */
  async refresh(context: CallContext): Promise<KnownNetwork> {
    const reply = await this.ask<NetworkReply<Catalogue>>(SYSTEM_PARTITION, 'network', {}, context, READ);
    return this.install(reply);
  }

  /**
   * Learns what this router has just had changed. The change stands even when the system partition cannot be asked now:
   * then a signed token waits for the next answer.
   */
  async catchUp(context: CallContext): Promise<void> {
    this.#knownAt = 0;
    try {
      await this.refresh(context);
    } catch (error) {
      console.warn(`network of ${this.name} not refreshed: ${String(error)}`);
    }
  }

  /** Takes a network that the system partition has answered; an older one than known changes nothing. */
  async install(reply: NetworkReply<Catalogue>): Promise<KnownNetwork> {
    if (reply.verifyingKey !== this.#verifyingKey && reply.verifyingKey !== null) {
      const verifyingKey = await importVerifyingKey(reply.verifyingKey);
      this.#verifier = new TokenVerifier({ verifyingKey, staticToken: this.#staticToken });
      this.#verifyingKey = reply.verifyingKey;
    }
    this.#refreshedAt = Date.now();
    this.#knownAt = this.#refreshedAt;
    this.#verifier.setRevoked(new Set(reply.revokedTokens));
    this.#known = this.#known?.replacedBy(reply.network) ?? new KnownNetwork(reply.network, this.#seal);
    return this.#known;
  }

  /** Takes what a partition says that refused a request because it knows newer. Null: only the system partition can tell. */
  learn(stale: StalePartition): KnownNetwork | null {
    const updated = this.#known?.updated(stale) ?? null;
    if (updated !== null) this.#known = updated;
    return updated;
  }

  /** Sends a message; the answer may be anything, its body is not read. What the transport throws is thrown: see {@link deliver}. */
  call(
    partition: PartitionId,
    type: string,
    body: string | Uint8Array,
    context: CallContext,
  ): Promise<Response> {
    const timeLeft = context.deadline - Date.now();
    if (timeLeft <= 0)
      return Promise.reject(
        new AtollError('timeout', 'the deadline has passed before the request was sent', 'none'),
      );
    const answer = this.#transport.call(this.name, partition, { type, body, ...context });
    return within(answer, timeLeft);
  }

  /**
   * Sends a message, a read again when it is lost, and takes what of the answer must arrive with it.
   *
   * @throws AtollError that says what a lost answer means
   */
  async deliver<Taken>(
    partition: PartitionId,
    type: string,
    body: string,
    context: CallContext,
    effect: Effect,
    take: (response: Response) => Promise<Taken> | Taken,
  ): Promise<Taken> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await take(await this.call(partition, type, body, context));
      } catch (error) {
        const lost = lostAnswer(error, partition, effect);
        const again = effect.access === 'read' && lost.code === 'unavailable' && attempt < READ_ATTEMPTS;
        if (!again || context.signal?.aborted) throw lost;
        this.metrics.retried('lost-read');
      }
    }
  }

  /** Sends a message and reads its answer; an error that the partition answers is thrown. */
  async ask<Answer>(
    partition: PartitionId,
    type: string,
    message: unknown,
    context: CallContext,
    effect: Effect = WRITE,
  ): Promise<Answer> {
    const take = (response: Response) => (response.ok ? response.json() : readError(response));
    const answer = await this.deliver(partition, type, JSON.stringify(message), context, effect, take);
    if (answer instanceof AtollError) throw lostAnswer(answer, partition, effect);
    return answer as Answer;
  }
}

/** A partition that does not answer in time may still do what it was asked. */
function within<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  // One promise by hand: Promise.race and finally take four, which a routed read feels.
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new AtollError('timeout', 'the deadline passed before the partition answered')),
      milliseconds,
    );
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

/** The error that a partition has answered. */
export async function readError(response: Response): Promise<AtollError> {
  const text = await response.text();
  try {
    return errorOf((JSON.parse(text) as { error: ShownError }).error);
  } catch {
    return new AtollError('unavailable', `the partition answered ${response.status}`, 'unknown');
  }
}
