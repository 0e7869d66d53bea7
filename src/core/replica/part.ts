import { assert } from '../../base/assert.ts';
import type { TransactionPart, TransactRequest } from '../../protocol/transaction.ts';
import type { StatementResult } from '../execution/run.ts';
import type { Lock } from '../transaction/lock.ts';
import type { Script } from '../transaction/script.ts';
import { claimLocks } from './claims.ts';
import { pageLocks } from './fill-part.ts';
import { chunkLocks } from './import-part.ts';
import type { ExecuteOutcome } from './outcome.ts';
import type { Replica } from './replica.ts';
import { replay } from './script-replay.ts';
import { presentScript, scriptObstacle } from './script-work.ts';

/** A part of a transaction over several partitions: statements, or what an interactive transaction has done here. */

export function partObstacle(
  replica: Replica,
  part: TransactionPart,
  rest: Pick<TransactRequest, 'schema' | 'system'> & { readonly read: boolean },
): ExecuteOutcome | null {
  const { epoch, script } = part;
  if (script === undefined) return replica.obstacle({ epoch, ...rest });
  return scriptObstacle(replica, { epoch, schema: rest.schema }, rest);
}

/** The locks that the part needs, as far as texts tell. */
export function partLocks(replica: Replica, part: TransactionPart, now: number): Lock[] {
  return [...claimLocks(part.ids ?? []), ...workLocks(replica, part, now)];
}

function workLocks(replica: Replica, part: TransactionPart, now: number): Lock[] {
  if (part.chunk !== undefined) return chunkLocks(replica, part.chunk);
  if (part.fill !== undefined) return pageLocks(replica, part.fill);
  return part.script === undefined
    ? replica.footprint(part.statements, part.read)
    : scriptOf(replica, part.script, now).locks;
}

/**
 * Does it in the transaction that is open. Of a script there are no results: its answers were given before. `transaction`: whose changes of
 * copies were made here before.
 */
export function runPart(
  replica: Replica,
  part: TransactionPart,
  now: number,
  transaction: string | null = null,
): StatementResult[] {
  if (part.script !== undefined) {
    const script = scriptOf(replica, part.script, now);
    assert(script.read || !part.read, 'a part that says it reads has a script that writes');
    replay(replica, script, transaction);
    return [];
  }
  return part.read ? replica.runReads(part) : replica.runWrites(part);
}

function scriptOf(replica: Replica, reference: NonNullable<TransactionPart['script']>, now: number): Script {
  return presentScript(replica, reference, now);
}
