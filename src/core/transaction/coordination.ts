import type { PartitionId, Timestamp } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { StalePartition } from '../../protocol/network.ts';
import type { Escapes, TransactReply, Vote } from '../../protocol/transaction.ts';

export type Ruling =
  | { readonly kind: 'waiting' }
  /** All have voted yes. `participants`: who has something to apply; `preparedAt`: the latest prepare. */
  | {
      readonly kind: 'commit';
      readonly participants: readonly PartitionId[];
      readonly preparedAt: Timestamp | null;
    }
  /** For good, whatever the others vote. */
  | { readonly kind: 'abort'; readonly reason: AtollError | StalePartition };

/**
 * An anchor's tally of one attempt: all must vote yes, and the first that does not ends it. In memory alone, for without a
 * logged decision an attempt counts as aborted (presumed abort: Mohan, Lindsay, Obermarck, "Transaction Management in
 * the R* Distributed Database Management System", ACM TODS 11(4), 1986, section 3). What the votes of one wave of prepares
 * say to belong elsewhere is prepared there in the next.
 */
export class Coordination {
  readonly #missing: Set<PartitionId>;
  readonly #participants = new Set<PartitionId>();
  readonly #replies: { partition: PartitionId; reply: string }[] = [];
  #escapes: Escapes[] = [];
  #preparedAt: Timestamp | null = null;
  #abort: Ruling | null = null;
  readonly #violated = new Set<PartitionId>();

  constructor(participants: readonly PartitionId[]) {
    this.#missing = new Set(participants);
  }

  /** What all votes since the last call say to belong elsewhere. */
  takeEscapes(): readonly Escapes[] {
    const escapes = this.#escapes;
    this.#escapes = [];
    return escapes;
  }

  /** Another wave: these must vote too, or once more. */
  expect(partitions: Iterable<PartitionId>): void {
    for (const partition of partitions) this.#missing.add(partition);
  }

  /** A participant has voted, or it is not known whether it has: an error stands for no. */
  voted(partition: PartitionId, vote: Vote | AtollError): Ruling {
    this.#missing.delete(partition);
    if (vote instanceof AtollError) this.#abort ??= { kind: 'abort', reason: refused(vote) };
    else if (vote.vote === 'stale') this.#abort ??= { kind: 'abort', reason: vote.newer };
    else {
      this.#replies.push({ partition, reply: vote.reply });
      if (!vote.read) this.#participants.add(partition);
      if (vote.violated === true) this.#violated.add(partition);
      else this.#violated.delete(partition);
      if (vote.escapes !== undefined) this.#escapes.push(vote.escapes);
      if (this.#preparedAt === null || vote.preparedAt > this.#preparedAt) this.#preparedAt = vote.preparedAt;
    }
    return this.ruling;
  }

  get ruling(): Ruling {
    if (this.#abort !== null) return this.#abort;
    if (this.#missing.size > 0) return { kind: 'waiting' };
    return { kind: 'commit', participants: [...this.#participants], preparedAt: this.#preparedAt };
  }

  /** Whether by some participant's last vote a foreign key does not hold. */
  get violated(): boolean {
    return this.#violated.size > 0;
  }

  /** What the participants have answered, in order of waves. */
  get replies(): TransactReply['replies'] {
    return this.#replies;
  }
}

/** Whatever a participant has failed with, nothing is applied: there is no decision. */
function refused({ code, message, detail }: AtollError): AtollError {
  const shown =
    code === 'internal' || code === 'unknown-outcome' || code === 'timeout' ? 'unavailable' : code;
  return new AtollError(shown, message, 'none', detail ?? undefined);
}
