import type { PartitionId } from '../base/brand.ts';
import { AtollError } from '../protocol/error.ts';
import { decodeAnswers, encodeMany, ONE_LENGTH_MAX, type OneAnswer } from '../protocol/many.ts';
import { TRACE_REPLY_HEADER } from '../protocol/rpc.ts';
import { readError } from './database.ts';
import { type Coalescing, Lane, REQUESTS_COALESCING } from './lane.ts';
import type { PartitionMessage, PartitionTransport } from './transport.ts';

interface Waiting {
  readonly message: PartitionMessage;
  /** Null: it is to be sent by itself. A Response only to whoever has asked for it. */
  readonly resolve: (answer: OneAnswer | Response) => void;
  readonly reject: (error: unknown) => void;
}

interface Destination {
  readonly database: string;
  readonly partition: PartitionId;
  readonly lane: Lane<Waiting>;
}

/**
 * Clients' requests for a partition that others are on their way to leave together, as `execute-many`.
 *
 * In a Worker each belongs to another request, which the runtime keeps apart: what one hands to another is text, never a Response, and whoever waits has a timer of
 * its own (the deadline), without which the runtime takes it for one that hangs. A promise that another request resolves runs on in the request that has made it
 * (https://developers.cloudflare.com/workers/configuration/compatibility-flags/#handling-cross-request-promise-resolution), if it is of
 * `Promise.withResolvers`: one of `new Promise` loses its request when the function is compiled (seen with workerd 1.20261023 after some 10,000 requests).
 */
export class CoalescingTransport implements PartitionTransport {
  readonly #each: PartitionTransport;
  readonly #options: Coalescing;
  readonly #lanes = new Map<string, Lane<Waiting>>();

  constructor(each: PartitionTransport, options = REQUESTS_COALESCING) {
    this.#each = each;
    this.#options = options;
  }

  call(database: string, partition: PartitionId, message: PartitionMessage): Promise<Response> {
    const { coalesces, body, signal } = message;
    if (coalesces !== true || body.length > ONE_LENGTH_MAX || signal !== undefined)
      return this.#each.call(database, partition, message);
    const lane = this.#lane(`${database}/${partition}`);
    if (lane.goesAlone(Date.now())) return lane.track(this.#each.call(database, partition, message));
    return this.#together({ database, partition, lane }, message);
  }

  #lane(name: string): Lane<Waiting> {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = new Lane(this.#options);
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  async #together(to: Destination, message: PartitionMessage): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<OneAnswer | Response>();
    const time = Promise.withResolvers<void>();
    const own = { message, resolve, reject };
    if (to.lane.join(own, Date.now(), time.resolve)) this.#carry(to, own, time);
    const answer = await promise;
    if (answer === null) return this.#each.call(to.database, to.partition, inTime(message));
    return answer instanceof Response ? answer : responseTo(message, answer);
  }

  /** The first one carries the others: it must not end with its own client. */
  #carry(to: Destination, own: Waiting, { promise: over, resolve: go }: PromiseWithResolvers<void>): void {
    const timer = setTimeout(go, this.#options.gatherMs);
    const sent = over.then(() => {
      clearTimeout(timer);
      return this.#send(to, to.lane.leave(), own);
    });
    own.message.background?.(sent);
  }

  /** Never rejects: whoever waits is told. */
  async #send(to: Destination, gathered: readonly Waiting[], own: Waiting): Promise<void> {
    // Whoever has no time left has been told so, and may have done something else.
    const all = gathered.filter(({ message }) => Date.now() < message.deadline);
    if (all.length === 0) return;
    const { database, partition, lane } = to;
    try {
      if (all.length === 1 && all[0] === own)
        return own.resolve(await lane.track(this.#each.call(database, partition, own.message)));
      const answers = await this.#askMany(to, all, own.message.trace);
      const now = Date.now();
      for (const [index, { message, resolve }] of all.entries())
        if (now < message.deadline) resolve(answers[index] as OneAnswer);
    } catch (error) {
      for (const { reject } of all) reject(error);
    }
  }

  async #askMany(
    { database, partition, lane }: Destination,
    all: readonly Waiting[],
    trace: string,
  ): Promise<OneAnswer[]> {
    const together = this.#each.call(database, partition, {
      type: 'execute-many',
      body: encodeMany(all.map(({ message }) => message.body as string)),
      deadline: Math.max(...all.map(({ message }) => message.deadline)),
      trace,
    });
    const response = await lane.track(together);
    if (response.ok) return decodeAnswers(await response.text(), all.length);
    if (response.status !== 404) throw await readError(response);
    // It does not know the message: nothing was done.
    lane.unknown(Date.now());
    return all.map(() => null);
  }
}

/** @throws AtollError `timeout` */
function inTime(message: PartitionMessage): PartitionMessage {
  if (Date.now() < message.deadline) return message;
  throw new AtollError('timeout', 'the deadline has passed before the request was sent', 'none');
}

function responseTo({ trace }: PartitionMessage, { status, body }: Exclude<OneAnswer, null>): Response {
  return new Response(body, {
    status,
    headers: { 'content-type': 'application/json', [TRACE_REPLY_HEADER]: trace },
  });
}
