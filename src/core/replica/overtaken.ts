import { AtollError } from '../../protocol/error.ts';
import { MisfitError } from '../log/apply.ts';

/** Others have changed what the transaction has seen. */
export function overtaken(): AtollError {
  return new AtollError(
    'conflict',
    'another transaction has changed what this one has read or written; run the transaction again',
    'none',
    { reason: 'changed' },
  );
}

/** A row that is not as it was means that somebody has changed it. */
export function fitting<T>(apply: () => T): T {
  try {
    return apply();
  } catch (error) {
    throw error instanceof MisfitError ? overtaken() : error;
  }
}
