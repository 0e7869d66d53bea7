import { present } from '../../base/assert.ts';
import { fromBase64 } from '../../protocol/base64.ts';
import { AtollError } from '../../protocol/error.ts';
import type { PrepareRequest, Vote } from '../../protocol/transaction.ts';
import { applyChanges, MisfitError } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import { createRows } from '../log/create-rows.ts';
import { decodeChanges } from '../log/encoding.ts';
import { readLayouts } from '../log/layout.ts';
import { readCaptured } from '../log/read.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { changedLocks } from '../transaction/footprint.ts';
import { inOwnLayouts } from './feed.ts';
import { freeing } from './freed.ts';
import type { Work } from './group.ts';
import { checkOwnership } from './ownership.ts';
import { refuseChanged, refuseLocked, takeNotice, waitOrDie, wounded } from './participant.ts';
import { deletePrepared, insertPrepared, readPreparedChanges, readPreparedOne } from './prepared.ts';
import { rehearse } from './rehearse.ts';
import type { Replica } from './replica.ts';
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
  const { part, transaction, anchor, term, startedMs, schema, system } = request;
  const { port } = replica;
  const obstacle = replica.obstacle({ epoch: part.epoch, schema, system, read: false });
  // A schema change that is being decided may wait for what this transaction holds elsewhere.
  if (obstacle?.kind === 'held') throw wounded();
  if (obstacle !== null) return obstacle;
  const incoming = inOwnLayouts(
    port,
    decodeChanges(present(fromBase64(request.changes), 'changes are base64')),
  );
  // All keys are known: what others hold is waited for before it is looked at.
  refuseLocked(replica, request, changedLocks(incoming, readLayouts(port), replica.schema));
  takeNotice(replica, request.time, now);
  const former = readPreparedOne(port, transaction);
  const before = former === null ? [] : readPreparedChanges(port, transaction);
  const changes = rehearse(port, () => {
    applyFormer(port, before);
    addChanges(replica, request, incoming);
    checkOwnership(port, replica.schema, replica.identity);
    return readCaptured(port);
  });
  const locks = [...(former?.locks ?? []), ...refuseChanged(replica, request, changes)];
  const preparedAt = replica.clock.now(now);
  deletePrepared(port, transaction);
  insertPrepared(port, { transaction, anchor, term, startedMs, preparedAt, locks }, changes);
  replica.append('prepare', null, now, { transactionId: transaction, commitTimestamp: null });
  replica.locks.add({ transaction, anchor, startedMs }, locks);
  const vote: Vote = { vote: 'yes', preparedAt, read: changes.length === 0, reply: replica.encodeBatch([]) };
  return { kind: 'done', body: JSON.stringify(vote) };
}

/**
 * Its keys are locked since the first wave, but UNIQUE looks further: a row of another key may have come meanwhile with a value that
 * a row of these has too. Nobody may have that value twice, and run again the transaction finds out who does.
 */
function applyFormer(port: SqlitePort, before: readonly Change[]): void {
  try {
    applyChanges(port, before);
  } catch (error) {
    throw error instanceof MisfitError ? wounded() : error;
  }
}

/** What goes before what comes: a value may change hands. */
function addChanges(replica: Replica, request: PrepareRequest, incoming: readonly Change[]): void {
  const { port } = replica;
  if (incoming.some(({ type }) => type === 'update'))
    throw new AtollError('bad-request', 'a row changes its partition by a delete and a create');
  try {
    applyChanges(
      port,
      incoming.filter(({ type }) => type === 'delete'),
    );
    createRows(
      port,
      incoming.filter(({ type }) => type === 'create'),
      readLayouts(port),
    );
  } catch (error) {
    // What is locked is this transaction's own; UNIQUE and foreign keys may look further.
    waitOrDie(request, freeing(replica, request.transaction, error));
    throw uniqueViolation(replica.schema, error);
  }
}
