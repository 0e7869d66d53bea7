import type { CommitId } from '../../base/brand.ts';
import type { Replica } from '../replica/replica.ts';
import { answer, type Tree, type TreeNode } from './merkle.ts';
import { MerkleScan } from './merkle-scan.ts';

/** Between two steps of counting, ms (chosen: a step takes some, so that two thirds of the time are for requests). */
export const STEP_PAUSE_MS = 10;
/** A comparison that its follower has not asked about for this long has ended, ms (chosen: two heartbeats). */
export const SILENT_MS = 10_000;
/** When all is counted, digests are kept for this long, ms (chosen: asking takes some round trips for each table). */
export const KEPT_MS = 60_000;

/** See `CompareReply` in `src/protocol/replication.ts`. */
export type ComparisonAnswer =
  | { readonly kind: 'counting' | 'busy' | 'gone' }
  | { readonly kind: 'answer'; readonly tables: number; readonly digests: readonly (string | null)[] };

interface Running {
  readonly replica: Replica;
  readonly host: string;
  readonly at: CommitId;
  readonly scan: MerkleScan;
  tree: Tree | null;
  /** Unix ms. */
  steppedAt: number;
  askedAt: number;
  countedAt: number | null;
}

/**
 * The leader's side of a comparison: counts its rows a step at a time, when it is asked, and answers questions about them. One
 * comparison at a time, whose digests (16 KiB a table) are kept while its follower asks. It may be forgotten at any
 * time: the follower's next question begins it anew.
 */
export class ComparisonSource {
  readonly #replica: () => Replica;
  #running: Running | null = null;

  constructor(replica: () => Replica) {
    this.#replica = replica;
  }

  /** `question`: nodes of the tree (`isNode`). Costs at most one step. */
  ask(host: string, at: CommitId, question: readonly TreeNode[], now: number): ComparisonAnswer {
    this.expire(now);
    const running = this.#begun(host, at, now);
    if (running === null) return { kind: 'busy' };
    // Another follower's questions about the same commit do not prolong it.
    if (running.host === host) running.askedAt = now;
    if (running.tree === null) {
      if (now - running.steppedAt < STEP_PAUSE_MS) return { kind: 'counting' };
      const tree = running.scan.step();
      running.steppedAt = now;
      if (tree === 'gone') {
        this.#running = null;
        return { kind: 'gone' };
      }
      if (tree === null) return { kind: 'counting' };
      running.tree = tree;
      running.countedAt = now;
    }
    return { kind: 'answer', tables: running.tree.size, digests: answer(running.tree, question) };
  }

  /** Unix ms when what is kept may be forgotten; null: nothing is kept. */
  get expiresAt(): number | null {
    const running = this.#running;
    if (running === null) return null;
    const { askedAt, countedAt } = running;
    return Math.min(askedAt + SILENT_MS, countedAt === null ? Number.POSITIVE_INFINITY : countedAt + KEPT_MS);
  }

  expire(now: number): void {
    if (this.expiresAt !== null && this.expiresAt <= now) this.#running = null;
    if (this.#running !== null && this.#running.replica !== this.#replica()) this.#running = null;
  }

  /** Null: there is another one. A follower that names another commit has given up its last one. */
  #begun(host: string, at: CommitId, now: number): Running | null {
    if (this.#running !== null && this.#running.at === at) return this.#running;
    if (this.#running !== null && this.#running.host !== host) return null;
    const replica = this.#replica();
    this.#running = {
      replica,
      host,
      at,
      scan: new MerkleScan(replica, at),
      tree: null,
      steppedAt: 0,
      askedAt: now,
      countedAt: null,
    };
    return this.#running;
  }
}
