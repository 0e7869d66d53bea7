import { writtenByTransaction } from '../core/replica/reference-tables.ts';
import type { Replica } from '../core/replica/replica.ts';
import { AtollError, shownError } from '../protocol/error.ts';
import type {
  PreparedMany,
  PrepareMany,
  PrepareRequest,
  RecordedReply,
  RecordedRequest,
  TransactionEnd,
  TransactionEnds,
  TransactionInquiry,
  TransactRequest,
} from '../protocol/transaction.ts';
import type { Coordinator } from './coordinator.ts';
import { deadlineOf } from './patience.ts';
import type { Transacted, Transactions } from './transactions.ts';

/** The messages of two-phase commit: docs/protocol.md, Transactions. */
export class TransactionDesk {
  readonly #transactions: Transactions;
  readonly #replica: () => Replica;
  readonly #coordinator: () => Coordinator | null;

  constructor(
    transactions: Transactions,
    replica: () => Replica,
    /** Null: this is not the system partition. */
    coordinator: () => Coordinator | null,
  ) {
    this.#transactions = transactions;
    this.#replica = replica;
    this.#coordinator = coordinator;
  }

  /** Those that neither wait nor are answered otherwise than as JSON. */
  get messages() {
    return {
      // From a router, to the anchor.
      recorded: (request: RecordedRequest): RecordedReply => ({
        reply: this.#transactions.decidedBefore(request)?.reply ?? null,
      }),
      // From the anchor, to a participant.
      'transaction-end': (end: TransactionEnd) => this.#end({ ends: [end] }),
      'transaction-ends': (ends: TransactionEnds) => this.#end(ends),
      // From a participant, to the anchor.
      'transaction-state': (inquiry: TransactionInquiry) => this.#transactions.fate(inquiry),
    };
  }

  /** From a router, to the anchor. */
  async transact(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as TransactRequest;
    const transacted = await this.#transact(request, deadlineOf(incoming));
    if (transacted.kind === 'stale') return Response.json(transacted.newer, { status: 421 });
    return Response.json(transacted.reply);
  }

  /** If it writes reference tables, all copies are frozen before anybody prepares, and have followed before it is answered. */
  async #transact(request: TransactRequest, deadline: number): Promise<Transacted> {
    const coordinator = this.#coordinator();
    const tables = coordinator === null ? [] : writtenByTransaction(this.#replica(), request);
    if (coordinator === null || tables.length === 0) return this.#transactions.transact(request, deadline);
    const before = this.#transactions.decidedBefore(request);
    if (before !== null) {
      // Committed: it needs no freeze any more, but some may not have it yet.
      await coordinator.delivered(null);
      return before;
    }
    const name = request.transaction;
    return coordinator.references.besideOthers({ name, tables }, deadline, () =>
      this.#transactions.transact(request, deadline, () => coordinator.delivered(name)),
    );
  }

  /** From the anchor, to a participant. */
  async prepare(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as PrepareRequest;
    return Response.json(await this.#transactions.prepareHere(request, deadlineOf(incoming)));
  }

  /** From the anchor, to a participant: several, all of them in one group. */
  async prepareMany(incoming: Request): Promise<Response> {
    const { requests } = (await incoming.json()) as PrepareMany;
    const answers = requests.map(
      (request): Promise<PreparedMany['answers'][number]> =>
        this.#transactions.prepareAtOnce(request).catch((error: unknown) => {
          if (error instanceof AtollError) return { error: shownError(error) };
          throw error;
        }),
    );
    return Response.json({ answers: await Promise.all(answers) } satisfies PreparedMany);
  }

  /** All in the next group. */
  async #end({ ends }: TransactionEnds): Promise<void> {
    await Promise.all(ends.map((end) => this.#transactions.end(end, Number.POSITIVE_INFINITY)));
  }
}
