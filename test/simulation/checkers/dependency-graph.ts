import { present } from '../../../src/base/assert.ts';
import type { Id } from './history.ts';

/**
 * Why one transaction is before another. `ww`: its write comes first in a key's order. `wr`: the other read its write.
 * `rw`: the other wrote what it did not see yet (an anti-dependency). `rt`: it had returned before the other's call.
 */
export type EdgeKind = 'ww' | 'wr' | 'rw' | 'rt';

export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKind;
  /** The key, and the write that the edge is about; null for `rt`. */
  readonly about: { readonly key: Id; readonly value: Id } | null;
}

/** Edges that lead back to where they start. */
export type Cycle = readonly Edge[];

/** Edges looked at in one search for cycles: beyond that the shortest so far will do. Chosen: about a second. */
const VISITS_MAX = 20_000_000;

/** Transactions by number, and which must be before which. */
export class DependencyGraph {
  readonly #out: Edge[][];

  constructor(nodes: number) {
    this.#out = Array.from({ length: nodes }, () => []);
  }

  /** An edge to itself says nothing. */
  add(edge: Edge): void {
    if (edge.from !== edge.to) present(this.#out[edge.from], 'a node').push(edge);
  }

  edgesFrom(node: number): readonly Edge[] {
    return present(this.#out[node], 'a node');
  }

  /**
   * The shortest cycles that begin with an edge of kind `first` and go on with edges of the kinds `rest`, one for each
   * name that `nameOf` gives them. If there is a cycle at all, at least one is found, whatever it takes.
   */
  shortestCycles<Name>(
    first: EdgeKind,
    rest: ReadonlySet<EdgeKind>,
    nameOf: (cycle: Cycle) => Name,
  ): ReadonlyMap<Name, Cycle> {
    const components = this.#components(new Set([...rest, first]));
    const search = new Search(this, components, rest);
    const found = new Map<Name, Cycle>();
    for (const edge of this.#edgesWithin(components)) {
      if (edge.kind !== first) continue;
      if (search.visits > VISITS_MAX) break;
      const back = search.path(edge.to, edge.from);
      if (back === null) continue;
      const cycle = [edge, ...back];
      const name = nameOf(cycle);
      if (cycle.length < (found.get(name)?.length ?? Number.POSITIVE_INFINITY)) found.set(name, cycle);
    }
    return found;
  }

  *#edgesWithin(components: Int32Array): Generator<Edge> {
    for (const edges of this.#out)
      for (const edge of edges) if (components[edge.from] === components[edge.to]) yield edge;
  }

  /** The strongly connected component of each node: R. Tarjan, Depth-first search and linear graph algorithms (1972). */
  #components(kinds: ReadonlySet<EdgeKind>): Int32Array {
    const nodes = this.#out.length;
    const component = new Int32Array(nodes).fill(-1);
    const order = new Int32Array(nodes).fill(-1);
    const low = new Int32Array(nodes);
    const stack: number[] = [];
    // The recursion, kept by hand: histories are deeper than the runtime's stack.
    const path: { readonly node: number; next: number }[] = [];
    let count = 0;
    const enter = (node: number): void => {
      order[node] = low[node] = count++;
      stack.push(node);
      path.push({ node, next: 0 });
    };
    const lower = (node: number, to: number): void => {
      low[node] = Math.min(at(low, node), to);
    };
    for (let root = 0; root < nodes; root++) {
      if (order[root] === -1) enter(root);
      for (let frame = path.at(-1); frame !== undefined; frame = path.at(-1)) {
        const { node } = frame;
        const edge = this.edgesFrom(node)[frame.next++];
        if (edge !== undefined) {
          if (!kinds.has(edge.kind)) continue;
          if (order[edge.to] === -1) enter(edge.to);
          else if (component[edge.to] === -1) lower(node, at(order, edge.to));
          continue;
        }
        path.pop();
        const parent = path.at(-1);
        if (parent !== undefined) lower(parent.node, at(low, node));
        if (low[node] !== order[node]) continue;
        for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
          component[member] = node;
          if (member === node) break;
        }
      }
    }
    return component;
  }
}

/** Breadth-first searches within components; their arrays are used again by the next one. */
class Search {
  visits = 0;
  readonly #graph: DependencyGraph;
  readonly #components: Int32Array;
  readonly #kinds: ReadonlySet<EdgeKind>;
  readonly #cameBy: (Edge | undefined)[];
  readonly #seenIn: Int32Array;
  #round = 0;

  constructor(graph: DependencyGraph, components: Int32Array, kinds: ReadonlySet<EdgeKind>) {
    this.#graph = graph;
    this.#components = components;
    this.#kinds = kinds;
    this.#cameBy = new Array(components.length);
    this.#seenIn = new Int32Array(components.length);
  }

  path(start: number, end: number): Edge[] | null {
    const round = ++this.#round;
    const queue = [start];
    this.#seenIn[start] = round;
    for (let node = queue[0], i = 0; node !== undefined; node = queue[++i]) {
      if (node === end) return this.#walkBack(start, end);
      for (const edge of this.#graph.edgesFrom(node)) {
        this.visits++;
        if (!this.#kinds.has(edge.kind) || this.#seenIn[edge.to] === round) continue;
        if (this.#components[edge.to] !== this.#components[start]) continue;
        this.#seenIn[edge.to] = round;
        this.#cameBy[edge.to] = edge;
        queue.push(edge.to);
      }
    }
    return null;
  }

  #walkBack(start: number, end: number): Edge[] {
    const path: Edge[] = [];
    for (let node = end; node !== start; ) {
      const edge = present(this.#cameBy[node], 'an edge to each node of the path');
      path.push(edge);
      node = edge.from;
    }
    return path.reverse();
  }
}

function at(numbers: Int32Array, index: number): number {
  return present(numbers[index], 'a node');
}
