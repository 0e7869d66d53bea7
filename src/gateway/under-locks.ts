import type { ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import type { Planned } from './planned.ts';
import type { Session } from './statements.ts';
import { executeTransaction } from './transact.ts';

/**
 * A strong read over several partitions that was not certified although it was tried again: it becomes a transaction, whose
 * shared locks writers wait for. It costs every partition two entries of its log.
 */
export function underLocks(
  session: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  planned: Planned,
): Promise<Response> {
  return executeTransaction(session, known, { shape: 'query', demand }, [planned], null);
}
