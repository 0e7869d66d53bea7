import type { TableId } from '../../base/brand.ts';
import { errandsOf } from '../../core/transaction/owners.ts';
import { fanOut } from '../fan-out.ts';
import type { KnownNetwork } from '../known-network.ts';
import { ringOf } from '../spread.ts';
import type { RestoreCalls } from './restore-calls.ts';

/** Partitions whose rows are gone through at a time (chosen: a page of each is held). */
const PARALLEL_MAX = 8;

/**
 * Makes the entries of an index over partitions for rows that are all in, page by page.
 *
 * @throws AtollError `constraint` for a value that is there twice
 */
export async function fillIndex(index: TableId, known: KnownNetwork, calls: RestoreCalls): Promise<void> {
  const ring = ringOf(known);
  await fanOut(known.tokens.partitions(), PARALLEL_MAX, async (partition) => {
    let after: string | null = null;
    do {
      const { entries, next } = await calls.entries(partition, index, after);
      for (const errand of errandsOf([entries], ring)) await calls.enter(errand.partition, errand.changes);
      after = next;
    } while (after !== null);
  });
}
