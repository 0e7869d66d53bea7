import { asciiLower } from '../../base/ascii.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import type { UniqueIndex } from '../schema/unique-index.ts';
import type { Analyzer } from '../sql/analysis/analyzer.ts';
import { nodeOf, type PartitionedUse } from '../sql/analysis/model.ts';
import type { Arguments } from './bind.ts';
import type { KeySource, Lookup } from './plan.ts';
import { colocated } from './tables.ts';

/** The first index whose columns the statement compares with constants; null where none helps. */
export function lookupOf({ uses, graph }: Pick<Analyzer, 'uses' | 'graph'>, schema: Schema): Lookup | null {
  if (schema.catalogue.uniques === undefined) return null;
  for (const use of uses) {
    if (!leadsToAll(use, { uses, graph })) continue;
    for (const index of schema.uniquesOf(use.table)) {
      // It may lack entries.
      if (index.state === 'filling') continue;
      const values = valuesOf(use, index, graph);
      if (values !== null)
        return { index: index.table.id, table: use.table.name, columns: index.columns, values };
    }
  }
  return null;
}

/** Whether all other rows that matter have the partition key of this use's row. */
function leadsToAll(use: PartitionedUse, { uses, graph }: Pick<Analyzer, 'uses' | 'graph'>): boolean {
  if (!colocated(use.classes, uses)) return false;
  const reached = use.key.map((node) => graph.reachedFrom(node));
  return uses.every((other) => other === use || other.key.every((node, i) => reached[i]?.has(node) === true));
}

function valuesOf(
  use: PartitionedUse,
  { columns }: UniqueIndex,
  graph: Analyzer['graph'],
): readonly KeySource[] | null {
  const values: KeySource[] = [];
  for (const column of columns) {
    const set = graph.constantsOf(nodeOf(use.source, column)).find(({ members }) => members.length === 1);
    const [constant] = set?.members ?? [];
    if (constant === undefined) return null;
    values.push(constant);
  }
  return values;
}

/** The values with arguments; null where one is NULL, of which there may be many rows. */
export function bindLookup({ values }: Lookup, args: Arguments): SqlValue[] | null {
  const bound = values.map((source) =>
    source.kind === 'literal' ? source.value : (args[source.index - 1] ?? null),
  );
  return bound.includes(null) ? null : bound;
}

/** The key of an entry's row, in its table's declared order. */
export function keyOfEntry(
  { columns, row }: UniqueIndex,
  { placement }: Table,
  entry: readonly SqlValue[],
): SqlValue[] {
  const names = [...columns, ...row].map(asciiLower);
  const key = placement.kind === 'partitioned' ? placement.key : [];
  return key.map((name) => entry[names.indexOf(asciiLower(name))] ?? null);
}
