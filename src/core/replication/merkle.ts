import { assert } from '../../base/assert.ts';

/**
 * Comparison of replicas by trees of digests (R. Merkle, 1987; over ranges of tokens as in Dynamo, SOSP 2007, section 4.7).
 * Of each table the rows are parted by the token of their key, which is the same everywhere and independent of
 * collations; a leaf's digest is the sum of its rows' fingerprints, so that rows may be counted in any order and taken
 * out again. It finds differences that mean no harm; it is no signature.
 */

/** Children of a node, and levels below the root (chosen: 16 KiB of sums a table; a million rows are 1000 a leaf). */
const FANOUT = 32;
const DEPTH = 2;
export const LEAVES = FANOUT ** DEPTH;
/** Lanes of a fingerprint. */
const LANES = 4;
const TOKENS = 2 ** 32;

/** Nodes in one question (chosen: about 64 KiB). */
export const QUESTION_MAX = 1024;

/** Sums of one table, by leaf. */
export class TableDigest {
  readonly table: string;
  readonly #lanes = new Uint32Array(LEAVES * LANES);

  constructor(table: string) {
    this.table = table;
  }

  /** Counts a row, or takes it out; `fingerprint` is 32 hex digits. */
  add(token: number, fingerprint: string, sign: 1 | -1): void {
    const leaf = Math.floor(token / (TOKENS / LEAVES));
    for (let lane = 0; lane < LANES; lane++) {
      const at = leaf * LANES + lane;
      const value = Number.parseInt(fingerprint.slice(lane * 8, lane * 8 + 8), 16);
      this.#lanes[at] = (this.#lanes[at] ?? 0) + sign * value;
    }
  }

  /** Of the leaves below a node. Sums of sums: equal for equal rows. */
  digest({ level, index }: TreeNode): string {
    const width = FANOUT ** (DEPTH - level);
    const sums = new Uint32Array(LANES);
    for (let leaf = index * width; leaf < (index + 1) * width; leaf++)
      for (let lane = 0; lane < LANES; lane++)
        // Weighted by place: the same row in another leaf is a difference.
        sums[lane] = (sums[lane] ?? 0) + Math.imul(this.#lanes[leaf * LANES + lane] ?? 0, 2 * leaf + 1);
    return [...sums].map((word) => word.toString(16).padStart(8, '0')).join('');
  }
}

/** Digests of a replica's tables at one commit. */
export type Tree = ReadonlyMap<string, TableDigest>;

/** Level 0 is a table's root; `index` counts the level's nodes by token. */
export interface TreeNode {
  readonly table: string;
  readonly level: number;
  readonly index: number;
}

/** Rows of a table whose key has a token from `start` up to, not including, `end`. */
export interface TokenRange {
  readonly table: string;
  readonly start: number;
  readonly end: number;
}

/** Where a comparison is: what to ask the other side next (nothing: it is done), and what was found. */
export interface Comparison {
  readonly question: readonly TreeNode[];
  readonly waiting: readonly TreeNode[];
  readonly differing: readonly TokenRange[];
}

/** The answer to a question, in its order; null for a table that is not here. */
export function answer(tree: Tree, question: readonly TreeNode[]): (string | null)[] {
  return question.map((node) => {
    assert(isNode(node), 'a node of the tree');
    return tree.get(node.table)?.digest(node) ?? null;
  });
}

export function compare(tree: Tree): Comparison {
  return asking(
    [...tree.keys()].map((table) => ({ table, level: 0, index: 0 })),
    [],
  );
}

/** Goes on with the other side's answer. */
export function advance(
  tree: Tree,
  { question, waiting, differing }: Comparison,
  theirs: readonly (string | null)[],
): Comparison {
  assert(theirs.length === question.length, 'an answer to each question');
  const own = answer(tree, question);
  const unequal = question.filter((_, i) => own[i] !== theirs[i]);
  const leaves = unequal.filter(({ level }) => level === DEPTH);
  const children = unequal.filter(({ level }) => level < DEPTH).flatMap(childrenOf);
  return asking([...children, ...waiting], joined([...differing, ...leaves.map(rangeOf)]));
}

function asking(nodes: readonly TreeNode[], differing: readonly TokenRange[]): Comparison {
  return { question: nodes.slice(0, QUESTION_MAX), waiting: nodes.slice(QUESTION_MAX), differing };
}

function childrenOf({ table, level, index }: TreeNode): TreeNode[] {
  return Array.from({ length: FANOUT }, (_, i) => ({ table, level: level + 1, index: index * FANOUT + i }));
}

function rangeOf({ table, index }: TreeNode): TokenRange {
  const width = TOKENS / LEAVES;
  return { table, start: index * width, end: (index + 1) * width };
}

/** Neighbours as one. */
function joined(ranges: readonly TokenRange[]): TokenRange[] {
  const sorted = [...ranges].sort((a, b) =>
    a.table < b.table ? -1 : a.table > b.table ? 1 : a.start - b.start,
  );
  const result: TokenRange[] = [];
  for (const range of sorted) {
    const before = result.at(-1);
    if (before === undefined || before.table !== range.table || before.end !== range.start)
      result.push(range);
    else result[result.length - 1] = { ...before, end: range.end };
  }
  return result;
}

/** Whether there is such a node in a table's tree. */
export function isNode({ level, index }: TreeNode): boolean {
  return (
    Number.isInteger(level) &&
    level >= 0 &&
    level <= DEPTH &&
    Number.isInteger(index) &&
    index >= 0 &&
    index < FANOUT ** level
  );
}
