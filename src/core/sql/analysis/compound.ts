import type { Select } from '../ast.ts';
import { type ReachGraph, sameClass } from './graph.ts';
import type { Anchor, CoreModel, Output } from './model.ts';

/**
 * The key by which a compound falls apart. UNION ALL and UNION do if every arm does and the key stands in the
 * same result columns of each arm: equal rows then have equal keys.
 */
export function anchorOfCompound(select: Select, cores: readonly CoreModel[], graph: ReachGraph): Anchor {
  if (select.compounds.some(({ operator }) => operator === 'EXCEPT' || operator === 'INTERSECT')) {
    return { kind: 'none', why: 'EXCEPT and INTERSECT compare all rows' };
  }
  const places = cores.map((core) => keyOutputs(core, graph));
  const [first] = places;
  if (first === undefined || first === null) {
    return { kind: 'none', why: 'the first arm of the UNION does not show the partition key' };
  }
  const outputs = first.map((candidates, i) =>
    [...candidates].find((j) =>
      places.every((place) => place?.[i]?.has(j) === true && sameOutputs(cores, j)),
    ),
  );
  if (outputs.every((output) => output !== undefined)) return { kind: 'outputs', outputs };
  return { kind: 'none', why: 'the arms of the UNION do not show the partition key in the same column' };
}

/** For each key column of an arm, the result columns that hold it; null: the arm does not fall apart. */
function keyOutputs(core: CoreModel, graph: ReachGraph): Set<number>[] | null {
  if (core.anchor.kind !== 'nodes') return null;
  return core.anchor.nodes.map((node) => {
    const reached = graph.reachedFrom(node);
    const found = new Set<number>();
    core.outputs.forEach((output, j) => {
      if (output.node !== null && !output.nullable && reached.has(output.node)) found.add(j);
    });
    return found;
  });
}

function sameOutputs(cores: readonly CoreModel[], j: number): boolean {
  const classes = cores.map((core) => classOfOutput(core.outputs[j]));
  const [first] = classes;
  return classes.every((c) => c !== null && first !== null && first !== undefined && sameClass(c, first));
}

function classOfOutput(output: Output | undefined): Parameters<typeof sameClass>[0] | null {
  if (output === undefined || output.affinity === null) return null;
  return { affinity: output.affinity, collation: output.collation ?? 'BINARY' };
}
