import type { Work } from '../core/replica/group.ts';
import type { ExecuteOutcome } from '../core/replica/outcome.ts';
import { endWork, prepareWork } from '../core/replica/participant.ts';
import type { Replica } from '../core/replica/replica.ts';
import { encodeError } from '../protocol/error.ts';
import { DEADLINE_HEADER } from '../protocol/rpc.ts';
import type { PrepareRequest, TransactionEnd, TransactRequest, Vote } from '../protocol/transaction.ts';
import type { FeedFollower } from './feed-follower.ts';
import type { Transactions } from './transactions.ts';

/** What became of work that no longer waits. */
export type Settled = Exclude<ExecuteOutcome, { kind: 'behind' | 'held' | 'locked' }>;

/** What is left of a request's time when its answer must be under way, ms (chosen). */
const REPLY_MS = 50;

export interface TransactionDeskOptions {
  readonly replica: () => Replica;
  readonly transactions: Transactions;
  readonly feed: FeedFollower;
  /** Does work in the next group, and again while others hold what it needs. */
  readonly perform: (work: Work, deadline: number) => Promise<Settled>;
}

/** The messages of two-phase commit: docs/protocol.md, Transactions. */
export class TransactionDesk {
  readonly #options: TransactionDeskOptions;

  constructor(options: TransactionDeskOptions) {
    this.#options = options;
  }

  /** From a router, to the anchor. */
  async transact(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as TransactRequest;
    const transacted = await this.#options.transactions.transact(request, deadlineOf(incoming));
    if (transacted.kind === 'stale') return Response.json(transacted.newer, { status: 421 });
    return Response.json(transacted.reply);
  }

  /** From the anchor, to a participant. */
  async prepare(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as PrepareRequest;
    const { replica, transactions, feed, perform } = this.#options;
    await feed.idle();
    const outcome = await perform(prepareWork(replica(), request), deadlineOf(incoming));
    if (outcome.kind === 'error') {
      const { status, body } = encodeError(outcome.error);
      return new Response(body, { status });
    }
    if (outcome.kind === 'stale')
      return Response.json({ vote: 'stale', newer: outcome.newer } satisfies Vote);
    transactions.prepared();
    return new Response(outcome.body, { headers: { 'content-type': 'application/json' } });
  }

  /** From the anchor, to a participant. */
  async end(end: TransactionEnd): Promise<void> {
    const { replica, perform } = this.#options;
    const outcome = await perform(endWork(replica(), end), Number.POSITIVE_INFINITY);
    if (outcome.kind === 'error') throw outcome.error;
  }
}

function deadlineOf(incoming: Request): number {
  return Number(incoming.headers.get(DEADLINE_HEADER)) - REPLY_MS;
}
