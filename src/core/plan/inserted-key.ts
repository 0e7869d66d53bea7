import { isPartitionedById } from '../schema/keyed-by-id.ts';
import type { Table } from '../schema/table.ts';
import { type Constant, constantKey } from '../sql/analysis/constant.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import type { Expression } from '../sql/ast.ts';
import { keyColumns } from './change.ts';
import type { KeyTuple } from './plan.ts';
import { type Layout, valueIn } from './row-values.ts';

/** Each once, without the generated ones. */
export function distinctKeys(keys: readonly (KeyTuple | null)[]): KeyTuple[] {
  const distinct = new Map<string, KeyTuple>();
  for (const key of keys) if (key !== null) distinct.set(key.map(constantKey).join('|'), key);
  return [...distinct.values()];
}

export function equalTuples(a: KeyTuple, b: KeyTuple): boolean {
  return (
    a.length === b.length && a.every((source, i) => constantKey(source) === constantKey(b[i] as Constant))
  );
}

/** The row's key; null: the executing partition generates it. */
export function keyOfRow(layout: Layout, row: readonly Expression[]): KeyTuple | null {
  const { table } = layout;
  const key = keyColumns(table).map((name) => keyValue(layout, name, row));
  const [only] = key;
  const isNull = only !== undefined && only.kind === 'literal' && only.value === null;
  return isPartitionedById(table) && isNull ? null : key;
}

function keyValue(layout: Layout, name: string, row: readonly Expression[]): Constant {
  const value = valueIn(layout, name, row);
  if (value !== null) return value;
  const { table, places } = layout;
  if (!places.has(name)) return refuseDefault(table, name);
  return refuse(
    'unsupported',
    `the partition key "${name}" of "${table.name}" must be a literal or a parameter here, not an expression`,
  );
}

export function refuseDefault(table: Table, name: string): never {
  return refuse(
    'unsupported',
    `the default of the partition key "${name}" of "${table.name}" is not a plain constant: insert its value`,
  );
}
