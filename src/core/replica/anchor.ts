import { assert } from '../../base/assert.ts';
import type { PartitionId, Timestamp } from '../../base/brand.ts';
import type {
  TransactionFate,
  TransactionInquiry,
  TransactionPart,
  TransactReply,
  TransactRequest,
} from '../../protocol/transaction.ts';
import { applyChanges } from '../log/apply.ts';
import { readCaptured } from '../log/read.ts';
import { refuseChanged, refuseLocked, wounded } from './contention.ts';
import { deleteDecisions, insertDecision, readDecision } from './decisions.ts';
import type { Work } from './group.ts';
import { partLocks, partObstacle, runPart } from './part.ts';
import { takeNotice } from './participant.ts';
import { deletePrepared, readPreparedChanges, readPreparedOne } from './prepared.ts';
import { applyReferences, type ReferencePart } from './reference-part.ts';
import type { Replica } from './replica.ts';
import { encodeBatch } from './reply.ts';
import { recordedReply, recordReply, refuseForgotten } from './requests.ts';
import { inGroups } from './statement-groups.ts';

/** What an anchor decides with: all participants have voted yes. */
export interface Deciding {
  readonly request: TransactRequest;
  /** The anchor's own part, which it does now; null: it has none. */
  readonly own: TransactionPart | null;
  /** What its own part has been found to do to reference tables, and the others have prepared with; null: nothing. */
  readonly references: ReferencePart | null;
  /** Its own part, or what others have made for it, is prepared here: it is applied with the decision. */
  readonly prepared: boolean;
  /** Who else has something to apply. */
  readonly participants: readonly PartitionId[];
  /** The latest of their prepares; null: there are none. */
  readonly preparedAt: Timestamp | null;
  /** What the others have answered. */
  readonly replies: TransactReply['replies'];
}

/** Body of the decision's outcome. */
export type Decided =
  | {
      readonly kind: 'decided';
      /** Null: nobody has anything to apply. */
      readonly commitTimestamp: Timestamp | null;
      readonly reply: TransactReply;
    }
  /** The request was decided before, by another attempt: this one is to be aborted. */
  | { readonly kind: 'before'; readonly reply: TransactReply };

/**
 * What a request with an idempotency key was answered, if it was decided here; null if it may be tried.
 *
 * @throws AtollError `idempotency-conflict`
 */
export function decidedBefore(
  replica: Replica,
  { idempotency }: Pick<TransactRequest, 'idempotency'>,
  now: number,
): TransactReply | null {
  if (idempotency === undefined) return null;
  const recorded = recordedReply(replica.port, idempotency, 'transaction');
  if (recorded !== null) return JSON.parse(recorded) as TransactReply;
  refuseForgotten(replica, idempotency, now);
  return null;
}

/**
 * The anchor's piece of work that decides to commit. Its own part is executed in the entry of the decision: by then all
 * others hold their locks, and nothing can come between it and the decision, so it needs none.
 */
export function decideWork(replica: Replica, deciding: Deciding): Work {
  const { participants, own, prepared, request } = deciding;
  const nobody = participants.length === 0 && !prepared;
  const read = nobody && (own?.read ?? true) && request.idempotency === undefined;
  return { read, run: (now) => decide(replica, deciding, now) };
}

function decide(
  replica: Replica,
  { request, own, references, prepared, participants, preparedAt, replies }: Deciding,
  now: number,
): ReturnType<Work['run']> {
  const { schema, system, transaction, idempotency } = request;
  const before = decidedBefore(replica, request, now);
  if (before !== null) return done({ kind: 'before', reply: before });
  if (own !== null) {
    const obstacle = partObstacle(replica, own, { schema, system, read: own.read });
    if (obstacle?.kind === 'held' && request.parts.length > 1) throw wounded();
    if (obstacle !== null) return obstacle;
    refuseLocked(replica, request, partLocks(replica, own, now));
  }
  // Before the entry takes its time: it must be above all prepares.
  if (preparedAt !== null) takeNotice(replica, preparedAt, now);
  if (references !== null) applyReferences(replica, references);
  const results = own === null ? null : inGroups(own, references?.results ?? runPart(replica, own, now));
  if (own?.read === false && !replica.locks.isEmpty)
    refuseChanged(replica, request, readCaptured(replica.port));
  const answered = (): TransactReply => {
    if (results === null) return { replies };
    const { partition } = replica.identity;
    return { replies: [...replies, { partition, reply: encodeBatch(replica, results) }] };
  };
  if (idempotency !== undefined) recordReply(replica.port, idempotency, JSON.stringify(answered()));
  let commitTimestamp: Timestamp | null = null;
  if (prepared) applyPrepared(replica, transaction);
  if (participants.length > 0 || prepared) {
    commitTimestamp = replica.clock.now(now);
    if (participants.length > 0) insertDecision(replica.port, { transaction, commitTimestamp, participants });
    replica.appendWritten('decide', now, { transactionId: transaction, commitTimestamp });
  } else if (own?.read === false || idempotency !== undefined) {
    replica.appendWritten('write', now, { transactionId: transaction, commitTimestamp: null });
  }
  if (prepared) replica.locks.remove(transaction);
  return done({ kind: 'decided', commitTimestamp, reply: answered() });
}

function done(decided: Decided): ReturnType<Work['run']> {
  return { kind: 'done', body: JSON.stringify(decided) };
}

/** Nobody can have ended it meanwhile but this leader. */
function applyPrepared({ port }: Replica, transaction: string): void {
  assert(readPreparedOne(port, transaction) !== null, 'an anchor decides while it is prepared itself');
  applyChanges(port, readPreparedChanges(port, transaction));
  deletePrepared(port, transaction);
}

/** Every participant has applied these decisions: nobody will ask for them. */
export function forgetWork(replica: Replica, transactions: readonly string[]): Work {
  return {
    read: false,
    run: (now) => {
      deleteDecisions(replica.port, transactions);
      replica.append('write', null, now);
      return { kind: 'done', body: '{}' };
    },
  };
}

/**
 * What a participant is told that asks. Without a record the attempt is aborted for good, unless this leader is still at
 * it: whoever leads later cannot commit an attempt that it has not begun.
 */
export function fateOf(
  replica: Replica,
  { transaction, term }: TransactionInquiry,
  running: boolean,
): TransactionFate {
  const commitTimestamp = readDecision(replica.port, transaction);
  if (commitTimestamp !== null) return { state: 'committed', commitTimestamp };
  return running && term === replica.term ? { state: 'pending' } : { state: 'aborted' };
}
