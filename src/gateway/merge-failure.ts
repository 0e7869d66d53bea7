import { MergeError } from '../core/plan/evaluate/error.ts';
import { AtollError } from '../protocol/error.ts';

/** Why partitions' rows cannot be put together, as the client is told; any other error as it is. */
export function mergeFailure(error: unknown): unknown {
  if (!(error instanceof MergeError)) return error;
  return new AtollError(error.kind === 'unsupported' ? 'unsupported' : 'sql', error.message);
}
