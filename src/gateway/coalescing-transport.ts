import type { PartitionId } from '../base/brand.ts';
import { AtollError } from '../protocol/error.ts';
import { decodeAnswers, encodeMany, ONE_LENGTH_MAX, type OneAnswer } from '../protocol/many.ts';
import { TRACE_REPLY_HEADER } from '../protocol/rpc.ts';
import { readError } from './database.ts';
import { COALESCING, type Coalescing, Lane } from './lane.ts';
import type { PartitionMessage, PartitionTransport } from './transport.ts';

interface Waiting {
  readonly message: PartitionMessage;
  readonly resolve: (answer: OneAnswer | Response) => void;
  readonly reject: (error: unknown) => void;
}

interface Carrying {
  /** Over when they are to leave: `go`. */
  readonly time: Promise<void>;
  readonly go: () => void;
  readonly message: PartitionMessage;
}

/**
 * Clients' requests for a partition that others are on their way to leave together, as `execute-many`.
 *
 * In a Worker each belongs to another request, which the runtime keeps apart: what is handed from one to the other is text, no Response, and whoever waits has
 * a timer of its own (the deadline), without which the runtime takes it for one that hangs
 * (https://developers.cloudflare.com/workers/configuration/compatibility-flags/#handling-cross-request-promise-resolution).
 */
export class CoalescingTransport implements PartitionTransport {
  readonly #each: PartitionTransport;
  readonly #options: Coalescing;
  readonly #lanes = new Map<string, Lane<Waiting>>();

  constructor(each: PartitionTransport, options = COALESCING) {
    this.#each = each;
    this.#options = options;
  }

  call(database: string, partition: PartitionId, message: PartitionMessage): Promise<Response> {
    const { coalesces, body, signal } = message;
    if (coalesces !== true || body.length > ONE_LENGTH_MAX || signal !== undefined)
      return this.#each.call(database, partition, message);
    const lane = this.#lane(`${database}/${partition}`);
    const now = Date.now();
    if (lane.goesAlone(now)) return lane.track(this.#each.call(database, partition, message), now);
    return new Promise<OneAnswer | Response>((resolve, reject) => {
      let go = (): void => undefined;
      const time = new Promise<void>((over) => {
        go = over;
      });
      if (lane.join({ message, resolve, reject }, now, go))
        this.#carry(database, partition, lane, { time, go, message });
    }).then((answer) => {
      if (answer === null) return this.#each.call(database, partition, inTime(message));
      return answer instanceof Response ? answer : responseTo(message, answer);
    });
  }

  #lane(name: string): Lane<Waiting> {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = new Lane(this.#options);
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  /** The first one carries the others: it must not end with its own client. */
  #carry(
    database: string,
    partition: PartitionId,
    lane: Lane<Waiting>,
    { time, go, message: { background } }: Carrying,
  ): void {
    const timer = setTimeout(go, this.#options.gatherMs);
    // Whoever has had an answer says so: what follows is this request's own again.
    const sent = time.then(() => {
      clearTimeout(timer);
      return this.#send(database, partition, lane, lane.leave());
    });
    background?.(sent);
  }

  /** Never rejects: whoever waits is told. */
  async #send(
    database: string,
    partition: PartitionId,
    lane: Lane<Waiting>,
    all: readonly Waiting[],
  ): Promise<void> {
    // Somebody else has left for all.
    const [first] = all;
    if (first === undefined) return;
    try {
      if (all.length === 1) {
        const answer = this.#each.call(database, partition, first.message);
        return first.resolve(await lane.track(answer, Date.now()));
      }
      const answers = await this.#askMany(database, partition, lane, all);
      const now = Date.now();
      for (const [index, { message, resolve }] of all.entries())
        if (now < message.deadline) resolve(answers[index] as OneAnswer);
    } catch (error) {
      for (const { reject } of all) reject(error);
    }
  }

  async #askMany(
    database: string,
    partition: PartitionId,
    lane: Lane<Waiting>,
    all: readonly Waiting[],
  ): Promise<OneAnswer[]> {
    const together = this.#each.call(database, partition, {
      type: 'execute-many',
      body: encodeMany(all.map(({ message }) => message.body as string)),
      deadline: Math.max(...all.map(({ message }) => message.deadline)),
      trace: (all[0] as Waiting).message.trace,
    });
    const response = await lane.track(together, Date.now());
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
