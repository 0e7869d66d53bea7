import { expect, test } from 'vitest';
import type { PartitionId } from '../../src/base/brand.ts';
import type { Table } from '../../src/core/schema/table.ts';
import { mergeIds } from '../../src/gateway/restore/identifiers.ts';

const TABLE = {
  name: 't',
  rowidColumn: 'id',
  placement: { kind: 'partitioned', key: ['k'] },
} as unknown as Table;

const RANGES = [
  { start: 1, end: 1_000 },
  { start: 1_000, end: 2_000 },
  { start: 2_000, end: 2 ** 53 },
];

/** Ids by partition (from 1), given in pages of three. */
function merge(ids: readonly (readonly bigint[])[]) {
  const partitions = ids.map((_, index) => (index + 1) as PartitionId);
  return mergeIds(TABLE, partitions, async (partition, _, after) => {
    const own = [...(ids[partition - 1] ?? [])].sort((a, b) => (a < b ? -1 : 1));
    const page = own.filter((id) => after === null || id > BigInt(after)).slice(0, 3);
    return { ids: page.join(','), ...(RANGES[partition - 1] as { start: number; end: number }) };
  });
}

test('the largest id of each range, in whatever partition it is', async () => {
  const marks = await merge([
    [1n, 2n, 5n, 1_500n, 7n, 9n, 11n, 2n ** 53n],
    [-5n, 0n, 6n, 999n, -(2n ** 63n)],
    [8n, 1_000n, 1_499n, 2n ** 63n - 1n],
  ]);
  expect([...marks]).toEqual([
    [1, { table: 't', largest: 999 }],
    [2, { table: 't', largest: 1_500 }],
  ]);
  expect(await merge([[], [], []])).toEqual(new Map());
  expect([...(await merge([[2n ** 53n - 1n], [], []]))]).toEqual([[3, { table: 't', largest: 2 ** 53 - 1 }]]);
});

test('an id that is there twice, wherever a page ends', async () => {
  for (const twice of [-7n, 0n, 3n, 12n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    for (const filler of [0, 1, 2, 3, 4, 5, 6, 7]) {
      const some = Array.from({ length: filler }, (_, index) => BigInt(100 + index));
      const more = Array.from({ length: filler }, (_, index) => BigInt(200 + index));
      const failed = merge([[...some, twice], [], [...more, twice]]);
      await expect(failed).rejects.toMatchObject({ code: 'constraint', detail: { id: String(twice) } });
    }
  }
});

test('neighbours beyond 2^53 are not taken for one', async () => {
  const ids = [2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 53n + 2n, 2n ** 63n - 2n, 2n ** 63n - 1n];
  await merge([ids.filter((_, index) => index % 2 === 0), ids.filter((_, index) => index % 2 === 1), []]);
});
