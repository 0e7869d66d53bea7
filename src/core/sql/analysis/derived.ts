import { asciiLower } from '../../../base/ascii.ts';
import type { ReachGraph } from './graph.ts';
import type { SelectModel } from './model.ts';

export function asRecursive(model: SelectModel): SelectModel {
  return {
    ...model,
    recursive: true,
    anchor: { kind: 'none', why: 'a recursive WITH table is over all rows' },
  };
}

/** Inner columns that are restricted when the select's i-th column is. */
export function innerNodes(select: SelectModel, i: number, graph: ReachGraph): string[] {
  const { anchor } = select;
  if (anchor.kind === 'nodes') {
    const output = select.outputs[i];
    if (output === undefined || output.node === null || output.nullable) return [];
    const { node } = output;
    return anchor.nodes.filter((key) => graph.reachedFrom(key).has(node));
  }
  if (anchor.kind === 'none') return [];
  const position = anchor.outputs.indexOf(i);
  if (position < 0) return [];
  return select.cores.flatMap((core) =>
    core.anchor.kind === 'nodes' ? [core.anchor.nodes[position] as string] : [],
  );
}

/** As sqlite3ColumnsFromExprList: `a`, `a:1`, `a:2`. */
export function uniqueName(name: string, taken: Set<string>): string {
  let unique = name;
  for (let i = 1; taken.has(asciiLower(unique)); i++) unique = `${name}:${i}`;
  taken.add(asciiLower(unique));
  return unique;
}
