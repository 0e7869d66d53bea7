import type { PartitionId } from '../base/brand.ts';
import type { WireStatement } from '../protocol/execute.ts';
import type { Planned } from './planned.ts';
import type { Gathered } from './stage.ts';

/** What one partition runs for one statement of a client, and answers as one. */
export interface GroupPart {
  /** Index of the client's statement. */
  readonly index: number;
  readonly statements: readonly WireStatement[];
  /** As of a `StatementGroup`. */
  readonly expects?: string;
}

/** The parts of an INSERT of what was gathered: what was read is read once more, before its rows come. */
export function gatheredParts(
  { reads, inserts, everywhere }: Gathered,
  partsOf: (insert: Planned) => readonly (readonly [PartitionId, WireStatement])[],
): readonly (readonly [PartitionId, Omit<GroupPart, 'index'>])[] {
  const rows = Map.groupBy(inserts.flatMap(partsOf), ([partition]) => partition);
  const partitions = new Set([...everywhere, ...reads.keys(), ...rows.keys()]);
  return [...partitions].map((partition) => {
    const own = (rows.get(partition) ?? []).map(([, statement]) => statement);
    const read = reads.get(partition);
    if (read === undefined) return [partition, { statements: own }];
    return [partition, { statements: [read.statement, ...own], expects: read.expects }];
  });
}
