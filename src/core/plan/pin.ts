import type { Constant } from '../sql/analysis/constant.ts';
import type { ConstantSet, ReachGraph } from '../sql/analysis/graph.ts';
import type { PartitionedUse } from '../sql/analysis/model.ts';
import type { KeyClass, KeyTuple } from './plan.ts';
import { colocated } from './tables.ts';

/** Chosen: `IN` lists over several key columns multiply; beyond it the statement goes to all partitions. */
const MAX_TUPLES = 256;

export interface Pinned {
  readonly columns: readonly KeyClass[];
  readonly tuples: readonly KeyTuple[];
}

/**
 * The key values to which every use is restricted, or null. With one tuple the statement needs only that key's
 * partition; several (from IN) say so of each row, but not of the statement: only a scatter may use them.
 */
export function pinOf(uses: readonly PartitionedUse[], graph: ReachGraph): Pinned | null {
  const [first] = uses;
  if (first === undefined || !colocated(first.classes, uses)) return null;
  let tuples: Constant[][] = [[]];
  for (let i = 0; i < first.key.length; i++) {
    const [best] = commonConstants(uses, i, graph);
    if (best === undefined) return null;
    tuples = tuples.flatMap((tuple) => best.members.map((member) => [...tuple, member]));
    if (tuples.length > MAX_TUPLES) return null;
  }
  return { columns: first.classes, tuples };
}

/** Constants to which the i-th key column of every use is restricted; fewest members first. */
function commonConstants(uses: readonly PartitionedUse[], i: number, graph: ReachGraph): ConstantSet[] {
  let common: ConstantSet[] | null = null;
  for (const use of uses) {
    const own = graph.constantsOf(use.key[i] as string);
    common = common === null ? own : common.filter((set) => own.some((other) => other.key === set.key));
  }
  return common ?? [];
}
