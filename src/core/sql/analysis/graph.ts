import type { Affinity, Collation } from '../../schema/table.ts';
import { type Constant, constantKey } from './constant.ts';

/**
 * A column of one source, as a node. An edge `a → b` says: where rows are kept only if `a` has a value v, rows of b's
 * source with another value in `b` do not matter, so that they may be absent. From that, by reachability: which
 * sources can be restricted to one partition-key value. (Vitess and Citus call the undirected form equivalence
 * classes; outer joins and subqueries make it directed.)
 */
export type ColumnNode = string;

/** Values that a column is compared with: `= c` has one, `IN (…)` several. */
export interface ConstantSet {
  readonly key: string;
  readonly members: readonly Constant[];
}

export interface ValueClass {
  readonly affinity: Affinity;
  readonly collation: Collation;
}

export function sameClass(a: ValueClass, b: ValueClass): boolean {
  return a.affinity === b.affinity && a.collation === b.collation;
}

export class ReachGraph {
  readonly #edges = new Map<ColumnNode, Set<ColumnNode>>();
  readonly #reverse = new Map<ColumnNode, Set<ColumnNode>>();
  readonly #pins = new Map<ColumnNode, ConstantSet[]>();

  edge(from: ColumnNode, to: ColumnNode): void {
    addTo(this.#edges, from, to);
    addTo(this.#reverse, to, from);
  }

  pin(node: ColumnNode, members: readonly Constant[]): void {
    const set = { key: members.map(constantKey).join('|'), members };
    const pins = this.#pins.get(node);
    if (pins === undefined) this.#pins.set(node, [set]);
    else pins.push(set);
  }

  /** `start` and every column that is restricted with it. */
  reachedFrom(start: ColumnNode): Set<ColumnNode> {
    return closure(start, this.#edges);
  }

  /** The constants that a column is restricted to; any one of them holds. Fewest members first. */
  constantsOf(node: ColumnNode): ConstantSet[] {
    const found = new Map<string, ConstantSet>();
    for (const source of closure(node, this.#reverse)) {
      for (const set of this.#pins.get(source) ?? []) found.set(set.key, set);
    }
    return [...found.values()].sort((a, b) => a.members.length - b.members.length);
  }
}

function addTo(map: Map<ColumnNode, Set<ColumnNode>>, key: ColumnNode, value: ColumnNode): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}

function closure(
  start: ColumnNode,
  edges: ReadonlyMap<ColumnNode, ReadonlySet<ColumnNode>>,
): Set<ColumnNode> {
  const seen = new Set([start]);
  for (const node of seen) for (const next of edges.get(node) ?? []) seen.add(next);
  return seen;
}
