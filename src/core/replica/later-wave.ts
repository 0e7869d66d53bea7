import type { PrepareRequest, Vote } from '../../protocol/transaction.ts';
import { MisfitError } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import { readLayouts } from '../log/layout.ts';
import { changedLocks } from '../transaction/footprint.ts';
import { applyOrDie, refuseChanged, refuseLocked, waitOrDie, wounded } from './contention.ts';
import { errandLocks, runErrand } from './errand.ts';
import { freeing } from './freed.ts';
import type { Work } from './group.ts';
import { applyIncoming } from './incoming.ts';
import { sortIncoming } from './key-changes.ts';
import { open } from './open.ts';
import { overtaken } from './overtaken.ts';
import { checkOwnership } from './ownership.ts';
import { judgeCopies, promise, takeNotice } from './participant.ts';
import { deletePrepared, readPreparedChanges, readPreparedOne } from './prepared.ts';
import { decodeIncoming } from './received-changes.ts';
import { receiveReferences } from './reference-part.ts';
import { NOTHING_TAKEN } from './referrers.ts';
import { rehearse } from './rehearse.ts';
import type { Replica } from './replica.ts';
import { encodeBatch } from './reply.ts';
import { uniqueViolation } from './unique-entries.ts';

export type LaterRequest = PrepareRequest & { readonly changes: string };

/**
 * The piece of work that prepares what other partitions have made for this one, on top of what is prepared of the same
 * transaction already; its outcome's body is a {@link Vote} for all of it.
 */
export function laterWork(replica: Replica, request: LaterRequest): Work {
  return { read: false, run: (now) => prepareMore(replica, request, now) };
}

function prepareMore(replica: Replica, request: LaterRequest, now: number): ReturnType<Work['run']> {
  const { part, transaction, schema, system } = request;
  const { port } = replica;
  const obstacle = replica.obstacle({ epoch: part.epoch, schema, system, read: false });
  // A schema change that is being decided may wait for what this transaction holds elsewhere.
  if (obstacle?.kind === 'held') throw wounded();
  if (obstacle !== null) return obstacle;
  const incoming = sortIncoming(decodeIncoming(port, request.changes), replica.schema);
  // All keys are known: what others hold is waited for before it is looked at.
  const needed = [
    ...changedLocks(incoming.rows, readLayouts(port), replica.schema),
    ...errandLocks(incoming, replica.schema),
  ];
  refuseLocked(replica, request, needed);
  takeNotice(replica, request.time, now);
  const former = readPreparedOne(port, transaction);
  const before = former === null ? [] : readPreparedChanges(port, transaction);
  const { changes, escaped, violated } = rehearse(port, () => {
    const { references } = request;
    const taken =
      references === undefined ? NOTHING_TAKEN : receiveReferences(replica, { references, transaction }, now);
    // Another transaction may have put a value here that is unique over partitions, and was prepared here too: the row's key is
    // locked, the value is where its index is.
    applyOrDie(port, before);
    const creates = incoming.rows.filter(({ type }) => type === 'create');
    asStatements(replica, request, () => applyIncoming(replica, incoming.rows), creates);
    checkOwnership(port, replica.schema, replica.identity);
    const { there, kept, ...left } = runErrand(replica, incoming, (actions) =>
      asStatements(replica, request, actions),
    );
    const isViolated = judgeCopies(replica, request, taken) || left.violated;
    return { changes: [...there, ...kept], ...left, violated: isViolated };
  });
  const locks = [...(former?.locks ?? []), ...needed, ...refuseChanged(replica, request, changes)];
  deletePrepared(port, transaction);
  const preparedAt = promise(replica, request, locks, changes, now);
  const reply = encodeBatch(replica, []);
  const vote: Vote = {
    vote: 'yes',
    preparedAt,
    read: changes.length === 0,
    reply,
    ...open(escaped, violated),
  };
  return { kind: 'done', body: JSON.stringify(vote) };
}

function asStatements(
  replica: Replica,
  request: PrepareRequest,
  body: () => void,
  creates: readonly Change[] = [],
): void {
  try {
    body();
  } catch (error) {
    // What is locked is this transaction's own; UNIQUE and foreign keys may look further.
    waitOrDie(request, freeing(replica, request.transaction, error));
    if (request.visited && error instanceof MisfitError) throw overtaken();
    throw uniqueViolation(replica, error, creates);
  }
}
