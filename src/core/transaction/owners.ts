import { assert, present } from '../../base/assert.ts';
import type { Epoch, PartitionId } from '../../base/brand.ts';
import { fromBase64, toBase64 } from '../../protocol/base64.ts';
import type { Escapes, RingRange } from '../../protocol/transaction.ts';
import type { Change } from '../log/commit.ts';
import { decodeChanges, encodeChanges } from '../log/encoding.ts';

/** What one partition is asked for in a later wave. */
export interface Errand {
  readonly partition: PartitionId;
  readonly epoch: Epoch;
  /** Base64, as in {@link Escapes}. */
  readonly changes: string;
}

/** What belongs elsewhere, by owner. A ring that is out of date is found out by whoever is asked: it has another epoch. */
export function errandsOf(escapes: readonly Escapes[], ring: readonly RingRange[]): Errand[] {
  const errands = new Map<PartitionId, { epoch: Epoch; changes: Change[] }>();
  for (const { tokens, changes } of escapes) {
    const decoded = decodeChanges(present(fromBase64(changes), 'changes are base64'));
    assert(decoded.length === tokens.length, 'a token for each change');
    decoded.forEach((change, index) => {
      const [, partition, epoch] = ownerOf(ring, tokens[index] as number);
      const errand = errands.get(partition);
      if (errand === undefined) errands.set(partition, { epoch, changes: [change] });
      else errand.changes.push(change);
    });
  }
  return [...errands].map(([partition, { epoch, changes }]) => ({
    partition,
    epoch,
    changes: toBase64(encodeChanges(changes)),
  }));
}

function ownerOf(ring: readonly RingRange[], token: number): RingRange {
  let low = 0;
  let high = ring.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((ring[middle]?.[0] ?? 0) <= token) low = middle;
    else high = middle - 1;
  }
  return present(ring[low], 'a ring has ranges');
}
