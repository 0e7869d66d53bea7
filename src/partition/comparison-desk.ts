import type { CommitId } from '../base/brand.ts';
import type { Replica } from '../core/replica/replica.ts';
import { ComparisonSource } from '../core/replication/comparison-source.ts';
import { isNode } from '../core/replication/merkle.ts';
import { AtollError } from '../protocol/error.ts';
import { Compare, type CompareReply, replicationMessage } from '../protocol/replication.ts';
import type { CallHandler } from '../rpc/link.ts';
import { readHead } from '../rpc/read-head.ts';

/** Followers compare their rows with those of the partition that is led here: {@link ComparisonSource} over links and a timer. */
export class ComparisonDesk {
  readonly #source: ComparisonSource;
  #forgetting: ReturnType<typeof setTimeout> | null = null;

  constructor(replica: () => Replica) {
    this.#source = new ComparisonSource(replica);
  }

  readonly calls: Readonly<Record<string, CallHandler>> = {
    [replicationMessage.compare]: ({ head }, { host }) => {
      const { at, question } = readHead(Compare, 'compare', head);
      if (!question.every(isNode)) {
        throw new AtollError('bad-request', "'compare', question: no node of the tree", 'none');
      }
      const reply = this.#source.ask(host, at as CommitId, question, Date.now()) as CompareReply;
      this.#forgetLater();
      return { head: reply, data: new Uint8Array(0) };
    },
  };

  /** A follower that is gone does not say so: what was counted for it must not stay in memory. */
  #forgetLater(): void {
    const { expiresAt } = this.#source;
    if (this.#forgetting !== null || expiresAt === null) return;
    this.#forgetting = setTimeout(
      () => {
        this.#forgetting = null;
        this.#source.expire(Date.now());
        this.#forgetLater();
      },
      Math.max(1, expiresAt - Date.now()),
    );
  }
}
