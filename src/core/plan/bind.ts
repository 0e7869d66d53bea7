import type { PartitionId, Token } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { tokenOfKey } from '../schema/partition-key.ts';
import type { TokenMap } from '../schema/token-map.ts';
import type { InsertRows, KeyClass, KeyTuple, Pin, Targets } from './plan.ts';

/** Arguments by parameter index: `args[i]` belongs to `?(i + 1)`; missing ones are NULL, as in SQLite. */
export type Arguments = readonly SqlValue[];

export type BoundPin =
  | { readonly kind: 'one'; readonly partition: PartitionId }
  /** Any partition will do. */
  | { readonly kind: 'any' }
  /** The tuples belong to several: `multi-partition-write`. */
  | { readonly kind: 'several'; readonly partitions: readonly PartitionId[] };

const ANY: BoundPin = { kind: 'any' };

/** Which partition a route plan's statement runs in. About a microsecond for one key. */
export function bindPin(pin: Pin, args: Arguments, map: TokenMap): BoundPin {
  if (pin.kind !== 'key') return ANY;
  const { columns, tuples, generatesNull } = pin;
  const [only] = tuples;
  if (tuples.length === 1 && only !== undefined) {
    const values = valuesOf(only, args);
    if (generatesNull && values[0] === null) return ANY;
    return { kind: 'one', partition: map.partitionOf(tokenOfKey(values, columns)) };
  }
  const partitions = partitionsOf(columns, tuples, args, map);
  const [partition] = partitions;
  if (partition === undefined) return ANY;
  return partitions.length === 1 ? { kind: 'one', partition } : { kind: 'several', partitions };
}

/** The partitions that a scatter asks, ascending. */
export function bindTargets(targets: Targets, args: Arguments, map: TokenMap): readonly PartitionId[] {
  return targets.kind === 'all' ? map.partitions() : partitionsOf(targets.columns, targets.tuples, args, map);
}

export interface BoundRows {
  readonly partition: PartitionId;
  readonly sql: string;
}

/**
 * An INSERT … VALUES cut by partition; rows keep their order within each. Rows whose key is generated go with
 * the first partition that there is.
 */
export function bindRows(rows: InsertRows, args: Arguments, map: TokenMap): readonly BoundRows[] {
  return [...placesOfRows(rows, args, map)].map(([partition, places]) => {
    const texts = places.map((place) => rows.rows[place]);
    return { partition, sql: rows.prefix + texts.join(', ') + rows.suffix };
  });
}

/** Which rows each partition inserts, both ascending. Those whose keys are generated go where others do. */
export function placesOfRows(
  rows: InsertRows,
  args: Arguments,
  map: TokenMap,
): ReadonlyMap<PartitionId, readonly number[]> {
  const partitions = partitionsOfRows(rows, args, map);
  const home = partitions.find((partition) => partition !== null) ?? (map.partitions()[0] as PartitionId);
  const places = Map.groupBy(partitions.keys(), (place) => partitions[place] ?? home);
  return new Map([...places].sort(([a], [b]) => a - b));
}

/** The partition of each row; null: it is generated there. */
export function partitionsOfRows(
  { keys, columns, generatesNull }: InsertRows,
  args: Arguments,
  map: TokenMap,
): readonly (PartitionId | null)[] {
  return keys.map((key) => {
    const values = key === null ? null : valuesOf(key, args);
    if (values === null || (generatesNull && values[0] === null)) return null;
    return map.partitionOf(tokenOfKey(values, columns));
  });
}

/** Tokens of keys, in their order; the same one may come twice. */
export function tokensOf(
  columns: readonly KeyClass[],
  tuples: readonly KeyTuple[],
  args: Arguments,
): Token[] {
  return tuples.map((tuple) => tokenOfKey(valuesOf(tuple, args), columns));
}

function partitionsOf(
  columns: readonly KeyClass[],
  tuples: readonly KeyTuple[],
  args: Arguments,
  map: TokenMap,
): PartitionId[] {
  const found = new Set<PartitionId>();
  for (const tuple of tuples) found.add(map.partitionOf(tokenOfKey(valuesOf(tuple, args), columns)));
  return [...found].sort((a, b) => a - b);
}

function valuesOf(tuple: KeyTuple, args: Arguments): SqlValue[] {
  const values: SqlValue[] = [];
  for (const source of tuple) {
    values.push(source.kind === 'literal' ? source.value : (args[source.index - 1] ?? null));
  }
  return values;
}
