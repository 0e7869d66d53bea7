import { present } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import type { Replica } from '../../core/replica/replica.ts';
import { advance, type Comparison, compare, type Tree } from '../../core/replication/merkle.ts';
import { MerkleScan } from '../../core/replication/merkle-scan.ts';
import { readPosition } from '../../core/replication/position.ts';
import type { ComparisonStep } from './calls.ts';

/** A comparison of this replica with another one: its own rows counted, then questions about what differs. */
export class Comparing {
  readonly at: CommitId;
  readonly #scan: MerkleScan;
  #tree: Tree | null = null;
  #comparison: Comparison | null = null;

  constructor(replica: Replica) {
    this.at = readPosition(replica.port).commitId;
    this.#scan = new MerkleScan(replica, this.at);
  }

  /** One bounded step. */
  count(): 'counting' | 'counted' | 'gone' {
    const tree = this.#scan.step();
    if (tree === 'gone') return 'gone';
    this.#tree = tree;
    return tree === null ? 'counting' : 'counted';
  }

  /** Goes on with the other side's digests; null begins. */
  compare(theirs: readonly (string | null)[] | null): ComparisonStep {
    const tree = present(this.#tree, 'rows are counted before they are compared');
    this.#comparison =
      theirs === null
        ? compare(tree)
        : advance(tree, present(this.#comparison, 'a comparison that has begun'), theirs);
    const { question, differing } = this.#comparison;
    return { tables: tree.size, question, differing };
  }
}
