import type { PartitionId } from '../../base/brand.ts';
import type { Table } from '../../core/schema/table.ts';
import { AtollError } from '../../protocol/error.ts';
import type { RestoreIdsReply, RestoreMark } from '../../protocol/restore.ts';

/** An id: exact as a number below 2^53, which nearly all are; JavaScript compares both kinds exactly. */
type Id = number | bigint;

/** Asks one partition for the ids of a table behind `after`. */
export type ReadIds = (
  partition: PartitionId,
  table: string,
  after: string | null,
) => Promise<RestoreIdsReply>;

interface Range {
  readonly partition: PartitionId;
  readonly start: number;
  readonly end: number;
  largest: number | null;
}

/** Whether ids of the table may come twice: partitions each know their own only. */
export function needsIdCheck({ placement, rowidColumn }: Table): boolean {
  if (placement.kind !== 'partitioned' || rowidColumn === null) return false;
  return !placement.key.includes(rowidColumn);
}

/**
 * Goes through a table's ids in all partitions in ascending order (a k-way merge of pages), and finds for each
 * partition the largest id that lies in its range.
 *
 * @throws AtollError `constraint` for an id that is there twice
 */
export async function mergeIds(
  table: Table,
  partitions: readonly PartitionId[],
  read: ReadIds,
): Promise<ReadonlyMap<PartitionId, RestoreMark>> {
  const cursors = partitions.map((partition) => new Cursor(partition, table.name, read));
  await Promise.all(cursors.map((cursor) => cursor.advance()));
  const ranges: Range[] = cursors
    .map(({ partition, start, end }) => ({ partition, start, end, largest: null }))
    .sort((a, b) => a.start - b.start);
  let last: Id | null = null;
  for (let least = leastOf(cursors); least !== null; least = leastOf(cursors)) {
    const id = least.id as Id;
    if (id === last) throw duplicate(table, id);
    last = id;
    const range = typeof id === 'number' ? rangeOf(ranges, id) : undefined;
    if (range !== undefined) range.largest = Number(id);
    if (!least.step()) await least.advance();
  }
  const marks = ranges.flatMap(({ partition, largest }): [PartitionId, RestoreMark][] =>
    largest === null ? [] : [[partition, { table: table.name, largest }]],
  );
  return new Map(marks);
}

/** One partition's place in its ids. */
class Cursor {
  readonly partition: PartitionId;
  readonly #table: string;
  readonly #read: ReadIds;
  #page: readonly string[] = [];
  #index = 0;
  /** Null: there are no more. */
  id: Id | null = null;
  start = 0;
  end = 0;

  constructor(partition: PartitionId, table: string, read: ReadIds) {
    this.partition = partition;
    this.#table = table;
    this.#read = read;
  }

  /** False at the page's end: {@link advance} then. */
  step(): boolean {
    this.#index++;
    if (this.#index >= this.#page.length) return false;
    this.id = idOf(this.#page[this.#index] as string);
    return true;
  }

  async advance(): Promise<void> {
    const reply = await this.#read(this.partition, this.#table, this.#page.at(-1) ?? null);
    this.start = reply.start;
    this.end = reply.end;
    this.#page = reply.ids === '' ? [] : reply.ids.split(',');
    this.#index = 0;
    const first = this.#page[0];
    this.id = first === undefined ? null : idOf(first);
  }
}

function idOf(text: string): Id {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

/** Partitions are few beside ids, and neighbours in order often come from one: a look at each is enough. */
function leastOf(cursors: readonly Cursor[]): Cursor | null {
  let least: Cursor | null = null;
  for (const cursor of cursors) {
    if (cursor.id === null) continue;
    if (least === null || cursor.id < (least.id as Id)) least = cursor;
  }
  return least;
}

function rangeOf(ranges: readonly Range[], id: number): Range | undefined {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle] as Range).end <= id) low = middle + 1;
    else high = middle;
  }
  const range = ranges[low];
  return range !== undefined && range.start <= id ? range : undefined;
}

function duplicate({ name, rowidColumn }: Table, id: Id): AtollError {
  return new AtollError(
    'constraint',
    `two rows of ${name} have the ${rowidColumn} ${id}: it must be unique over all partitions`,
    'none',
    { table: name, column: rowidColumn, id: String(id) },
  );
}
