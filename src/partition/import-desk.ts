import { assert, present } from '../base/assert.ts';
import type { TableId } from '../base/brand.ts';
import type { Work } from '../core/replica/group.ts';
import { chunkIds, refusedWork } from '../core/replica/import-part.ts';
import type { ExecuteOutcome } from '../core/replica/outcome.ts';
import type { Replica } from '../core/replica/replica.ts';
import { AtollError } from '../protocol/error.ts';
import { decodeImportChunk, type ImportChunk, type ImportSpread } from '../protocol/import.ts';
import type { RingRange, TransactionPart, TransactRequest } from '../protocol/transaction.ts';
import { deadlineOf } from './patience.ts';
import type { Settled } from './prepare-here.ts';
import { JSON_HEADERS } from './response.ts';
import type { Transactions } from './transactions.ts';

export interface ImportDeskOptions {
  readonly replica: () => Replica;
  readonly transactions: Transactions;
  /** Repeats what waits, and makes the response; see PartitionServer. */
  readonly answer: (incoming: Request, attempt: () => Promise<ExecuteOutcome>) => Promise<Response>;
  /** Does work in the next group. */
  readonly perform: (work: Work, deadline: number) => Promise<Settled>;
  /** Rows have come in. */
  readonly inserted: () => void;
}

/** Chunks of imports: each by itself, or as a transaction over partitions where its rows have entries in indexes. */
export class ImportDesk {
  readonly #options: ImportDeskOptions;

  constructor(options: ImportDeskOptions) {
    this.#options = options;
  }

  async chunk(incoming: Request): Promise<Response> {
    const chunk = decodeImportChunk(await incoming.text());
    const { spread } = chunk.head;
    if (spread !== undefined) return this.#spread(chunk, spread, deadlineOf(incoming));
    const { replica, answer, inserted } = this.#options;
    return answer(incoming, async () => {
      const outcome = replica().importChunk(chunk.head, chunk.rows, Date.now());
      inserted();
      return outcome;
    });
  }

  async #spread(chunk: ImportChunk, spread: ImportSpread, deadline: number): Promise<Response> {
    const { replica, transactions, inserted } = this.#options;
    const { epoch, schema, system } = chunk.head;
    const { partition } = replica().identity;
    const part = { partition, epoch, read: false, statements: [], chunk };
    const parts = claiming(part, spread.ring, chunkIds(replica(), chunk).map(String), this.#tableOf(chunk));
    const request: TransactRequest = { ...spread, schema, system, parts };
    try {
      const transacted = await transactions.transact(request, deadline);
      if (transacted.kind === 'stale') return Response.json(transacted.newer, { status: 421 });
      inserted();
      // Its own is the first: entries of other chunks' rows that it has are of later waves.
      const own = transacted.reply.replies.find((each) => each.partition === partition);
      return new Response(present(own, 'an anchor has a part').reply, { headers: JSON_HEADERS });
    } catch (error) {
      throw await this.#named(chunk, error, deadline);
    }
  }

  #tableOf({ head }: ImportChunk): TableId | null {
    return this.#options.replica().schema.table(head.table)?.id ?? null;
  }

  /** A value that is another partition's is refused there, where nobody knows of lines. */
  async #named(chunk: ImportChunk, error: unknown, deadline: number): Promise<unknown> {
    if (!(error instanceof AtollError) || error.code !== 'constraint' || error.detail?.line !== undefined)
      return error;
    assert(error.outcome === 'none', 'what is refused is not applied');
    const { replica, perform } = this.#options;
    const outcome = await perform(refusedWork(replica(), chunk, error), deadline);
    return outcome.kind === 'error' ? outcome.error : error;
  }
}

/** Every partition is asked for the ids of the chunk's rows. */
function claiming(
  own: TransactionPart,
  ring: readonly RingRange[],
  ids: readonly string[],
  table: TableId | null,
): TransactionPart[] {
  if (ids.length === 0 || table === null) return [own];
  const epochs = new Map(ring.map(([, partition, epoch]) => [partition, epoch]));
  epochs.delete(own.partition);
  const others = [...epochs].map(([partition, epoch]): TransactionPart => {
    return { partition, epoch, read: false, statements: [], ids: [{ table, here: [], elsewhere: ids }] };
  });
  return [{ ...own, ids: [{ table, here: ids, elsewhere: [] }] }, ...others];
}
