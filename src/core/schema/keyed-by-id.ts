import { asciiLower } from '../../base/ascii.ts';
import type { Table } from './table.ts';

/** Whether the id that is generated is itself the whole partition key, so that a partition must issue ids that it owns. */
export function isPartitionedById({ placement, rowidColumn, rowidName }: Table): boolean {
  const id = rowidColumn ?? rowidName;
  if (placement.kind !== 'partitioned' || placement.key.length !== 1 || id === null) return false;
  return asciiLower(placement.key[0] as string) === asciiLower(id);
}
