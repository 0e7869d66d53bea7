import { asciiLower } from '../../../base/ascii.ts';
import type { Expression, FunctionCall, SelectCore, Values, WindowDefinition } from '../ast.ts';
import { columnOf } from './facts.ts';
import type { ColumnNode, ReachGraph } from './graph.ts';
import { type Anchor, nodeOf, type Output, type PartitionedUse, type Scope, type Source } from './model.ts';

export interface AnchorQuestion {
  readonly ast: SelectCore | Values;
  readonly scope: Scope;
  readonly outputs: readonly Output[];
  readonly aggregates: readonly FunctionCall[];
  readonly windows: readonly FunctionCall[];
  readonly uses: readonly PartitionedUse[];
  readonly graph: ReachGraph;
}

/** The key by which one SELECT falls apart: by its FROM and WHERE, and then by what is made of those rows. */
export function anchorOfCore(question: AnchorQuestion): Anchor {
  const rows = anchorOfRows(question);
  if (rows.kind !== 'nodes' || question.ast.kind !== 'select-core') return rows;
  const why = breaksAnchor(question.ast, rows.nodes, question);
  return why === null ? rows : { kind: 'none', why };
}

/**
 * The key by which the rows of FROM and WHERE fall apart: that of a source which no outer join NULL-fills, if
 * every other partitioned table is restricted to the same key value with it.
 */
export function anchorOfRows({ scope, uses, graph }: AnchorQuestion): Anchor {
  if (uses.length === 0) return { kind: 'none', why: 'it reads no partitioned table' };
  for (const source of scope.sources) {
    const nodes = source.nullable ? null : keyOf(source, uses);
    if (nodes !== null && coversAll(nodes, uses, graph)) return { kind: 'nodes', nodes };
  }
  const names = [...new Set(uses.map((use) => `"${use.table.name}"`))];
  let why = `${names.join(', ')} are not joined on equal partition keys`;
  if (names.length === 1) {
    why =
      uses.length > 1
        ? `${names[0]} is read several times, not only where its partition keys are equal`
        : `rows of ${names[0]} are NULL-filled by an outer join, or read by a subquery as a whole`;
  }
  return { kind: 'none', why };
}

function keyOf(source: Source, uses: readonly PartitionedUse[]): readonly ColumnNode[] | null {
  if (source.table !== null) return uses.find((use) => use.source === source)?.key ?? null;
  const anchor = source.select?.anchor;
  if (anchor === undefined || anchor.kind === 'none') return null;
  if (anchor.kind === 'nodes') return anchor.nodes;
  return anchor.outputs.map((i) => nodeOf(source, source.columns[i]?.name ?? ''));
}

/** Whether restricting `nodes` to one value each restricts the key of every use to the same. */
function coversAll(
  nodes: readonly ColumnNode[],
  uses: readonly PartitionedUse[],
  graph: ReachGraph,
): boolean {
  const reached = nodes.map((node) => graph.reachedFrom(node));
  return uses.every(
    (use) => use.key.length === nodes.length && use.key.every((node, i) => reached[i]?.has(node) === true),
  );
}

/** Why grouping, DISTINCT, windows or aggregates mix rows of several keys; null if they do not. */
function breaksAnchor(
  ast: SelectCore,
  nodes: readonly ColumnNode[],
  question: AnchorQuestion,
): string | null {
  const { scope, aggregates, windows, outputs, graph } = question;
  if (ast.groupBy !== null) {
    if (!holdsKey(groupNodes(ast, question), nodes, graph))
      return 'GROUP BY does not contain the partition key';
  } else if (aggregates.length > 0 || ast.having !== null) {
    return 'an aggregate without GROUP BY is over all rows';
  }
  for (const call of windows) {
    if (!holdsKey(windowNodes(call, ast, scope), nodes, graph)) {
      return `the PARTITION BY of ${call.function}() does not contain the partition key`;
    }
  }
  if (!ast.distinct) return null;
  const plain = outputs.filter((output) => !output.nullable).map((output) => output.node);
  return holdsKey(plain, nodes, graph) ? null : 'DISTINCT is over columns without the partition key';
}

/** Whether each key column, or a column that is equal to it wherever it matters, is among `columns`. */
export function holdsKey(
  columns: readonly (ColumnNode | null)[],
  key: readonly ColumnNode[],
  graph: ReachGraph,
): boolean {
  return key.every((node) => {
    const reached = graph.reachedFrom(node);
    return columns.some((column) => column !== null && reached.has(column));
  });
}

function groupNodes(ast: SelectCore, { scope, outputs }: AnchorQuestion): (ColumnNode | null)[] {
  return (ast.groupBy ?? []).map((expression) => {
    if (expression.kind === 'literal' && expression.type === 'integer') {
      const output = outputs[Number(expression.value) - 1];
      return output === undefined || output.nullable ? null : output.node;
    }
    return firmNode(expression, scope);
  });
}

function windowNodes(call: FunctionCall, ast: SelectCore, scope: Scope): (ColumnNode | null)[] {
  let over = call.over;
  const nodes: (ColumnNode | null)[] = [];
  // A window may stand on a named one, which may stand on another.
  for (let steps = 0; over !== null && steps < 100; steps++) {
    const name: string | undefined = over.kind === 'identifier' ? over.name : over.base?.name;
    if (over.kind === 'window') for (const e of over.partitionBy ?? []) nodes.push(firmNode(e, scope));
    over = name === undefined ? null : namedWindow(ast, name);
  }
  return nodes;
}

function namedWindow(ast: SelectCore, name: string): WindowDefinition | null {
  const found = (ast.windows ?? []).find((w) => asciiLower(w.name.name) === asciiLower(name));
  return found?.definition ?? null;
}

/** The node of a plain column that no outer join NULL-fills. */
export function firmNode(expression: Expression, scope: Scope): ColumnNode | null {
  const column = columnOf(expression, scope);
  if (column === null || column.depth > 0 || column.source.nullable) return null;
  return nodeOf(column.source, column.name);
}
