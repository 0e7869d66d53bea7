import { present } from '../base/assert.ts';
import type { Replica } from '../core/replica/replica.ts';
import { attemptId, lostToOlder } from '../gateway/wait-die.ts';
import { AtollError } from '../protocol/error.ts';
import type { IndexFillReply, IndexFillRequest } from '../protocol/schema.ts';
import type { TransactRequest } from '../protocol/transaction.ts';
import { deadlineOf } from './patience.ts';
import type { Surroundings } from './surroundings.ts';
import type { Transactions } from './transactions.ts';

/** How long one request goes through pages, ms (chosen: what a crash makes it do again). */
const FILL_MS = 1_000;
/** Longest pause before a page is tried again that lost against an older transaction, ms (chosen). */
const PAUSE_MS = 50;

export interface IndexFillOptions {
  readonly replica: () => Replica;
  readonly transactions: Transactions;
  readonly pause: Surroundings['pause'];
}

/** This partition's rows get their entries in an index that is being built: page by page, each a transaction over partitions. */
export class IndexFill {
  readonly #options: IndexFillOptions;

  constructor(options: IndexFillOptions) {
    this.#options = options;
  }

  async serve(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as IndexFillRequest;
    const enough = Date.now() + FILL_MS;
    let done: IndexFillReply = { rows: 0, after: request.after };
    do {
      const { rows, after } = await this.#page({ ...request, after: done.after }, deadlineOf(incoming));
      done = { rows: done.rows + rows, after };
    } while (done.after !== null && Date.now() < enough);
    return Response.json(done);
  }

  /** Writers that came first go first, and then it is older than those that come now. */
  async #page(request: IndexFillRequest, deadline: number): Promise<IndexFillReply> {
    const startedMs = Date.now();
    for (;;) {
      try {
        return await this.#attempt(request, startedMs, deadline);
      } catch (error) {
        if (!lostToOlder(error) || Date.now() + PAUSE_MS >= deadline) throw error;
        await this.#options.pause(PAUSE_MS * Math.random());
      }
    }
  }

  async #attempt(
    { index, after, epoch, schema, system, ring }: IndexFillRequest,
    startedMs: number,
    deadline: number,
  ): Promise<IndexFillReply> {
    const { replica, transactions } = this.#options;
    const { partition } = replica().identity;
    const request: TransactRequest = {
      transaction: attemptId(),
      startedMs,
      schema,
      system,
      parts: [{ partition, epoch, read: false, statements: [], fill: { index, after } }],
      ring,
    };
    const transacted = await transactions.transact(request, deadline);
    if (transacted.kind === 'stale')
      throw new AtollError('stale', `partition ${transacted.newer.partition} knows a newer network`);
    // Its own is the first: entries that it has itself are of later waves.
    const own = transacted.reply.replies.find((each) => each.partition === partition);
    return JSON.parse(present(own, 'an anchor has a part').reply) as IndexFillReply;
  }
}
