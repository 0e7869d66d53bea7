import type { CommitId } from '../../src/base/brand.ts';
import type { Replica } from '../../src/core/replica/replica.ts';
import { advance, answer, compare, type Tree } from '../../src/core/replication/merkle.ts';
import { MerkleScan } from '../../src/core/replication/merkle-scan.ts';
import type { Outside } from './agent-copy.ts';

interface Side {
  /** The replica as it was when this began; null once its process has ended. */
  readonly replica: () => Replica | null;
  readonly begun: Replica;
  readonly scan: MerkleScan;
  tree: Tree | 'gone' | null;
}

/** Compares a copy with its leader in the background, as hosts do, while both go on: nothing must differ. */
export class Comparing {
  readonly #outside: Outside;
  #sides: readonly Side[] = [];
  #what = '';

  constructor(outside: Outside) {
    this.#outside = outside;
  }

  begin(what: string, leader: () => Replica | null, copy: () => Replica | null): void {
    if (this.#sides.length > 0) return;
    const both = [leader, copy].map((replica) => ({ replica, begun: replica() }));
    const at = Math.min(...both.map(({ begun }) => begun?.last.commit ?? 0)) as CommitId;
    this.#what = `${what} at ${at}`;
    this.#sides = both.flatMap(({ replica, begun }) =>
      begun === null ? [] : [{ replica, begun, scan: new MerkleScan(begun, at), tree: null }],
    );
    if (this.#sides.length < 2) this.#sides = [];
  }

  /** A step of one side, in which the other may go on. */
  step(): void {
    const { random, coverage, note } = this.#outside;
    if (this.#sides.length === 0) return;
    const side = random.pick(this.#sides);
    if (side.replica() !== side.begun) side.tree = 'gone';
    else side.tree ??= side.scan.step(random.pick([200, 2000, 100_000]));
    const [leader, copy] = this.#sides.map(({ tree }) => tree);
    if (leader === 'gone' || copy === 'gone') {
      coverage.comparisonsGone++;
      this.#sides = [];
    } else if (leader != null && copy != null) {
      note(`compared ${this.#what}`);
      coverage.comparisons++;
      this.#sides = [];
      this.#judge(leader, copy);
    }
  }

  #judge(leader: Tree, copy: Tree): void {
    let comparison = compare(copy);
    while (comparison.question.length > 0)
      comparison = advance(copy, comparison, answer(leader, comparison.question));
    if (comparison.differing.length > 0)
      throw new Error(`${this.#what}: it differs in ${JSON.stringify(comparison.differing)}`);
  }
}
