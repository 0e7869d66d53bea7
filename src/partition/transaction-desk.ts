import type { PrepareRequest, TransactionEnds, TransactRequest } from '../protocol/transaction.ts';
import { deadlineOf } from './patience.ts';
import type { Transactions } from './transactions.ts';

/** The messages of two-phase commit: docs/protocol.md, Transactions. */
export class TransactionDesk {
  readonly #transactions: Transactions;

  constructor(transactions: Transactions) {
    this.#transactions = transactions;
  }

  /** From a router, to the anchor. */
  async transact(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as TransactRequest;
    const transacted = await this.#transactions.transact(request, deadlineOf(incoming));
    if (transacted.kind === 'stale') return Response.json(transacted.newer, { status: 421 });
    return Response.json(transacted.reply);
  }

  /** From the anchor, to a participant. */
  async prepare(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as PrepareRequest;
    return Response.json(await this.#transactions.prepareHere(request, deadlineOf(incoming)));
  }

  /** From the anchor, to a participant: all in the next group. */
  async end({ ends }: TransactionEnds): Promise<void> {
    await Promise.all(ends.map((end) => this.#transactions.end(end, Number.POSITIVE_INFINITY)));
  }
}
