import type { PartitionId } from '../base/brand.ts';
import type { WireStatement } from '../protocol/execute.ts';
import type { RowPlaces } from './parts.ts';
import type { Planned } from './planned.ts';
import type { Gathered } from './stage.ts';

/** What one partition runs for one statement of a client, and answers as one. */
export interface GroupPart {
  /** Index of the client's statement. */
  readonly index: number;
  readonly statements: readonly WireStatement[];
  /** As of a `StatementGroup`. */
  readonly expects?: string;
  /** Of what was gathered: which of its rows, ascending; of a statement whose rows were not taken apart the first alone. */
  readonly places?: readonly number[];
}

/** More than the rows of any statement. */
const ROWS_MAX = 1e6;

/** The parts of an INSERT of what was gathered: what was read is read once more, before its rows come. */
export function gatheredParts(
  { reads, inserts, everywhere }: Gathered,
  partsOf: (insert: Planned) => readonly (readonly [PartitionId, WireStatement])[],
  placesOf: (insert: Planned) => RowPlaces,
): readonly (readonly [PartitionId, Omit<GroupPart, 'index'>])[] {
  const all = inserts.flatMap((insert, at) => {
    const places = placesOf(insert);
    return partsOf(insert).map(([partition, statement]) => {
      const own = places?.get(partition) ?? [0];
      return { partition, statement, places: own.map((place) => at * ROWS_MAX + place) };
    });
  });
  const rows = Map.groupBy(all, ({ partition }) => partition);
  const partitions = new Set([...everywhere, ...reads.keys(), ...rows.keys()]);
  return [...partitions].map((partition) => {
    const inserting = rows.get(partition) ?? [];
    const own = inserting.map(({ statement }) => statement);
    const places = inserting.flatMap((each) => each.places);
    const read = reads.get(partition);
    if (read === undefined) return [partition, { statements: own, places }];
    return [partition, { statements: [read.statement, ...own], expects: read.expects, places }];
  });
}
