import { present } from '../../base/assert.ts';
import type { PartitionId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { mergePages } from '../../core/plan/paging/page-merge.ts';
import type { Place } from '../../core/plan/paging/page-sql.ts';
import { fanOut } from '../fan-out.ts';
import { PlanRefusal } from '../planned.ts';
import type { CursorPlace } from './cursor.ts';
import { PARALLEL_MAX, type PageRound, type PartitionAnswer } from './page-round.ts';

/** Least that one of several partitions is asked for, bytes (chosen: a question costs as much as some kilobytes). */
const SHARE_MIN = 16 * 1024;

type Row = readonly SqlValue[];

export interface FoundPage {
  readonly rows: readonly Row[];
  /** Null: these were the last. */
  readonly next: CursorPlace | null;
}

/** Partition after partition: one that fills the page alone is the only one asked; small ones are asked together. */
export async function unorderedPage(round: PageRound): Promise<FoundPage> {
  const { place, bytes, left } = round.work;
  const { partitions } = round;
  let index = place === null ? 0 : indexOf(partitions, place.partition);
  let from = place === null ? null : behind(place.values);
  let bytesLeft = bytes;
  const rows: Row[] = [];
  for (let wave = 1; index < partitions.length; wave = Math.min(2 * wave, PARALLEL_MAX)) {
    const asked = partitions.slice(index, index + wave);
    const [first] = asked;
    const share = Math.min(bytesLeft, Math.max(SHARE_MIN, Math.floor(bytesLeft / asked.length)));
    const begin = from;
    const answers = await fanOut(asked, PARALLEL_MAX, (partition, signal) =>
      round.ask(partition, partition === first ? begin : null, share, signal),
    );
    for (const [i, answer] of answers.entries()) {
      rows.push(...answer.rows);
      bytesLeft -= answer.bytes;
      if (enough(rows, left)) return { rows: rows.slice(0, Number(left)), next: null };
      const partition = asked[i] as PartitionId;
      if (answer.more)
        return { rows, next: { partition, values: lastOf(answer.rows).slice(-keysOf(round)) } };
    }
    index += asked.length;
    from = null;
    const next = partitions[index];
    if (bytesLeft < SHARE_MIN && next !== undefined && rows.length > 0)
      return { rows, next: { partition: next, values: [] } };
    bytesLeft = Math.max(bytesLeft, SHARE_MIN);
  }
  return { rows, next: null };
}

/** All partitions at once, merged as far as is sure. Rows that are equal by ORDER BY come by partition, and there by keys. */
export async function orderedPage(round: PageRound): Promise<FoundPage> {
  const { paging, place, bytes, left } = round.work;
  const { sorting, terms } = paging;
  const { partitions } = round;
  const at = place === null ? 0 : indexOf(partitions, place.partition);
  const share = Math.min(bytes, Math.max(SHARE_MIN, Math.floor(bytes / partitions.length)));
  const indexes = partitions.map((_, index) => index);
  const pages: PartitionAnswer[] = await fanOut(indexes, PARALLEL_MAX, (index, signal) => {
    const from = place === null ? null : placeIn(place.values, terms, index - at);
    return round.ask(partitions[index] as PartitionId, from, share, signal);
  });
  const { merged, more } = mergePages(pages, sorting.slice(0, terms));
  const rows = merged.map(({ row }) => row);
  if (enough(rows, left)) return { rows: rows.slice(0, Number(left)), next: null };
  if (!more) return { rows, next: null };
  const { row, list } = present(merged.at(-1), 'a list that has more has a row');
  const values = sorting.map(({ column }) => row[column] ?? null);
  return { rows, next: { partition: partitions[list] as PartitionId, values } };
}

/** Where a partition goes on, `distance` partitions behind the one whose row was the last. */
function placeIn(values: readonly SqlValue[], terms: number, distance: number): Place {
  if (distance === 0) return behind(values);
  return { values: values.slice(0, terms), included: distance > 0 };
}

function behind(values: readonly SqlValue[]): Place {
  return { values, included: false };
}

function enough(rows: readonly Row[], left: bigint | null): boolean {
  return left !== null && BigInt(rows.length) >= left;
}

/** Without ORDER BY the hidden columns are the keys. */
function keysOf({ work }: PageRound): number {
  return work.paging.sorting.length;
}

function lastOf(rows: readonly Row[]): Row {
  return present(rows.at(-1), 'an answer that has more has a row');
}

function indexOf(partitions: readonly PartitionId[], partition: PartitionId): number {
  const index = partitions.indexOf(partition);
  if (index >= 0) return index;
  throw new PlanRefusal(
    'history-gone',
    'keys were given to other partitions since the first page: begin again with the statement',
  );
}
