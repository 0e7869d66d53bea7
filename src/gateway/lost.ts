import type { PartitionId } from '../base/brand.ts';
import { AtollError } from '../protocol/error.ts';

/** What a message does to the partition, and so what it means when its answer is lost. */
export interface Effect {
  /** A read may be sent again; of a write nobody knows whether it is applied. */
  readonly access: 'read' | 'write';
  /** Of a write: what its caller can do to find out. */
  readonly advice?: string;
}

export const READ: Effect = { access: 'read' };
export const WRITE: Effect = { access: 'write' };

/** What became of a request that the partition has not answered, or with an error: a read has changed nothing, a write may have. */
export function lostAnswer(error: unknown, partition: PartitionId, { access, advice }: Effect): AtollError {
  const read = access === 'read';
  if (error instanceof AtollError) {
    if (!read || error.outcome === 'none') return error;
    return new AtollError(error.code, error.message, 'none', error.detail ?? undefined);
  }
  // https://developers.cloudflare.com/durable-objects/best-practices/error-handling/: never sent again.
  if ((error as { overloaded?: unknown } | null)?.overloaded === true) {
    const outcome = read ? 'none' : 'unknown';
    return new AtollError('overloaded', `partition ${partition} has more requests than it can take`, outcome);
  }
  if (read) {
    return new AtollError(
      'unavailable',
      `partition ${partition} cannot be reached: ${String(error)}`,
      'none',
    );
  }
  const message = `the answer of partition ${partition} was lost: the write may or may not be applied`;
  return new AtollError('unknown-outcome', advice === undefined ? message : `${message}; ${advice}`);
}
