import type { Table } from '../schema/table.ts';
import type { Analyzer } from '../sql/analysis/analyzer.ts';
import { sameClass } from '../sql/analysis/graph.ts';
import { keyClassesOf } from '../sql/analysis/key-class.ts';
import type { PartitionedUse } from '../sql/analysis/model.ts';
import type { KeyClass, Tables } from './plan.ts';

/** What a statement touches; `written` is its target, which an INSERT does not count as a use. */
export function tablesOf(analyzer: Analyzer, written: Table | null): Tables {
  const partitioned = new Set(analyzer.uses.map((use) => use.table.name));
  const reference = new Set(analyzer.referenceTables);
  if (written !== null) (written.placement.kind === 'reference' ? reference : partitioned).add(written.name);
  return { partitioned: [...partitioned], reference: [...reference] };
}

/** Whether equal keys of all the tables live in the same partition: same number of columns, affinities, collations. */
export function colocated(classes: readonly KeyClass[], uses: readonly PartitionedUse[]): boolean {
  return uses.every(
    (use) =>
      use.classes.length === classes.length &&
      use.classes.every((own, i) => sameClass(own, classes[i] as KeyClass)),
  );
}

export { keyClassesOf };

/** For messages: `"tenant", "id"`. */
export function keyNames(table: Table): string {
  return table.placement.kind === 'partitioned'
    ? table.placement.key.map((name) => `"${name}"`).join(', ')
    : '';
}
